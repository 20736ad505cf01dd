"""Images within formatted text that somebody here writes: taken in by their octets, found again in a draft.

Spec: RFC 2387 (related), RFC 2392 (``cid:``); attack rows 86 and 97 (what is called an image and is none).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from mailstead.mime.binary import decoded_part
from mailstead.mime.composition import Attached
from mailstead.mime.showing.body_choice import body_choice
from mailstead.mime.showing.message import PICTURES_MAX, PICTURES_OCTETS_MAX, parts_to_read
from mailstead.mime.showing.raster import raster
from mailstead.mime.tree import part_tree
from mailstead.model.errors import BadMessage, MessageTooLarge

IMAGE_OCTETS_MAX: Final = 2 * 1024 * 1024
"""Of one; a larger one would be listed below the text, not shown in it (`showing.message.PICTURE_OCTETS_MAX`)."""
IMAGES_OCTETS_MAX: Final = int(PICTURES_OCTETS_MAX / 1.37)
"""Of all of one text, in their own octets: base64 with its line ends makes that much more of them."""
MEDIA_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What all readers show."""
# RFC 2045 §7 has more; what would have to be encoded in an address is left out.
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9._$+=-]{1,150}(?:@[A-Za-z0-9._-]{1,253})?")
_NEW_ID: Final = re.compile(r"[0-9a-f]{32}@[A-Za-z0-9.-]{1,150}")
# As `safe_formatted` writes it: in text there is no angle, in values there are no quotes.
_ADDRESS: Final = re.compile(r'<img(?: [a-z]+="[^"]*")*? src="cid:([^"]+)"')


def new_image(octets: bytes, content_id: str) -> Attached:
    """Give an image that comes into a text. It has no name: the one of a file tells others of the writer's machine.

    Errors: BadMessage, for what is no image by its octets, one of a size that no browser shows, and an odd content id;
    MessageTooLarge, above `IMAGE_OCTETS_MAX`.
    """
    if len(octets) > IMAGE_OCTETS_MAX:
        raise MessageTooLarge
    if _NEW_ID.fullmatch(content_id) is None:
        raise BadMessage("A cid has letters, digits, @, . and the like")
    image = _image(octets, content_id)
    if image is None:
        raise BadMessage("An image within the text is a PNG, JPEG, GIF or WebP file")
    return image


def images_of(octets: bytes) -> dict[str, Attached]:
    """Give the images that belong to the HTML text of a message, by their content ids.

    Shapes: what is listed as a file (``attachment``) is none, nor what reading would not show.
    """
    parts = part_tree(octets)
    choice = body_choice(parts)
    related = {index for body in choice.bodies for index in body.related}
    found: dict[str, Attached] = {}
    for index in parts_to_read(parts, choice):
        part = parts[index]
        content_id = (part.content_id or "").strip().strip("<>")
        if index not in related or part.disposition == "attachment" or _CONTENT_ID.fullmatch(content_id) is None:
            continue
        content = decoded_part(octets[part.body_start : part.body_end], part.encoding)
        image = _image(content or b"", content_id)
        if image is not None:
            found.setdefault(content_id, image)
    return found


def images_named(html: str, images: Mapping[str, Attached]) -> list[Attached]:
    """Give those images that a text has, which `safe_formatted` gave."""
    return [images[each] for each in dict.fromkeys(_ADDRESS.findall(html)) if each in images]


def checked_images(images: Iterable[Attached]) -> list[Attached]:
    """Give images as a list. Errors: BadMessage, for more than reading shows within one text."""
    found = list(images)
    if len(found) > PICTURES_MAX or sum(len(each.octets) for each in found) > IMAGES_OCTETS_MAX:
        raise BadMessage("There are too many images within the text: attach some as files")
    return found


def _image(octets: bytes, content_id: str) -> Attached | None:
    found = raster(octets)
    if found is None or found.media_type not in MEDIA_TYPES or not found.is_reasonable:
        return None
    return Attached(octets, "", found.media_type, content_id)
