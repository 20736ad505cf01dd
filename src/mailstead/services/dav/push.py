"""WebDAV-Push over HTTP: POST on a collection registers a device, DELETE of what that gives ends it.

Spec: WebDAV-Push draft (bitfire), "Subscription registration", "Subscription removal".
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.proto.dav.names import push
from mailstead.proto.dav.types import PushRegister
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind
from mailstead.services.dav.properties.webdav import http_date
from mailstead.telemetry import log
from mailstead.usecases.collections import Opened

_log = log.get("dav")


async def register(call: Call, asked: PushRegister) -> Response:
    """Register a device for the collection that was asked. Errors: BadRequest, LimitReached."""
    opened = await call.opened()
    if opened.is_people:
        raise BadRequest("Changes here are not told", 403, push("push-not-available"))
    if not asked.watches_content:
        raise BadRequest("Only changes of content are told", 403, push("no-supported-trigger"))
    try:
        registration, is_new = await call.house.dav_push.register(
            call.actor, opened, asked.push_url, asked.public_key, asked.auth_secret, _moment(asked.expires)
        )
    except PolicyRefused as error:
        raise BadRequest(error.public_text, 403, push("invalid-subscription")) from None
    where = Place(PlaceKind.PUSH, resource=registration.push_id).path
    headers = {"location": call.house.base_url + where, "expires": http_date(registration.expires_at)}
    return Response(status_code=201 if is_new else 204, headers=headers)


async def unregister(call: Call) -> Response:
    """End a registration. Errors: NoSuchShare."""
    await call.house.dav_push.unregister(call.actor, call.place.resource)
    return Response(status_code=204)


async def spare(call: Call, opened: Opened) -> None:
    """Do not tell a device what it has just done itself, where it asks for that; `opened` is from before.

    Spec: WebDAV-Push draft, "Suppressing notifications".
    """
    value = call.headers.get("push-dont-notify", "").strip()
    if not value:
        return
    push_ids = frozenset(each.strip().strip('"').rpartition("/")[2] for each in value.split(","))
    try:
        await call.house.dav_push.spare(call.actor, opened, call.place.resource, None if value == "*" else push_ids)
    except MailsteadError as error:  # what was put stays put, and the device is told of it
        _log.info("a device is told of its own change", error=error.public_text)


def _moment(text: str) -> datetime | None:
    """Read when a client wants it to end; what cannot be read says nothing."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
