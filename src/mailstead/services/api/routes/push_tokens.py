"""Devices that are to be woken. Spec: reference forwardemail 4.5, 4.10 (PushToken)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.people import Page
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment, ObjectIdText
from mailstead.usecases.device_tokens import NAME_CHARACTERS_MAX, TOKEN_OCTETS_MAX, Device, Platform

_Alias = Annotated[ObjectIdText | Literal[""], Field(description="Which mailbox; needed with an API token.")]


class PushTokensAsked(Listed):
    """Which devices."""

    platform: Platform | None = None
    alias_id: _Alias = ""


class PushTokensRemoved(Model):
    """Of which mailbox."""

    alias_id: _Alias = ""


class NewPushToken(Model):
    """A device to be woken."""

    platform: Platform
    token: Annotated[str, Field(min_length=1, max_length=TOKEN_OCTETS_MAX)]
    device_name: Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)] = ""
    alias_id: _Alias = ""


class PushToken(Shown):
    """A device that is woken."""

    id: str
    object: Literal["push_token"] = "push_token"
    alias: str
    platform: Platform
    token: str
    device_name: str
    last_used_at: Moment
    failure_count: int
    expires_at: Moment
    created_at: Moment
    updated_at: Moment


class PushKey(Shown):
    """What a browser is told when it subscribes: ``applicationServerKey``. Spec: RFC 8292 §3.2."""

    public_key: str


def push_token_of(device: Device) -> PushToken:
    """Give a device as it is shown; with its token only to the mailbox's owner, as who has it may wake the device."""
    kept = device.kept
    used_at = _moment(kept.used_s)
    return PushToken(
        id=device.object_id,
        alias=device.listened.object_id,
        platform=kept.platform,
        token=kept.token if device.listened.hears_content else "",
        device_name=kept.device_name,
        last_used_at=used_at,
        failure_count=kept.failure_count,
        expires_at=_moment(device.expires_at_s),
        created_at=_moment(kept.created_s),
        updated_at=used_at,
    )


async def list_push_tokens(call: Call) -> Answer:
    """Devices of a mailbox, or of all that are the user's own."""
    found = await call.house.device_tokens.find(call.actor, call.query.platform, call.query.alias_id)
    listing = listing_of(call.query)
    items = tuple(push_token_of(each) for each in found[listing.skipped_count :][: listing.limit])
    return Answer(list(items), page=Page(items, len(found)))


async def show_push_key(call: Call) -> Answer:
    """Give the key by which push services know us."""
    return Answer(PushKey(public_key=call.house.device_tokens.public_key))


async def add_push_token(call: Call) -> Answer:
    """Register a device, or say that it is still there."""
    body: NewPushToken = call.body
    device = await call.house.device_tokens.add(call.actor, body.platform, body.token, body.device_name, body.alias_id)
    return Answer(push_token_of(device))


async def remove_push_token(call: Call) -> Answer:
    """Forget a device."""
    await call.house.device_tokens.remove(call.actor, call.path["push_token_id"])
    return Answer()


async def remove_push_tokens(call: Call) -> Answer:
    """Forget all devices."""
    await call.house.device_tokens.remove_all(call.actor, call.query.alias_id)
    return Answer()


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_OF_BOTH: Final = (Auth.BOTH, Right.CALLER)
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/push-tokens",
        "list-push-tokens",
        "Devices that are woken",
        "push",
        *_OF_BOTH,
        list_push_tokens,
        query=PushTokensAsked,
        shows=list[PushToken],
    ),
    Endpoint(
        "POST",
        "/v1/push-tokens",
        "add-push-token",
        "Have a device woken when mail comes",
        "push",
        *_OF_BOTH,
        add_push_token,
        body=NewPushToken,
        shows=PushToken,
        status=201,
        description=(
            "For `web-push` and `unified-push`, `token` is a push subscription as JSON (endpoint, keys). Tokens of "
            "`apns` and `fcm` are kept, but waking these takes credentials of whoever has published the program. A "
            "device is forgotten 90 days after its last use, or when its service fails three times."
        ),
    ),
    Endpoint(
        "GET",
        "/v1/push-tokens/key",
        "show-push-key",
        "The house's key for push subscriptions",
        "push",
        *_OF_BOTH,
        show_push_key,
        shows=PushKey,
        is_ours=True,
        description="Base64url, uncompressed P-256; browsers take it as `applicationServerKey`.",
    ),
    Endpoint(
        "DELETE",
        "/v1/push-tokens",
        "remove-push-tokens",
        "Wake no device any more",
        "push",
        *_OF_BOTH,
        remove_push_tokens,
        query=PushTokensRemoved,
        status=204,
    ),
    Endpoint(
        "DELETE",
        "/v1/push-tokens/{push_token_id}",
        "remove-push-token",
        "Wake a device no more",
        "push",
        *_OF_BOTH,
        remove_push_token,
        status=204,
    ),
)
