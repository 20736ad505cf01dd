"""Which parts of a message are its body, which belong to it, and which are attachments.

Spec: RFC 2046 §5.1.3 (mixed), §5.1.4 (alternative: the last one that can be shown), §5.1.7; RFC 2387 §3 (related:
start, else the first); RFC 1847 §2.1 (signed: the first one); RFC 2183 §2 (disposition); RFC 6522 §3 (report).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from mailstead.model.message import PartFacts

BODIES_MAX: Final = 50
"""Shown one below the other; what comes behind is listed as an attachment."""
_SHOWN: Final = frozenset({"text/plain", "text/html"})
_SIGNATURES: Final = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_RASTERS: Final = frozenset(
    {"image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/bmp", "image/x-ms-bmp"}
)


class Body(NamedTuple):
    """A part that is shown."""

    part: int
    """Index in the list of parts."""
    related: tuple[int, ...] = ()
    """Parts that its addresses may mean. Spec: RFC 2387, RFC 2557."""


class Choice(NamedTuple):
    """What is shown of a message, by indexes in its list of parts."""

    bodies: tuple[Body, ...]
    attachments: tuple[int, ...]
    """In their order; enclosed pictures that no HTML asks for come to them later."""
    encrypted: tuple[int, ...]
    """Parts that say nothing before they are decrypted."""
    signed: tuple[int, ...]
    """Multiparts with a signature."""
    has_plain: bool
    has_html: bool
    """Whether the reader has a choice, or had."""


class _Found:
    """What one subtree gives."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.attachments: list[int] = []
        self.encrypted: list[int] = []
        self.signed: list[int] = []
        self.kinds: set[str] = set()

    def add(self, other: _Found) -> None:
        self.bodies += other.bodies
        self.attachments += other.attachments
        self.encrypted += other.encrypted
        self.signed += other.signed
        self.kinds |= other.kinds


def body_choice(parts: Sequence[PartFacts], *, prefers_html: bool = True) -> Choice:
    """Choose what is shown. `parts` are those of a whole message, depth first.

    Shapes: never fails; there may be no body. Enclosed messages are attachments.
    """
    children: list[list[int]] = [[] for _ in parts]
    for index, part in enumerate(parts):
        if part.parent >= 0 and not parts[part.parent].is_message:
            children[part.parent].append(index)
    # What each part gives is put together from its own parts, which come behind it in the list.
    found: dict[int, _Found] = {}
    for index in range(len(parts) - 1, -1, -1):
        found[index] = _of(parts, index, [(child, found.pop(child)) for child in children[index]], prefers_html)
    whole = found[0] if parts else _Found()
    bodies, late = whole.bodies[:BODIES_MAX], [body.part for body in whole.bodies[BODIES_MAX:]]
    return Choice(
        tuple(bodies),
        tuple(sorted({*whole.attachments, *late})),
        tuple(whole.encrypted),
        tuple(whole.signed),
        "text/plain" in whole.kinds,
        "text/html" in whole.kinds,
    )


def _of(parts: Sequence[PartFacts], index: int, own: list[tuple[int, _Found]], prefers_html: bool) -> _Found:
    part = parts[index]
    if not part.media_type.startswith("multipart/"):
        return _leaf(part, index)
    found = _Found()
    if part.media_type == "multipart/alternative":
        return _alternative(own, prefers_html)
    if part.media_type == "multipart/related":
        return _related(parts, part, own)
    if part.media_type == "multipart/encrypted":
        found.encrypted.append(index)
        return found
    if part.media_type == "multipart/signed":
        found.signed.append(index)
    for _, each in own:
        found.add(each)
    return found


def _leaf(part: PartFacts, index: int) -> _Found:
    found = _Found()
    if part.media_type in _SIGNATURES:
        return found
    if part.media_type in _SHOWN and part.disposition != "attachment" and not _file_name(part):
        found.bodies.append(Body(index))
        found.kinds.add(part.media_type)
    elif part.media_type in {"application/pkcs7-mime", "application/x-pkcs7-mime"}:
        found.encrypted.append(index)
    else:
        found.attachments.append(index)
    return found


def _file_name(part: PartFacts) -> str:
    """Give the name of a text that is meant to be a file: only with a disposition, as some mailers name all parts."""
    return dict(part.disposition_params).get("filename", "") if part.disposition else ""


def _alternative(own: list[tuple[int, _Found]], prefers_html: bool) -> _Found:
    """Take the last one that can be shown, or the last one of the kind that the reader likes better."""
    wanted = "text/html" if prefers_html else "text/plain"
    shown = [each for _, each in own if each.bodies or each.encrypted]
    liked = [each for each in shown if wanted in each.kinds]
    if not prefers_html:
        liked = [each for each in liked if "text/html" not in each.kinds] or liked
    candidates = liked or shown
    chosen = candidates[-1] if candidates else None
    found = _Found()
    for _, each in own:
        found.kinds |= each.kinds
        if each is chosen:
            found.bodies += each.bodies
            found.encrypted += each.encrypted
            found.signed += each.signed
        found.attachments += each.attachments  # files stand in the branch that is not shown, too
    return found


def _related(parts: Sequence[PartFacts], part: PartFacts, own: list[tuple[int, _Found]]) -> _Found:
    """Take the root; pictures beside it are its own, everything else is attached."""
    found = _Found()
    if not own:
        return found
    start = dict(part.params).get("start", "").strip().strip("<>")
    roots = [index for index, _ in own if start and (parts[index].content_id or "").strip().strip("<>") == start]
    root = (roots or [own[0][0]])[0]
    beside: list[int] = []
    for index, each in own:
        if index == root:
            found.add(each)
        else:
            beside += [body.part for body in each.bodies] + each.attachments
            found.encrypted += each.encrypted
    related = tuple(index for index in beside if parts[index].media_type in _RASTERS or parts[index].content_id)
    if found.bodies:
        found.bodies = [Body(body.part, (*body.related, *related)) for body in found.bodies]
        found.attachments += [index for index in beside if index not in set(related)]
    else:
        found.attachments += beside
    return found
