"""WebDAV-Push over HTTP: POST on a collection registers a device, DELETE of what that gives ends it.

Spec: WebDAV-Push draft (bitfire), "Subscription registration", "Subscription removal".
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from starlette.responses import Response

from mailstead.model.errors import PolicyRefused
from mailstead.proto.dav.names import push
from mailstead.proto.dav.types import PushRegister
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import Place, PlaceKind
from mailstead.services.dav.properties.webdav import http_date


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


def _moment(text: str) -> datetime | None:
    """Read when a client wants it to end; what cannot be read says nothing."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
