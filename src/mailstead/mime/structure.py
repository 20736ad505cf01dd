"""The body structure, rendered from the facts of the parts.

The stored form is BODYSTRUCTURE, with the extension data; BODY, which few clients ask for, is cut out of it by
`proto.imap.write.body`. Only message parts need more than their facts: the summary of their header.

Spec: RFC 9051 §7.5.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from mailstead.mime.header import HEADER_OCTETS_MAX
from mailstead.mime.nstring import nstring_of, parameter_list
from mailstead.mime.octets import piece
from mailstead.mime.summary import header_summary
from mailstead.model.message import Octets, PartFacts

_DEFAULT_CHARSET: Final = (("charset", "us-ascii"),)
_EMPTY_BODY: Final = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'


def body_structure(octets: Octets, parts: Sequence[PartFacts]) -> bytes:
    """Render BODYSTRUCTURE with its extension data.

    Spec: RFC 9051 §7.5.2 (BODYSTRUCTURE).
    """
    summaries: dict[int, bytes] = {}
    for index, part in enumerate(parts):
        if part.is_message:
            nested = parts[index + 1]
            stop = min(nested.body_start, nested.header_start + HEADER_OCTETS_MAX)
            summaries[index] = header_summary(piece(octets, nested.header_start, stop))
    return _rendered(parts, summaries)


def has_attachment(structure: bytes) -> bool:
    """Whether some part says that it is an attachment, from the rendered form; a parameter of that name is none.

    Spec: RFC 2183 §2.2; RFC 9051 §9 (body-fld-dsp).
    """
    return b'("attachment" (' in structure or b'("attachment" NIL)' in structure


def _rendered(parts: Sequence[PartFacts], summaries: Mapping[int, bytes]) -> bytes:
    """Render all parts, children before parents: a parent's index is always lower."""
    if len(parts) == 1:
        return _leaf(parts[0], b"")
    inner: list[list[bytes]] = [[] for _ in parts]
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if part.media_type.startswith("multipart/"):
            children = b"".join(reversed(inner[index])) or _EMPTY_BODY
            subtype = nstring_of(part.media_type.partition("/")[2])
            rendered = b"(%b %b%b)" % (children, subtype, _extension(part))
        elif part.is_message:
            message = b" %b %b" % (summaries[index], inner[index][0])
            rendered = _leaf(part, message)
        else:
            rendered = _leaf(part, b"")
        if part.parent < 0:
            return rendered
        inner[part.parent].append(rendered)
        inner[index] = []
    raise AssertionError("the first part has no parent")


def _leaf(part: PartFacts, message: bytes) -> bytes:
    """Render body-type-basic, body-type-text or body-type-msg. Spec: RFC 9051 §9."""
    is_text = part.media_type.startswith("text/")
    params = part.params
    if is_text and not any(name == "charset" for name, _ in params):
        # RFC 2046 §4.1.2: the default. Clients show text without it in whatever they like.
        params += _DEFAULT_CHARSET
    return b"(%b %b %b %b %b %d%b%b%b)" % (
        _types(part.media_type),
        parameter_list(params),
        nstring_of(part.content_id),
        nstring_of(part.description),
        _word(part.encoding),
        part.body_end - part.body_start,
        message,
        b" %d" % part.line_count if is_text or message else b"",
        _extension(part),
    )


@lru_cache(maxsize=1024)
def _types(media_type: str) -> bytes:
    """Write ``"type" "subtype"``."""
    main, _, sub = media_type.partition("/")
    return nstring_of(main) + b" " + nstring_of(sub)


@lru_cache(maxsize=256)
def _word(text: str) -> bytes:
    return nstring_of(text)


def _extension(part: PartFacts) -> bytes:
    """Render body-ext-1part or body-ext-mpart, complete. Spec: RFC 9051 §9."""
    is_multipart = part.media_type.startswith("multipart/")
    first = parameter_list(part.params) if is_multipart else nstring_of(part.md5)
    if part.disposition is None and not part.languages and part.location is None:
        return b" %b NIL NIL NIL" % first
    disposition = b"NIL"
    if part.disposition is not None:
        disposition = b"(%b %b)" % (nstring_of(part.disposition), parameter_list(part.disposition_params))
    languages = b"NIL"
    if part.languages:
        languages = b"(%b)" % b" ".join(map(nstring_of, part.languages))
    return b" %b %b %b %b" % (first, disposition, languages, nstring_of(part.location))
