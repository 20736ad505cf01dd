"""Messages that other parsers may read otherwise than we do.

We have one reading, for all who look at a message: of fields that may stand once the first counts, the innermost of
equal boundaries, and so on. Where a message is made so that a reading is a choice, a filter may want to know.

Spec: RFC 2045 §5 and §6, RFC 2046 §5.1, RFC 5322 §3.6 (how often a field may stand).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mailstead.mime.header import HEADER_OCTETS_MAX, raw_fields
from mailstead.mime.octets import piece
from mailstead.mime.parameters import valued
from mailstead.model.message import Octets, PartFacts

_ONCE_IN_PART: Final = frozenset({b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id"})
_ONCE_IN_MESSAGE: Final = _ONCE_IN_PART | {
    b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"subject", b"date", b"message-id", b"mime-version",
}  # fmt: skip
_BOUNDARY: Final = re.compile(rb"\bboundary\b", re.IGNORECASE)


def ambiguities(octets: Octets, parts: Sequence[PartFacts]) -> list[str]:
    """Name each reason, once, why somebody else may see another message here; usually none.

    Spec: RFC 2045 §5, §6; RFC 5322 §3.6.
    """
    reasons: dict[str, None] = {}
    boundaries: list[bytes] = []
    for part in parts:
        stop = min(part.body_start, part.header_start + HEADER_OCTETS_MAX)
        is_message = part.parent < 0 or parts[part.parent].is_message
        once = _ONCE_IN_MESSAGE if is_message else _ONCE_IN_PART
        seen: set[bytes] = set()
        header = piece(octets, part.header_start, stop)
        if b"\0" in header:
            reasons["a NUL in a header"] = None
        for name, value in raw_fields(header):
            key = name.rstrip().lower()
            if key in once and key in seen:
                reasons[f"{key.decode('ascii')} stands twice"] = None
            seen.add(key)
            if key == b"content-type":
                _look_at_type(value, boundaries, reasons)
    if len(set(boundaries)) < len(boundaries):
        reasons["two multiparts have one boundary"] = None
    elif any(longer.startswith(shorter) for shorter, longer in _neighbours(boundaries)):
        reasons["a boundary begins another one"] = None
    return list(reasons)


def _look_at_type(value: bytes, boundaries: list[bytes], reasons: dict[str, None]) -> None:
    """Note the boundary of a Content-Type, and what is odd about it."""
    content_type = valued(value)
    if not content_type.value.startswith("multipart/"):
        return
    if content_type.boundary is None:
        reasons["a multipart has no boundary"] = None
    else:
        boundaries.append(content_type.boundary)
        if len(_BOUNDARY.findall(value)) > 1:
            reasons["a multipart has two boundaries"] = None


def _neighbours(boundaries: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Pair each boundary with the next one in order: what begins another stands directly before such a one."""
    ordered = sorted(boundaries)
    return list(pairwise(ordered))
