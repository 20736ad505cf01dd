"""Apple's push over HTTP: its devices register with GET or POST, token and key, and do so again every few days.

Spec: caldav-pubsubdiscovery (Apple) §4.2.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, Response

from mailstead.model.errors import NoSuchCollection, NoSuchResource, PolicyRefused
from mailstead.services.dav.call import Call

BODY_OCTETS_MAX: Final = 4096
FIELDS_MAX: Final = 16


async def subscribe(call: Call) -> Response:
    """Register a device, or renew that. Errors: NoSuchResource (there is no such service here), LimitReached."""
    devices = call.house.dav_push.apple
    if devices is None:
        raise NoSuchResource
    fields = _fields(call.request.scope.get("query_string", b""))
    if call.request.method == "POST":
        fields |= _fields(await call.body(BODY_OCTETS_MAX))
    try:
        await devices.subscribe(call.actor, fields.get("key", ""), fields.get("token", ""))
    except PolicyRefused as error:
        return _refusal(error.public_text)
    except NoSuchCollection:
        return _refusal("There is no such key")
    return Response()


def _fields(octets: bytes) -> dict[str, str]:
    """Read a form. What is none says nothing, and is refused for that."""
    try:
        found = parse_qs(octets.decode("utf-8", "replace"), max_num_fields=FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _refusal(text: str) -> Response:
    return PlainTextResponse(f"{text}\n", 400)
