"""OpenPGP in the mail of an account: what was encrypted or signed, told; what is written, encrypted and signed.

Each part that was decrypted is shown alone, with nothing from elsewhere and nothing of what stands around it, and an
answer quotes nothing of it: so neither a picture nor a reply carries it to somebody else (attack row 88).

Spec: RFC 3156, RFC 9580, RFC 9788; Autocrypt Level 1.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple

from mailstead.mime.address import addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import first_values, header_end, text_of
from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_mail import (
    attached_keys,
    autocrypt_field,
    autocrypt_of,
    canonical,
    encrypted_message,
    encrypted_payload,
    inline_payload,
    protected,
    protected_subject,
    signed_message,
    signed_payload,
)
from mailstead.mime.showing.body_choice import body_choice
from mailstead.mime.showing.message import ShownMessage
from mailstead.mime.tree import part_tree
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, PolicyRefused
from mailstead.model.message import OctetRange, PartFacts
from mailstead.model.openpgp import KeySource, OpenpgpKey, Signing
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.messages import Messages
from mailstead.usecases.openpgp_engine import Checked, Opened, SecretKey
from mailstead.usecases.openpgp_keys import OpenpgpKeys
from mailstead.usecases.shown_messages import AttachmentView, MessagePage, ShownMessages, attachment_view

READINGS_MAX: Final = 5
"""Parts of one message that are looked into."""
TEXT_OCTETS_MAX: Final = 4 << 20
"""Of a text that may be a block."""
ADDRESSES_MAX: Final = 200
KEY_TYPE: Final = "application/pgp-keys"
_BLOCK: Final = "-----BEGIN PGP "
_SIGNINGS: Final = {
    Checked.NONE: Signing.NONE,
    Checked.BAD: Signing.BAD,
    Checked.UNKNOWN_KEY: Signing.UNKNOWN_KEY,
    Checked.UNCHECKED: Signing.UNCHECKED,
}


class State(StrEnum):
    """What became of a protected part."""

    NO_KEY = "no key"
    """The account has none of its own."""
    LOCKED = "locked"
    """It waits for the passphrase."""
    FLAWED = "flawed"
    """Nothing of it is shown; `Reading.flaw` says why."""
    SHOWN = "shown"
    """It was decrypted, and is shown in a frame of its own."""
    SIGNED = "signed"
    """It is signed alone, and stands where it always does."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One protected part of a message."""

    state: State
    signing: Signing = Signing.NONE
    signer: OpenpgpKey | None = None
    """Whose key it is, where that is known."""
    subject: str | None = None
    """Of what was encrypted, where it has one of its own."""
    flaw: str = ""
    is_whole: bool = True
    """False: other things stand beside it in the message, which nobody has protected."""
    entity: bytes = field(default=b"", repr=False)
    """What was decrypted, as a message of its own."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A key that came with a message."""

    fingerprint: str
    user_ids: tuple[str, ...]
    is_change: bool
    """Whether another key is known for the sender."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that a page says of a message."""

    readings: Sequence[Reading]
    files: Sequence[Sequence[AttachmentView]]
    """Of each reading."""
    offered: Sequence[Offered]


class OpenedDraft(NamedTuple):
    """A draft as it was composed."""

    octets: bytes
    was_encrypted: bool
    was_signed: bool


class OpenpgpMail:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(self, keys: OpenpgpKeys, mailboxes: Mailboxes, shown: ShownMessages) -> None:
        self.keys: Final = keys
        self._keys = keys
        self._mailboxes = mailboxes
        self._messages = Messages(mailboxes)
        self._shown = shown

    # reading

    async def look(self, actor: Actor, page: MessagePage) -> Look:
        """Tell all that a page says of a message; of most, their header alone is read."""
        record = page.view.record
        has_more = page.is_encrypted or page.is_signed or any(_BLOCK in body.html for body in page.message.bodies)
        has_keys = any(each.media_type == KEY_TYPE for each in page.attachments)
        stop = record.size_octets if has_more or has_keys else record.header_octets
        (octets,) = await self._mailboxes.of(actor).read_octets([OctetRange(record.blob_id, 0, stop)])
        readings = await self._readings(actor, octets) if has_more else []
        files = []
        for each in readings:
            message = await self._shown.show_decrypted(each.entity) if each.entity else None
            parts = part_tree(each.entity) if message is not None else []
            files.append([attachment_view(parts[number]) for number in message.attachments] if message else [])
        return Look(readings, files, await self._offered(actor, octets))

    async def readings(self, actor: Actor, object_id: str) -> list[Reading]:
        """Look into what is protected in a message; nothing, where nothing is. Errors: NoSuchMessage."""
        octets = await self._octets(actor, object_id)
        return await self._readings(actor, octets)

    async def show(
        self, actor: Actor, object_id: str, index: int
    ) -> tuple[ShownMessage, list[AttachmentView], Reading]:
        """Give one part that was decrypted, as it is shown: alone. Errors: NoSuchMessage, also while it is locked."""
        reading = await self._decrypted(actor, object_id, index)
        message = await self._shown.show_decrypted(reading.entity)
        parts = part_tree(reading.entity)
        return message, [attachment_view(parts[number]) for number in message.attachments], reading

    async def attachment(self, actor: Actor, object_id: str, index: int, number: str) -> tuple[AttachmentView, bytes]:
        """Give a file that was encrypted; the answer must be a download. Errors: NoSuchMessage."""
        reading = await self._decrypted(actor, object_id, index)
        part = next((each for each in part_tree(reading.entity) if each.number == number and number), None)
        if part is None:
            raise NoSuchMessage
        content = await asyncio.to_thread(decoded_part, reading.entity[part.body_start : part.body_end], part.encoding)
        if content is None:
            raise NoSuchMessage
        return attachment_view(part), content

    async def offered(self, actor: Actor, object_id: str) -> list[Offered]:
        """Tell of keys of the sender that came with a message and are not here yet. Errors: NoSuchMessage."""
        return await self._offered(actor, await self._octets(actor, object_id))

    async def _offered(self, actor: Actor, octets: bytes) -> list[Offered]:
        sender = _author(octets)
        candidates = await asyncio.to_thread(_keys_with, octets)
        if not candidates:
            return []
        there = await self._keys.all(actor)
        known = {each.fingerprint for each in there}
        named = {address for each in there for address in engine.addresses_of(each.user_ids)}
        found: dict[str, Offered] = {}
        for each in candidates:
            if each.fingerprint not in known and sender in each.addresses:
                found[each.fingerprint] = Offered(each.fingerprint, each.user_ids, sender in named)
        return list(found.values())

    async def take_offered(self, actor: Actor, object_id: str, fingerprint: str) -> None:
        """Keep a key that came with a message. Errors: NoSuchMessage, PolicyRefused."""
        octets = await self._octets(actor, object_id)
        for each in await asyncio.to_thread(_keys_with, octets):
            if each.fingerprint == fingerprint:
                await self._keys.take(actor, each.octets, KeySource.MESSAGE, _author(octets))
                return
        raise PolicyRefused("That key does not come with the message")

    # writing

    async def lacking(self, actor: Actor, octets: bytes) -> list[str]:
        """Give the recipients of a composed message to whom nothing can be encrypted."""
        wanted = _recipients(octets)
        there = await self._keys.usable_for(actor, wanted)
        return [each for each in wanted if each not in there]

    async def protect(self, actor: Actor, octets: bytes, *, signs: bool, encrypts: bool) -> bytes:
        """Make of a composed message one that is signed, encrypted (for all recipients and oneself), or both.

        Errors: PolicyRefused, naming who has no key; for blind copies, which would not be blind; without a key of one's
        own, and where it is locked and is to sign.
        """
        if not signs and not encrypts:
            return octets
        own = await self._own(actor, octets)
        signer = self._signer(actor, own) if signs else None
        if signs:
            octets = _with_autocrypt(octets, own)
        if not encrypts:
            assert signer is not None
            return await asyncio.to_thread(_signed, octets, signer)
        if b"bcc" in first_values(octets[: header_end(octets)]):
            raise PolicyRefused("Blind copies of an encrypted message would not be blind: send them one of their own")
        lacking = await self.lacking(actor, octets)
        if lacking:
            raise PolicyRefused(f"There is no key for {', '.join(lacking[:10])}: it cannot be encrypted for all")
        recipients = await self._keys.usable_for(actor, _recipients(octets))
        certs = {own.fingerprint: own.public} | {each.fingerprint: each.public for each in recipients.values()}
        return await asyncio.to_thread(_encrypted, octets, list(certs.values()), signer)

    async def draft(self, actor: Actor, octets: bytes) -> bytes:
        """Encrypt a draft for oneself alone; needs no passphrase. Errors: PolicyRefused, without a key of one's own."""
        own = await self._own(actor, octets)
        return await asyncio.to_thread(_encrypted, octets, [own.public], None)

    async def opened_draft(self, actor: Actor, octets: bytes) -> OpenedDraft:
        """Give a draft as it was composed, and how it was protected. Errors: PolicyRefused, while it is locked."""
        parts = part_tree(octets)
        payload = encrypted_payload(octets, parts, 0) if parts else None
        if payload is None:
            is_signed = bool(parts) and parts[0].media_type == "multipart/signed"
            return OpenedDraft(octets, was_encrypted=False, was_signed=is_signed)
        opened, flaw = await self._opened(actor, payload, [])
        if opened is None:
            raise PolicyRefused(flaw or "The draft is encrypted: unlock your key first")
        composed = await asyncio.to_thread(_recomposed, octets, opened.octets)
        return OpenedDraft(composed, was_encrypted=True, was_signed=opened.checked is not Checked.NONE)

    # within

    async def _octets(self, actor: Actor, object_id: str) -> bytes:
        view = await self._messages.show(actor, object_id)
        (octets,) = await self._messages.octets(actor, [view])
        return octets

    async def _decrypted(self, actor: Actor, object_id: str, index: int) -> Reading:
        readings = await self.readings(actor, object_id)
        if not 0 <= index < len(readings) or readings[index].state is not State.SHOWN:
            raise NoSuchMessage
        return readings[index]

    async def _readings(self, actor: Actor, octets: bytes) -> list[Reading]:
        parts = await asyncio.to_thread(part_tree, octets)
        found = await asyncio.to_thread(_protected_parts, octets, parts)
        if not found:
            return []
        keys = await self._keys.all(actor)
        readings: list[Reading] = []
        for kind, index, payload in found[:READINGS_MAX]:
            if kind == "encrypted":
                reading = await self._reading(actor, payload, keys, _author(octets))
            elif kind == "signed":
                reading = await asyncio.to_thread(_signed_reading, octets, parts, index, keys)
            else:
                reading = await asyncio.to_thread(_inline_reading, payload, keys, _author(octets))
            readings.append(replace(reading, is_whole=index == 0))
        return readings

    async def _reading(self, actor: Actor, payload: bytes, keys: Sequence[OpenpgpKey], author: str) -> Reading:
        if not any(each.is_own for each in keys):
            return Reading(State.NO_KEY)
        opened, flaw = await self._opened(actor, payload, [each.public for each in keys])
        if opened is None:
            return Reading(State.FLAWED, flaw=flaw) if flaw else Reading(State.LOCKED)
        return await asyncio.to_thread(_opened_reading, opened, keys, author)

    async def _opened(self, actor: Actor, payload: bytes, known: Sequence[bytes]) -> tuple[Opened | None, str]:
        """Try the keys that are unlocked; gives why none could, which is empty where none is."""
        flaw = ""
        for secret in self._keys.unlocked(actor):
            try:
                return await asyncio.to_thread(secret.decrypt, payload, known), ""
            except Flaw as error:
                flaw = str(error)
        return None, f"{flaw[:1].upper()}{flaw[1:]}"

    async def _own(self, actor: Actor, octets: bytes) -> OpenpgpKey:
        own = await self._keys.own(actor, _author(octets))
        if own is None:
            raise PolicyRefused("You have no key yet that can be used: make one first, under My account, OpenPGP")
        return own

    def _signer(self, actor: Actor, own: OpenpgpKey) -> SecretKey:
        for each in self._keys.unlocked(actor):
            if each.fingerprint == own.fingerprint:
                return each
        raise PolicyRefused("Your key is locked: give its passphrase")


def _protected_parts(octets: bytes, parts: Sequence[PartFacts]) -> list[tuple[str, int, bytes]]:
    """Give kind, index and payload of what is protected, in its order; what is inside of it is not looked at."""
    choice = body_choice(parts)
    found: list[tuple[str, int, bytes]] = []
    for index in choice.encrypted:
        payload = encrypted_payload(octets, parts, index)
        if payload is not None:
            found.append(("encrypted", index, payload))
    found += [("signed", index, b"") for index in choice.signed if parts[index].media_type == "multipart/signed"]
    for index, part in enumerate(parts):
        if part.media_type != "text/plain" or part.disposition == "attachment":
            continue
        if part.body_end - part.body_start > TEXT_OCTETS_MAX:
            continue
        raw = octets[part.body_start : part.body_end]
        block = inline_payload(decoded_part(raw, part.encoding) or b"") if b"-----BEGIN PGP" in raw else None
        if block is not None:
            found.append(("encrypted" if block[0] == "encrypted" else "inline", index, block[1]))
    return sorted(found, key=lambda each: each[1])


def _opened_reading(opened: Opened, keys: Sequence[OpenpgpKey], author: str) -> Reading:
    entity, checked, signer = opened.octets, opened.checked, opened.signer
    if not _is_entity(entity):  # inline: text alone
        entity = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + entity
    parts = part_tree(entity)
    if checked is Checked.NONE:
        signed = signed_payload(entity, parts, 0)
        if signed is not None:
            known = [each.public for each in keys]
            checked, signer = engine.checked_detached(signed.covered, signed.signature, known)
    signing, key = _told(checked, signer, keys, author)
    return Reading(State.SHOWN, signing, key, protected_subject(entity), entity=entity)


def _signed_reading(octets: bytes, parts: Sequence[PartFacts], index: int, keys: Sequence[OpenpgpKey]) -> Reading:
    signed = signed_payload(octets, parts, index)
    if signed is None:
        return Reading(State.SIGNED, Signing.UNCHECKED)
    checked, signer = engine.checked_detached(signed.covered, signed.signature, [each.public for each in keys])
    signing, key = _told(checked, signer, keys, _author(octets))
    return Reading(State.SIGNED, signing, key)


def _inline_reading(block: bytes, keys: Sequence[OpenpgpKey], author: str) -> Reading:
    opened, checked = engine.checked_inline(block, [each.public for each in keys])
    signing, key = _told(checked, opened.signer if opened is not None else "", keys, author)
    return Reading(State.SIGNED, signing, key)


def _told(checked: Checked, signer: str, keys: Sequence[OpenpgpKey], author: str) -> tuple[Signing, OpenpgpKey | None]:
    """Say what a signature means to the reader: good mathematics by a key of somebody else is no signature of his."""
    if checked is not Checked.GOOD:
        return _SIGNINGS[checked], None
    key = next((each for each in keys if each.fingerprint == signer), None)
    if key is None:
        return Signing.UNKNOWN_KEY, None
    if author not in engine.addresses_of(key.user_ids):
        return Signing.GOOD_OTHER, key
    return (Signing.GOOD_VERIFIED if key.is_verified else Signing.GOOD), key


def _is_entity(octets: bytes) -> bool:
    """Whether what was decrypted is MIME, as RFC 3156 has it, and not text alone."""
    return b"content-type" in first_values(octets[: header_end(octets)])


def _author(octets: bytes) -> str:
    """Give the one address in From, in lower case; empty, where there are several or none."""
    named = _addresses(octets, b"from")
    return named[0] if len(named) == 1 else ""


def _recipients(octets: bytes) -> list[str]:
    found = [each for name in (b"to", b"cc", b"bcc") for each in _addresses(octets, name)]
    return list(dict.fromkeys(found))[:ADDRESSES_MAX]


def _addresses(octets: bytes, name: bytes) -> list[str]:
    value = first_values(octets[: header_end(octets)]).get(name, b"")
    return [
        f"{text_of(each.local_part or b'')}@{text_of(each.domain)}".lower()
        for each in addresses_of(value)
        if each.domain is not None
    ]


def _keys_with(octets: bytes) -> list[engine.PublicKey]:
    """Read the keys that come with a message; what cannot be read is passed over."""
    candidates = attached_keys(octets, part_tree(octets))
    autocrypt = autocrypt_of(octets[: header_end(octets)])
    candidates += [autocrypt.keydata] if autocrypt is not None else []
    found: list[engine.PublicKey] = []
    for each in candidates:
        try:
            found += engine.public_keys(each)
        except Flaw:
            continue
    return found


def _with_autocrypt(octets: bytes, own: OpenpgpKey) -> bytes:
    author = _author(octets)
    if author not in engine.addresses_of(own.user_ids):
        return octets
    return autocrypt_field(author, own.public) + octets


def _boundary() -> str:
    return f"=_{secrets.token_hex(16)}"


def _signed(octets: bytes, signer: SecretKey) -> bytes:
    made = protected(octets, hides=False)
    inner = canonical(made.inner)
    return signed_message(made.outer, inner, signer.sign(inner), _boundary())


def _encrypted(octets: bytes, recipients: Sequence[bytes], signer: SecretKey | None) -> bytes:
    made = protected(octets, hides=True)
    inner = canonical(made.inner)
    armored = signer.encrypt(inner, recipients, signs=True) if signer else engine.encrypted(inner, recipients)
    return encrypted_message(made.outer, armored, _boundary())


def _recomposed(outer: bytes, inner: bytes) -> bytes:
    """Give a draft back: what is inside, and the blind copies that stand outside alone."""
    named = first_values(outer[: header_end(outer)])
    blind = named.get(b"bcc")
    return (b"Bcc:" + blind.rstrip(b"\r\n") + b"\r\n" if blind else b"") + inner
