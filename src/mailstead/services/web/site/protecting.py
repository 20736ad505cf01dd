"""Encrypting and signing what is written: what the form offers, and what becomes of the message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mailstead.mime.correspondents import correspondents_of
from mailstead.mime.header import first_values, header_end
from mailstead.mime.tree import part_tree
from mailstead.model.errors import MailsteadError
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import Visit

YES: Final = "yes"
TICKED: Final = b"X-Draft-Sign: yes\r\n"
"""Of a draft that is to be signed when it is sent; what is sent is composed anew, without it."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What the form says of it."""

    has_key: bool
    """Whether there is a key of one's own; without one nothing is offered."""
    is_locked: bool
    signs: bool
    encrypts: bool
    lacking: tuple[str, ...]
    """Recipients without a key, where it is to be encrypted: told before it is sent."""


async def protection(visit: Visit, fields: Mapping[str, str]) -> Protection:
    """Give what is to be shown beside what was written."""
    ring = visit.house.openpgp.keys
    own = await ring.own(visit.actor, fields.get("from", ""))
    encrypts = fields.get("encrypt") == YES
    lacking: list[str] = []
    if own is not None and encrypts:
        wanted = _recipients(fields)
        there = await ring.usable_for(visit.actor, wanted)
        lacking = [each for each in wanted if each not in there]
    unlocked = {each.fingerprint for each in ring.unlocked(visit.actor)}
    is_locked = own is not None and own.fingerprint not in unlocked
    return Protection(own is not None, is_locked, fields.get("sign") == YES, encrypts, tuple(lacking[:20]))


async def protected(visit: Visit, fields: Mapping[str, str], octets: bytes, *, is_sent: bool) -> bytes:
    """Give a message as it is kept or sent: a draft that will be encrypted is encrypted for oneself until then.

    Errors: PolicyRefused, in words for who writes.
    """
    signs, encrypts = fields.get("sign") == YES, fields.get("encrypt") == YES
    if not is_sent:
        octets = TICKED + octets if signs else octets
        return await visit.house.openpgp.draft(visit.actor, octets) if encrypts else octets
    if passphrase := fields.get("passphrase", ""):
        await visit.house.openpgp.keys.unlock(visit.actor, Secret(passphrase))
    return await visit.house.openpgp.protect(visit.actor, octets, signs=signs, encrypts=encrypts)


async def fields_of_draft(visit: Visit, octets: bytes) -> tuple[bytes, dict[str, str]]:
    """Give a draft as it was composed, and what was ticked. Errors: PolicyRefused, while it is locked."""
    draft = await visit.house.openpgp.opened_draft(visit.actor, octets)
    signs = draft.was_signed or b"x-draft-sign" in first_values(draft.octets[: header_end(draft.octets)])
    return draft.octets, {"encrypt": YES if draft.was_encrypted else "", "sign": YES if signs else ""}


async def ticked_for_answer(octets: bytes) -> str:
    """Give whether an answer begins as an encrypted one: to what was encrypted."""
    is_encrypted = (await asyncio.to_thread(part_tree, octets))[0].media_type == "multipart/encrypted"
    return YES if is_encrypted else ""


def _recipients(fields: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for name in ("to", "cc"):
        try:
            found += [each.address.lower() for each in correspondents_of(fields.get(name, ""))]
        except MailsteadError:  # told when it is sent
            continue
    return list(dict.fromkeys(found))
