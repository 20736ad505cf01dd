"""The server at a glance."""

from __future__ import annotations

from typing import Final

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment


class SystemShown(Shown):
    """How the whole is."""

    version: str
    services: list[str]
    """Of the process that answers."""
    started_at: Moment
    domain_count: int
    account_count: int
    queue: dict[str, int]
    """Recipients by state."""
    disk_free_octets: int
    disk_total_octets: int


async def show(call: Call) -> Answer:
    """Look."""
    found = await call.house.administration.overviews.show(call.actor)
    return Answer(
        SystemShown(
            version=found.version,
            services=list(found.services),
            started_at=found.started_at,
            domain_count=found.domain_count,
            account_count=found.account_count,
            queue=dict(found.queue),
            disk_free_octets=found.disk_free_octets,
            disk_total_octets=found.disk_total_octets,
        )
    )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/system",
        "show-system",
        "Version, services, how many of what, and room on the disk",
        "system",
        Auth.TOKEN,
        Right.SERVER_ADMIN,
        show,
        query=Model,
        shows=SystemShown,
        is_ours=True,
        command="health",
    ),
)
