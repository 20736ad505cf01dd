"""Whether the API is there. Spec: reference forwardemail 4.2."""

from __future__ import annotations

from typing import Final

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Right, Shown


class Start(Shown):
    """What stands at the door."""

    name: str
    documentation: str


async def start(call: Call) -> Answer:
    """Say that somebody is here, and where it is written what he does."""
    return Answer(Start(name="Mailstead", documentation=f"{call.house.terms.base_url}/v1/docs"))


ENDPOINTS: Final = (
    Endpoint(
        "GET", "/v1", "show-start", "Whether the API is there", "start", Auth.NONE, Right.ANYBODY, start, shows=Start
    ),
)
