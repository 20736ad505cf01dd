"""Groups as contacts of their own: whom they stand for, and how that is changed; all else of them stays.

In 4.0 it is KIND and MEMBER; in 3.0, which knows neither, Apple's properties, which most programs read.

Spec: RFC 6350 §6.1.4, §6.6.5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, Property, escaped, write
from mailstead.pim.vcard import CONDITION, card

MEMBERS_MAX: Final = 1000
_NAMES: Final = {"3.0": "X-ADDRESSBOOKSERVER-MEMBER", "4.0": "MEMBER"}
_URN: Final = re.compile(r"(?i)urn:uuid:")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")


def composed_group(uid: str, name: str, member_uids: Sequence[str] = ()) -> bytes:
    """Give a new group, in 3.0 as all new contacts. Errors: BadObject, without a name or UID, or for too many."""
    if not name.strip():
        raise BadObject("A group has a name", condition=CONDITION)
    told = escaped(" ".join(name.split()))
    properties = [Property("VERSION", "3.0"), Property("UID", escaped(uid)), Property("FN", told)]
    properties += [Property("N", f"{told};;;;"), Property("X-ADDRESSBOOKSERVER-KIND", "group")]
    return with_members(write(Component("VCARD", properties)), member_uids)


def with_members(octets: bytes, added: Sequence[str] = (), removed: Collection[str] = ()) -> bytes:
    """Give a group that stands for others besides, and not for some. Errors: BadObject, for too many."""
    found = card(octets)
    component, gone = found.component.copy(), {plain_uid(each) for each in removed}
    component.properties[:] = [
        each for each in component.properties if each.name not in _NAMES.values() or plain_uid(each.value) not in gone
    ]
    there = {plain_uid(each.value) for each in component.properties if each.name in _NAMES.values()}
    for uid in added:
        if plain_uid(uid) not in there:
            there.add(plain_uid(uid))
            component.properties.append(Property(_NAMES[found.version], member_of(uid)))
    if added and len(there) > MEMBERS_MAX:
        raise BadObject(f"A group has at most {MEMBERS_MAX} members", condition=CONDITION)
    return _checked(component)


def with_other_member(octets: bytes, old_uids: Collection[str], uid: str) -> bytes | None:
    """Give a group that stands for one in place of several who are the same; None: it stands for none of these."""
    component, gone = card(octets).component.copy(), {plain_uid(each) for each in old_uids}
    named = [plain_uid(each.value) for each in component.properties if each.name in _NAMES.values()]
    if gone.isdisjoint(named):
        return None
    is_there, kept = plain_uid(uid) in named, list[Property]()
    for each in component.properties:
        if each.name not in _NAMES.values() or plain_uid(each.value) not in gone:
            kept.append(each)
        elif not is_there:
            is_there = True
            kept.append(Property(each.name, member_of(uid), each.parameters, each.group))
    component.properties[:] = kept
    return _checked(component)


def member_of(uid: str) -> str:
    """Give a UID as groups name it: as URI, which Apple's programs also make of a UID that is no UUID."""
    return uid if _URI.match(uid) else f"urn:uuid:{uid}"


def plain_uid(uid: str) -> str:
    """Give by what a UID and what a group calls it are the same: without the URN, which some write into UID."""
    return _URN.sub("", uid.strip(), count=1) if _URN.match(uid.strip()) else uid.strip()


def _checked(component: Component) -> bytes:
    octets = write(component)
    card(octets)
    return octets
