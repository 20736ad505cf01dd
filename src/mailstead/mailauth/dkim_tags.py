"""Tag lists: what signatures and key records are written in.

Spec: RFC 6376 §3.2.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from typing import Final

from mailstead.model.authentication import Result

# RFC 6376 §3.2:
#   tag-list  = tag-spec *( ";" tag-spec ) [ ";" ]
#   tag-spec  = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
#   tag-name  = ALPHA *ALNUMPUNC ; ALNUMPUNC = ALPHA / DIGIT / "_"
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")

Tags = Mapping[bytes, bytes]
"""Values without white space around them, by name."""


class Refused(Exception):
    """A signature or key that cannot pass: which result it gets, and why."""

    def __init__(self, result: Result, reason: str) -> None:
        self.result = result
        self.reason = reason
        super().__init__(reason)


def tags_of(text: bytes) -> Tags:
    """Read a tag list.

    Errors: Refused (permerror), if the syntax is wrong or a tag stands twice.
    Spec: RFC 6376 §3.2.
    """
    tags: dict[bytes, bytes] = {}
    specs = text.split(b";")
    if not specs[-1].strip():
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip()
        if not equals or not (name.isalpha() or _NAME.fullmatch(name)):
            raise Refused(Result.PERMERROR, "a tag is not well formed")
        if name in tags:
            raise Refused(Result.PERMERROR, f"the tag {name.decode()}= stands twice")
        tags[name] = value.strip()
    return tags


def without_signature(value: bytes) -> bytes:
    """Empty the ``b=`` tag of a raw value and leave all else as it is. Spec: RFC 6376 §3.7."""
    specs = value.split(b";")
    for number in range(len(specs) - 1, -1, -1):
        name, equals, _ = specs[number].partition(b"=")
        if name.strip() == b"b":
            specs[number] = name + equals
            break
    return b";".join(specs)


def without_spaces(value: bytes) -> bytes:
    """Remove folding white space inside a value."""
    return b"".join(value.split())


def octets_of(value: bytes) -> bytes:
    """Decode base64 with folding white space.

    Errors: Refused (permerror).
    """
    try:
        return b64decode(without_spaces(value), validate=True)
    except (Error, ValueError):
        raise Refused(Result.PERMERROR, "a tag is not base64") from None


def words_of(value: bytes) -> tuple[bytes, ...]:
    """Split a colon-separated list, without white space around its members, in lower case."""
    return tuple(without_spaces(value).lower().split(b":"))
