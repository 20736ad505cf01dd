"""Images within what is written: shown in the editor, taken up into the draft, and those that an answer quotes.

The text names them by ``cid:`` in the form as in the message; only the editor's script, for showing them, has addresses
of ours. A text has the images of its own draft and of the message that it answers, whoever names others.
Spec: RFC 2392; attack rows 86, 92 and 97.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from mailstead.mime.composition import Attached
from mailstead.mime.inline_images import IMAGE_OCTETS_MAX, images_of, new_image
from mailstead.model.errors import MessageTooLarge, NoSuchEmail, NoSuchMessage, PolicyRefused
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.protecting import fields_of_draft

_HEADERS: Final = {
    "cache-control": "private, no-store",
    "content-disposition": "inline",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""It may be a stranger's, which is quoted."""


async def image(visit: Visit) -> Response:
    """Give an image of a draft, or of the message that is answered, as what its octets are."""
    query = visit.request.query_params
    found = await images_there(visit, query.get("draft", ""), query.get("answered", ""))
    wanted = found.get(query.get("cid", ""))
    if wanted is None:
        raise NoSuchMessage
    return Response(wanted.octets, media_type=wanted.media_type, headers=_HEADERS)


async def images_there(visit: Visit, draft_id: str, answered: str) -> dict[str, Attached]:
    """Give the images that a text may have, by their content ids; none of a message that is gone or locked.

    Of the message that is answered nothing is decrypted: an answer does not quote what was.
    """
    found: dict[str, Attached] = {}
    for message_id in filter(None, (answered, draft_id)):
        try:
            view = await visit.house.messages.show(visit.actor, message_id)
            (octets,) = await visit.house.messages.octets(visit.actor, [view])
            if message_id == draft_id:
                octets, _ticked = await fields_of_draft(visit, octets)
        except (NoSuchMessage, NoSuchEmail, PolicyRefused):
            continue
        found |= await asyncio.to_thread(images_of, octets)
    return found


async def image_taken(form: FormData) -> Attached | None:
    """Give the image that the form brings into the text. Errors: BadMessage, MessageTooLarge, as `new_image`."""
    file = form.get("image")
    if not isinstance(file, UploadFile):
        return None
    if file.size is None or file.size > IMAGE_OCTETS_MAX:
        raise MessageTooLarge
    return new_image(await file.read(), str(form.get("image_id", "")))


def has_images(fields: Mapping[str, str]) -> bool:
    """Whether a text may name some: looking for them costs reading its draft."""
    return "cid:" in fields.get("html", "").lower()


PAGES: Final = (Page("/mail/write/image", image, Who.OWNER),)
