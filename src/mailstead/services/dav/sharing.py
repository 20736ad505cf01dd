"""Sharing over HTTP, as Apple's clients do it, and as the draft of WebDAV has it: POST on a collection says with whom.

Who gets a share has it at once, and takes it off by removing it from the own home.

Spec: caldav-sharing (Apple) §5.3; draft-pot-webdav-resource-sharing §4.3.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.dav import Access
from mailstead.model.errors import BadAddress, NoSuchAccount, NoSuchShare
from mailstead.proto.dav.types import InviteReply, ShareRequest
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.call import Call
from mailstead.services.dav.paths import PlaceKind, place_of

SHAREES_MAX: Final = 100
"""Of one request."""
_ACCESS: Final = {"read": Access.READ, "read-write": Access.WRITE}


async def post(call: Call, asked: ShareRequest | InviteReply) -> Response:
    """Change with whom a collection is shared.

    Errors: BadRequest (also for who is none here), NotAllowed (not the owner).
    """
    if isinstance(asked, InviteReply):
        # What is shared is there at once: nothing waits for an answer.
        raise BadRequest("There is no invitation to answer; remove the calendar if you do not want it", 403)
    if len(asked.changes) > SHAREES_MAX:
        raise BadRequest(f"Share with {SHAREES_MAX} at a time", 403)
    opened = await call.opened()
    sharings = call.house.sharings
    for change in asked.changes:
        address = address_of(call, change.href)
        if change.access:
            try:
                await sharings.share(call.actor, opened, address, _ACCESS[change.access])
            except NoSuchAccount as error:
                raise BadRequest(error.public_text, 403) from None
        else:
            try:
                await sharings.unshare(call.actor, opened, address)
            except NoSuchShare:
                continue  # nothing to take back
    return Response(status_code=200)


def address_of(call: Call, href: str) -> Address:
    """Give the address that an href means: ``mailto:``, or the path of a principal. Errors: BadRequest."""
    text = href.strip()
    if text.lower().startswith("mailto:"):
        text = text[len("mailto:") :]
    elif "/" in text:
        place = place_of(text.partition("://")[2].partition("/")[2] if "://" in text else text)
        if place is None or place.kind is not PlaceKind.PRINCIPAL:
            raise BadRequest("That is nobody's address", 403)
        text = place.user
    if "@" not in text and call.actor.address is not None:
        text = f"{text}@{call.actor.address.domain}"
    try:
        return Address.parse(text)
    except BadAddress:
        raise BadRequest("That is nobody's address", 403) from None
