"""Contacts: vCard 3.0 and 4.0, kept as they were sent.

Spec: RFC 6350 (4.0); RFC 2426 (3.0); RFC 6352 §5.1, §6.3.2.1.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mailstead.model.dav import TEXT_MAX, ResourceFacts
from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import UID_CHARACTERS_MAX
from mailstead.pim.component import Component, Property, parse, split_unescaped, unescaped, write

CONDITION: Final = "valid-address-data"
VERSIONS: Final = frozenset({"3.0", "4.0"})
SUMMARY_MAX: Final = 200
_SEARCHED: Final = frozenset(
    {"FN", "N", "NICKNAME", "EMAIL", "TEL", "ORG", "TITLE", "ROLE", "NOTE", "ADR", "CATEGORIES", "URL", "IMPP"}
)
_QUOTED_PRINTABLE: Final = re.compile(rb"[^:\r\n]*;ENCODING=QUOTED-PRINTABLE[^:\r\n]*:", re.IGNORECASE)
_BEGIN: Final = re.compile(rb"^BEGIN:VCARD[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class Card:
    """One contact."""

    component: Component
    uid: str
    version: str
    """``3.0`` or ``4.0``."""

    @property
    def is_group(self) -> bool:
        """Whether it stands for several. Spec: RFC 6350 §6.1.4; Apple's own property says it in 3.0."""
        return "group" in {self.component.value(name).strip().lower() for name in ("KIND", "X-ADDRESSBOOKSERVER-KIND")}


def card(octets: bytes) -> Card:
    """Read a contact that may be kept.

    Errors: BadObject with the condition of RFC 6352 §6.3.2.1.
    """
    found = parse(_without_soft_breaks(octets), CONDITION)
    if len(found) != 1 or found[0].name != "VCARD":
        raise BadObject("An object is one vCard", condition=CONDITION)
    return of_component(found[0])


def of_component(component: Component) -> Card:
    """Look at a component as one contact. Errors: BadObject, as `card`."""
    version = component.value("VERSION").strip()
    if version not in VERSIONS:
        raise BadObject("Only vCard 3.0 and 4.0 are kept", condition="supported-address-data")
    uids = [each.value.strip() for each in component.all("UID")]
    if len(uids) != 1 or not uids[0]:
        raise BadObject("A contact has one UID", condition=CONDITION)
    if len(uids[0]) > UID_CHARACTERS_MAX:
        raise BadObject(f"A UID has at most {UID_CHARACTERS_MAX} characters", condition=CONDITION)
    if "\t" in uids[0]:  # other control characters are in no object
        raise BadObject("A UID has no control characters", condition=CONDITION)
    # Some phones leave FN out, which 3.0 and 4.0 demand; N says as much.
    if component.first("FN") is None and component.first("N") is None:
        raise BadObject("A contact has a name: FN", condition=CONDITION)
    return Card(component, uids[0], version)


def card_facts(found: Card) -> ResourceFacts:
    """Give the facts of a contact."""
    component = found.component
    lines = [texts for prop in component.properties if prop.name in _SEARCHED and (texts := _text(prop))]
    return ResourceFacts(
        found.uid,
        "VCARD",
        is_group=found.is_group,
        summary=full_name(component)[:SUMMARY_MAX],
        text="\n".join(dict.fromkeys(lines))[:TEXT_MAX].casefold()[:TEXT_MAX],
    )


def full_name(component: Component) -> str:
    """Give FN, or what N makes of it."""
    written = component.first("FN")
    name = _text(written) if written is not None else ""
    if name:
        return name
    family, given = ([*split_unescaped(component.value("N"), ";"), "", ""])[:2]
    return f"{unescaped(given)} {unescaped(family)}".strip()


def split_cards(octets: bytes) -> list[bytes]:
    """Give each contact of a file of many.

    Those that lack a UID get one made from their content, so that the same file brings the same contacts; all others
    come as they stand in the file.
    Errors: BadObject, when nothing can be read.
    """
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    starts = card_starts(octets)
    if not starts:
        raise BadObject("There is no vCard in it", condition=CONDITION)
    pieces = [octets[start:stop].strip() for start, stop in zip(starts, [*starts[1:], len(octets)], strict=True)]
    return [_with_uid(each.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n") for each in pieces]


def card_starts(octets: bytes) -> list[int]:
    """Give where the contacts of a file begin."""
    return [each.start() for each in _BEGIN.finditer(octets)]


def _with_uid(octets: bytes) -> bytes:
    if re.search(rb"(?im)^(?:[A-Za-z0-9-]+\.)?UID[;:]", octets):
        return octets
    try:
        (component,) = parse(_without_soft_breaks(octets), CONDITION)
    except (BadObject, ValueError):
        return octets  # told when it is put
    component.properties.append(Property("UID", sha256(octets).hexdigest()[:32]))
    return write(component)


def _text(prop: Property) -> str:
    """Give a property's value as people read it."""
    value = prop.value
    if (prop.parameter("ENCODING") or "").upper() == "QUOTED-PRINTABLE":
        value = a2b_qp(value.encode()).decode(errors="replace")
    return " ".join(filter(None, (unescaped(each).strip() for each in split_unescaped(value, ";"))))


def _without_soft_breaks(octets: bytes) -> bytes:
    """Join lines as quoted-printable does, which is of vCard 2.1.

    quirk_quoted_printable: some phones write it into what they call 3.0.
    """
    if b"QUOTED-PRINTABLE" not in octets.upper():
        return octets
    pieces: list[bytes] = []
    is_open = False
    for line in octets.splitlines(keepends=True):
        is_open = (is_open or _QUOTED_PRINTABLE.match(line) is not None) and line.rstrip(b"\r\n").endswith(b"=")
        pieces.append(line.rstrip(b"\r\n")[:-1] if is_open else line)
    return b"".join(pieces)
