"""A message as it is shown: its bodies made safe, what belongs to them put in, what is left over listed.

Spec: RFC 2046, RFC 2387, RFC 2392 (``cid:``), RFC 2557 (Content-Location); attack rows 86 to 88.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urljoin

from mailstead.mime import charset
from mailstead.mime.binary import decoded_part
from mailstead.mime.octets import piece
from mailstead.mime.showing.body_choice import Body, Choice, body_choice
from mailstead.mime.showing.document import document
from mailstead.mime.showing.image_addresses import Rewrite
from mailstead.mime.showing.plain_text import html_of_text, text_terms
from mailstead.mime.showing.raster import raster
from mailstead.mime.showing.safe_html import Blocked, Caution, SafeHtml, safe_html
from mailstead.mime.showing.web_addresses import MisleadingLink
from mailstead.mime.tree import part_tree
from mailstead.model.message import Octets, PartFacts

BODY_OCTETS_MAX: Final = 6 << 20
"""Encoded octets read of each body."""
PICTURE_OCTETS_MAX: Final = 3 << 20
"""Encoded octets of one enclosed picture that stands in the page; a larger one is an attachment."""
PICTURES_OCTETS_MAX: Final = 12 << 20
"""Encoded octets of all of them."""
PICTURES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class ShownBody:
    """One body."""

    part: int
    """Index in the list of parts."""
    is_html: bool
    html: str = field(repr=False)
    css: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """What a page needs to show a message."""

    bodies: Sequence[ShownBody]
    attachments: Sequence[int]
    """Indexes in the list of parts, enclosed pictures that nothing shows among them."""
    choice: Choice
    blocked: Blocked
    misleading_links: Sequence[MisleadingLink]
    cautions: frozenset[Caution]
    loaded_count: int
    """Remote pictures with the address of a proxy."""

    @property
    def has_remote(self) -> bool:
        """Whether the frame's policy has to allow the proxy (`document.frame_headers`)."""
        return self.loaded_count > 0

    def document(self, title: str = "") -> str:
        """Give the document for the frame; may be called where nothing is to be shown."""
        css = "\n".join(body.css for body in self.bodies if body.css)
        return document("".join(body.html for body in self.bodies), css, title=title)


def parts_to_read(parts: Sequence[PartFacts], choice: Choice) -> list[int]:
    """Give the parts whose encoded octets `shown` needs: bodies (to `BODY_OCTETS_MAX`) and enclosed pictures."""
    wanted = [body.part for body in choice.bodies]
    room = PICTURES_OCTETS_MAX
    pictures = dict.fromkeys(index for body in choice.bodies for index in body.related)
    for index in list(pictures)[:PICTURES_MAX]:
        size = parts[index].body_end - parts[index].body_start
        if size <= min(PICTURE_OCTETS_MAX, room):
            room -= size
            wanted.append(index)
    return wanted


def shown(
    parts: Sequence[PartFacts],
    choice: Choice,
    read: Mapping[int, bytes],
    *,
    remote: Rewrite | None = None,
    is_decrypted: bool = False,
) -> ShownMessage:
    """Give a message as it is shown, from the encoded octets of its parts.

    Shapes: `read` holds what `parts_to_read` named, each body cut at `BODY_OCTETS_MAX`. `remote` gives the addresses of
    a proxy; None loads nothing. For what was decrypted it is never asked, whatever is handed in (attack row 88).
    """
    if is_decrypted:
        remote = None
    pictures = _Pictures(parts, read)
    bodies: list[ShownBody] = []
    blocked = Blocked()
    misleading: list[MisleadingLink] = []
    cautions: set[Caution] = set()
    loaded_count = 0
    for body in choice.bodies:
        part = parts[body.part]
        raw = read.get(body.part, b"")
        if len(raw) < part.body_end - part.body_start:
            cautions.add(Caution.CUT)
        text = _text(part, raw)
        if part.media_type != "text/html":
            is_flowed, deletes_space = text_terms(part.params)
            html = html_of_text(text, is_flowed=is_flowed, deletes_space=deletes_space)
            bodies.append(ShownBody(body.part, False, html))
            continue
        safe = safe_html(text, remote=remote, embedded=pictures.of(body))
        bodies.append(ShownBody(body.part, True, safe.html, safe.css))
        _add(blocked, safe)
        misleading += safe.misleading_links
        cautions |= safe.cautions
        loaded_count += safe.loaded_count
    related = {index for body in choice.bodies for index in body.related}
    attachments = sorted({*choice.attachments, *(related - pictures.used)})
    return ShownMessage(
        tuple(bodies), tuple(attachments), choice, blocked, tuple(misleading), frozenset(cautions), loaded_count
    )


def shown_message(
    octets: Octets, *, prefers_html: bool = True, remote: Rewrite | None = None, is_decrypted: bool = False
) -> ShownMessage:
    """Give a message, or a decrypted part of one, from all of its octets; see `shown`.

    Shapes: each decrypted part is shown by a call, and in a frame, of its own: nothing of what stands around it can
    enclose it (attack row 88, direct exfiltration).
    """
    parts = part_tree(octets)
    choice = body_choice(parts, prefers_html=prefers_html)
    read = {
        index: piece(octets, part.body_start, min(part.body_end, part.body_start + BODY_OCTETS_MAX))
        for index, part in ((index, parts[index]) for index in parts_to_read(parts, choice))
    }
    return shown(parts, choice, read, remote=remote, is_decrypted=is_decrypted)


def _text(part: PartFacts, raw: bytes) -> str:
    content = decoded_part(raw, part.encoding)
    label = dict(part.params).get("charset")
    return charset.decoded(raw if content is None else content, label, is_guessing=label is None)


def _add(blocked: Blocked, safe: SafeHtml) -> None:
    blocked.image_count += safe.blocked.image_count
    blocked.tracker_count += safe.blocked.tracker_count
    blocked.sheet_count += safe.blocked.sheet_count
    blocked.font_count += safe.blocked.font_count
    blocked.media_count += safe.blocked.media_count
    blocked.active_count += safe.blocked.active_count


class _Pictures:
    """Enclosed pictures, by what addresses name them."""

    def __init__(self, parts: Sequence[PartFacts], read: Mapping[int, bytes]) -> None:
        self._parts = parts
        self._read = read
        self._addresses: dict[int, str | None] = {}
        self.used: set[int] = set()

    def of(self, body: Body) -> Callable[[str], str | None]:
        """Give what resolves the addresses of one body."""
        location = self._parts[body.part].location or ""
        named: dict[str, int] = {}
        for index in body.related:
            part = self._parts[index]
            if part.content_id:
                # Spec: RFC 2392 §2: the id without angle brackets, %-escaped.
                named.setdefault("cid:" + part.content_id.strip().strip("<>"), index)
            if part.location:
                named.setdefault(part.location.strip(), index)
                named.setdefault(_joined(location, part.location.strip()), index)

        def resolved(address: str) -> str | None:
            scheme, _, rest = address.partition(":")
            if scheme.lower() == "cid":
                index = named.get(f"cid:{unquote(rest)}", named.get(f"cid:{rest}"))
            else:
                index = named.get(address, named.get(_joined(location, address)))
            return None if index is None else self._address(index)

        return resolved

    def _address(self, index: int) -> str | None:
        """Give a picture as ``data:``, if it is one by its first octets."""
        if index not in self._addresses:
            content = decoded_part(self._read[index], self._parts[index].encoding) if index in self._read else None
            found = raster(content) if content else None
            is_shown = found is not None and found.is_reasonable
            self._addresses[index] = (
                f"data:{found.media_type};base64,{base64.b64encode(content or b'').decode('ascii')}"
                if found is not None and is_shown
                else None
            )
        address = self._addresses[index]
        if address is not None:
            self.used.add(index)
        return address


def _joined(location: str, address: str) -> str:
    """Resolve an address against that of the body. Spec: RFC 2557 §5, RFC 3986 §5."""
    try:
        return urljoin(location, address)
    except ValueError:
        return address
