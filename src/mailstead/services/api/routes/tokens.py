"""API tokens of the caller. Commands: ``mailstead token``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from mailstead.model.people import ApiToken
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment, Words


class NewTokenAsked(Model):
    """A token to be made."""

    label: Annotated[str, StringConstraints(max_length=200)]
    expires_at: Moment | None = None
    networks: Annotated[Words, Field(default_factory=list, max_length=100)]
    """Where it may be used from, as CIDR; none: anywhere."""


class TokenShown(Shown):
    """A token, without its text."""

    id: str
    label: str
    created_at: Moment
    expires_at: Moment | None
    last_used_on: str | None
    networks: list[str]


class NewTokenShown(TokenShown):
    """A token with its text, which is shown this once."""

    token: str


async def list_tokens(call: Call) -> Answer:
    """Give all."""
    return Answer([TokenShown(**_fields(each)) for each in await call.house.users.tokens.list(call.actor)])


async def create(call: Call) -> Answer:
    """Make one."""
    asked: NewTokenAsked = call.body
    made = await call.house.users.tokens.create(
        call.actor, asked.label, expires_at=asked.expires_at, networks=asked.networks
    )
    return Answer(NewTokenShown(**_fields(made.token), token=made.secret.reveal()))


async def remove(call: Call) -> Answer:
    """End one."""
    await call.house.users.tokens.remove(call.actor, call.path["token_id"])
    return Answer()


def _fields(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.token_id,
        "label": token.label,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_on": token.last_used_on or None,
        "networks": list(token.networks),
    }


_ours: Final = partial(Endpoint, tag="tokens", auth=Auth.TOKEN, right=Right.CALLER, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/tokens",
        "list-tokens",
        "The caller's API tokens",
        handler=list_tokens,
        query=Model,
        shows=list[TokenShown],
        command="token list",
    ),
    _ours(
        "POST",
        "/v1/tokens",
        "create-token",
        "Make a token; its text is shown this once. One made with a token can do no more than that one",
        handler=create,
        body=NewTokenAsked,
        shows=NewTokenShown,
        status=201,
        is_idempotent=False,
        command="token add",
    ),
    _ours(
        "DELETE",
        "/v1/tokens/{token_id}",
        "remove-token",
        "End a token at once",
        handler=remove,
        status=204,
        command="token remove",
    ),
)
