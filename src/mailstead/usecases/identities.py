"""All addresses that an account may write from, with the texts that go with them; and from which one answers.

Regular expressions and catch-alls give nobody a right to send as what they match (`Addresses.may_send_as`): an answer
to mail that came by one goes from the default, and the page is told which address was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values, header_end, text_of
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, NotAllowed
from mailstead.model.message import OctetRange
from mailstead.model.preferences import IdentityText, Preferences
from mailstead.policy.names import without_detail
from mailstead.ports.storage import Storage
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.arrival_stamps import arrival_stamp
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences

HEADER_OCTETS_MAX: Final = 256 * 1024
ASKED_MAX: Final = 50
"""Addresses of one header that are asked for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One address that may stand in From."""

    address: Address
    display_name: str
    signature: str
    is_main: bool = False
    """The account's own."""
    is_default: bool = False
    """New messages are written from it."""


@dataclass(frozen=True, slots=True)
class Answering:
    """From whom one answers a message."""

    identity: Identity
    wanted: Address | None = None
    """The address that was written to, where nobody may send with it."""


class Identities:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(
        self,
        storage: Storage,
        addresses: Addresses,
        mailboxes: Mailboxes,
        messages: Messages,
        preferences: OwnPreferences,
        *,
        hostname: str,
    ) -> None:
        self._directory = storage.directory
        self._addresses = addresses
        self._mailboxes = mailboxes
        self._messages = messages
        self._preferences = preferences
        self._hostname = hostname

    async def find(self, actor: Actor) -> list[Identity]:
        """All, the default first, then the account's own, then the others by name."""
        if actor.account_id is None:
            raise NotAllowed
        account = await self._directory.account(actor.account_id)
        preferences = await self._preferences.get(actor)
        listed = await self._directory.addresses_of(actor.account_id)
        own = [each for each in listed if await self._addresses.may_send_as(actor, each)]
        main = account.address.key if account is not None else ""
        keys = {each.key for each in own}
        default = preferences.default_identity if preferences.default_identity in keys else main
        found = [_identity(each, preferences, is_main=each.key == main, is_default=each.key == default) for each in own]
        return sorted(found, key=lambda each: (not each.is_default, not each.is_main, each.address.key))

    async def default(self, actor: Actor) -> Identity:
        """From whom new messages are written. Errors: NotAllowed, for an account that may not send at all."""
        found = await self.find(actor)
        if not found:
            raise NotAllowed
        return found[0]

    async def answering(self, actor: Actor, object_id: str) -> Answering:
        """From whom one answers: the address that was written to; of one's own mail, that which it was written from.

        Errors: NoSuchMessage.
        """
        view = await self._messages.show(actor, object_id)
        stop = min(view.record.header_octets, HEADER_OCTETS_MAX)
        (octets,) = await self._mailboxes.of(actor).read_octets([OctetRange(view.record.blob_id, 0, stop)])
        header = octets[: header_end(octets)]
        known = {each.address.key: each for each in await self.find(actor)}
        if not known:
            raise NotAllowed
        stamp = arrival_stamp(header, self._hostname)
        written_to = stamp.rcpt_to if stamp is not None else None
        default = next(iter(known.values()))
        for candidate in _candidates(header, written_to):
            if candidate.key in known:
                return Answering(known[candidate.key])
            if without_detail(candidate) is not None and await self._addresses.may_send_as(actor, candidate):
                return Answering(_identity(candidate, await self._preferences.get(actor)))
        return Answering(default, written_to)


def _identity(
    address: Address, preferences: Preferences, *, is_main: bool = False, is_default: bool = False
) -> Identity:
    plain = without_detail(address)
    texts = preferences.identities
    text = texts.get(address.key) or (texts.get(plain.key) if plain is not None else None) or IdentityText()
    signature = preferences.signature if text.signature is None else text.signature
    return Identity(
        address, text.display_name or preferences.display_name, signature, is_main=is_main, is_default=is_default
    )


def _candidates(header: bytes, written_to: Address | None) -> Iterator[Address]:
    """Yield what might be one's own: From first, as an answer to one's own mail goes on from there."""
    values = first_values(header)
    named = [
        address
        for name in (b"from", b"to", b"cc")
        for each in addresses_of(values.get(name, b""))
        if (address := _address(each.local_part, each.domain)) is not None
    ]
    authors = len([each for each in addresses_of(values.get(b"from", b"")) if each.domain is not None])
    yield from named[:authors][:ASKED_MAX]
    if written_to is not None:
        yield written_to
    yield from named[authors:][:ASKED_MAX]


def _address(local_part: bytes | None, domain: bytes | None) -> Address | None:
    if domain is None:
        return None
    try:
        return Address.parse(f"{text_of(local_part or b'')}@{text_of(domain)}")
    except BadAddress:
        return None
