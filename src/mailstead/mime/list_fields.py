"""What mailing lists say in the header: who they are, and how one leaves them. Pure; whom to believe, others decide.

Spec: RFC 2919 §2 (List-Id); RFC 2369 §2, §3 (List-Unsubscribe …); RFC 8058 §3 (List-Unsubscribe-Post); RFC 3834 §5.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from mailstead.mime.header import fields, text_of, unfolded

URIS_MAX: Final = 10
URI_CHARACTERS_MAX: Final = 2000
NAME_CHARACTERS_MAX: Final = 200

# RFC 2369 §2: the field's value is a list of URIs in angle brackets; white space in them is ignored.
_URI: Final = re.compile(rb"<([^<>]{1,4000})>")
_SCHEME: Final = re.compile(r"(https?|mailto):", re.IGNORECASE)
# RFC 2919 §2: list-id-header = "List-ID:" [phrase] "<" list-id ">"
_LIST_ID: Final = re.compile(r"^(.*)<([^<>@\s]{1,255})>\s*$", re.DOTALL)
_ONE_CLICK: Final = b"list-unsubscribe=one-click"
_UNSUBSCRIBE: Final = b"list-unsubscribe"
_POST: Final = b"list-unsubscribe-post"


@dataclass(frozen=True, slots=True)
class ListFields:
    """What a message says of its list."""

    list_id: str = ""
    """Lower case; empty: none."""
    name: str = ""
    """What the list calls itself."""
    unsubscribe: tuple[str, ...] = ()
    """URIs of List-Unsubscribe in their order: https, http and mailto only."""
    wants_one_click: bool = False
    """It has List-Unsubscribe-Post as RFC 8058 asks; whether that is signed, the caller must see."""
    is_unambiguous: bool = False
    """Both fields stand there once: what is signed is what was read."""
    is_automatic: bool = False
    """Auto-Submitted or Precedence say that no person has written it."""


def list_fields(header: bytes) -> ListFields:
    """Read the header of a message; nothing in it is an error."""
    values: dict[bytes, bytes] = {}
    counts: Counter[bytes] = Counter()
    for each in fields(header):
        counts[each.name] += 1
        values.setdefault(each.name, header[each.value_start : each.stop])
    list_id, name = _list_id(text_of(values.get(b"list-id", b"")))
    post = unfolded(values.get(_POST, b"")).strip().lower()
    submitted = unfolded(values.get(b"auto-submitted", b"")).strip().lower()
    precedence = unfolded(values.get(b"precedence", b"")).strip().lower()
    return ListFields(
        list_id,
        name,
        _uris(values.get(_UNSUBSCRIBE, b"")),
        wants_one_click=post == _ONE_CLICK,
        is_unambiguous=counts[_UNSUBSCRIBE] == 1 and counts[_POST] == 1,
        is_automatic=(bool(submitted) and submitted != b"no") or precedence in {b"bulk", b"list", b"junk"},
    )


def _list_id(value: str) -> tuple[str, str]:
    found = _LIST_ID.match(value.strip())
    if found is None:
        return "", ""
    name = found[1].strip().strip('"').strip()
    return found[2].lower(), name[:NAME_CHARACTERS_MAX] if name.isprintable() else ""


def _uris(value: bytes) -> tuple[str, ...]:
    uris: list[str] = []
    for found in _URI.findall(unfolded(value))[:URIS_MAX]:
        uri = b"".join(found.split()).decode("ascii", "replace")
        if len(uri) <= URI_CHARACTERS_MAX and uri.isascii() and uri.isprintable() and _SCHEME.match(uri):
            uris.append(uri)
    return tuple(dict.fromkeys(uris))
