"""Addresses as people write them into a field: several, with names, in any script.

Spec: RFC 5322 §3.4, RFC 6532.
"""

from __future__ import annotations

from mailstead.mime.address import addresses_of
from mailstead.mime.composition import Correspondent
from mailstead.mime.header import text_of
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, BadMessage


def correspondents_of(text: str) -> tuple[Correspondent, ...]:
    """Read an address list. Errors: BadMessage, for line breaks, and naming what is no address."""
    if "\r" in text or "\n" in text:
        raise BadMessage("A header value has no line breaks")
    found = []
    for listed in addresses_of(text.encode("utf-8", "replace")):
        if listed.domain is None:
            continue  # the bounds of a group
        address = f"{text_of(listed.local_part or b'')}@{text_of(listed.domain)}"
        found.append(Correspondent(text_of(listed.name) if listed.name else "", checked_address(address)))
    return tuple(found)


def checked_address(address: str) -> str:
    """Give an address as it is written into a message. Errors: BadMessage."""
    try:
        return str(Address.parse(address))
    except BadAddress as error:
        raise BadMessage(f"{address[:200]}: {error.public_text}") from None


def written(name: str, address: str) -> str:
    """Give somebody as people write him into a field, so that `correspondents_of` reads the same again."""
    if not name:
        return address
    quoted = " ".join(name.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'
