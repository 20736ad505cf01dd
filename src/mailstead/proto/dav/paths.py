"""Segments of paths: how names stand in them.

``@`` is always written ``%40``: iOS takes the two for different resources (reference 8.1). Names are looked up, never
joined to a folder; but what a server before us might read otherwise is refused (attack row 82).

Spec: RFC 3986 §2.1, §3.3.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from mailstead.proto.dav.xml import BadRequest

SEGMENTS_MAX: Final = 10
PATH_OCTETS_MAX: Final = 4096
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""Names of nearly all objects: nothing in them needs a second look."""
_SAFE: Final = "-._~!$'()*+,;=:"


def segments(raw_path: str) -> tuple[list[str], bool]:
    """Give the decoded segments of a path, and whether it ends with a slash; doubled slashes count once.

    Errors: BadRequest: encoded slashes, dots alone, NUL, what is not UTF-8, too much of it.
    """
    if len(raw_path) > PATH_OCTETS_MAX:
        raise BadRequest("The path is too long", 414)
    found = [decoded(each) for each in raw_path.split("/") if each]
    if len(found) > SEGMENTS_MAX:
        raise BadRequest("The path has too many segments", 404)
    return found, raw_path.endswith("/")


def segment(name: str) -> str:
    """Give a name as it stands in a path."""
    return name if _PLAIN.fullmatch(name) else quote(name, safe=_SAFE)


def decoded(raw: str) -> str:
    """Give the name that one segment stands for. Errors: BadRequest, as `segments`."""
    if _PLAIN.fullmatch(raw) and raw not in {".", ".."}:
        return raw
    octets = unquote_to_bytes(raw)
    try:
        name = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The path is not in UTF-8") from None
    if "/" in name or "\\" in name or name in {".", ".."} or any(ord(each) < 32 or ord(each) == 127 for each in name):
        raise BadRequest("That is no name of a resource")
    return name
