"""Values of DNS records as zone files write them, in one form, so that two of them can be compared.

Spec: RFC 1035 §5.1 (zone files), RFC 2782 (SRV), RFC 6698 §2.2 (TLSA), RFC 8659 §4.1.1 (CAA).
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(\d{3}|.)", re.DOTALL)


def normal(kind: str, value: str) -> str:
    """Give a value in the form that `ports.zones` speaks of. What is not well formed stays as it is."""
    if kind == "TXT":
        return value
    words = value.split()
    try:
        if kind in {"A", "AAAA"}:
            return str(ip_address(value.strip()))
        if kind in {"CNAME", "NS"}:
            (target,) = words
            return _name(target)
        if kind in {"MX", "SRV"}:
            *numbers, target = words
            return " ".join((*(str(int(number)) for number in numbers), _name(target)))
        if kind == "TLSA":
            usage, selector, matching_type, *digits = words
            return " ".join((usage, selector, matching_type, "".join(digits).lower()))
        if kind == "CAA":
            flags, tag, text = value.split(None, 2)
            return f'{int(flags)} {tag.lower()} "{unquoted(text)}"'
    except ValueError:
        pass
    return value


def unquoted(text: str) -> str:
    """Give what quoted strings hold, joined; a text without quotes stays as it is. Spec: RFC 1035 §5.1."""
    text = text.strip()
    if not text.startswith('"') or _QUOTED.sub("", text).strip():
        return text
    return "".join(_ESCAPED.sub(_letter, found[1]) for found in _QUOTED.finditer(text))


def _letter(found: re.Match[str]) -> str:
    return chr(int(found[1])) if len(found[1]) > 1 else found[1]


def _name(text: str) -> str:
    return text.lower().removesuffix(".") + "."
