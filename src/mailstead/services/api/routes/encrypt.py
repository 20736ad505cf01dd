"""Forwarding rules for the DNS that only this server reads. Spec: reference forwardemail 4.2."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from mailstead.services.api.answers import TEXT
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right


class Rules(Model):
    """What is to stand in a record."""

    input: Annotated[str, StringConstraints(max_length=5000)] = Field(
        description="Mappings, as `sales:a@example.org`, with or without `forward-email=` before them."
    )


async def encrypt(call: Call) -> Answer:
    """Give the record."""
    rules: Rules = call.body
    return Answer(call.house.sealed_rules.seal(rules.input))


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/encrypt",
        "encrypt-rules",
        "Encrypt forwarding rules for a TXT record",
        "domains",
        Auth.NONE,
        Right.ANYBODY,
        encrypt,
        body=Rules,
        description="Whoever reads the DNS then does not learn where mail goes. The answer is the whole record.",
        per_day=50,
        media_type=TEXT,
    ),
)
