"""Submission: mail that our own bring. A reception whose author we know, with duties towards the author's text.

Spec: RFC 6409 §6.1 (enforced submission rights), §8 (what is added); RFC 5322 §3.6 (fields).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from email.utils import format_datetime
from typing import Final

from mailstead.mime.address import addresses_of
from mailstead.mime.header import Field, fields
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import BadAddress, BadMessage, NotAllowed, NotOurDomain, TryAgainLater
from mailstead.usecases.addresses import Resolution
from mailstead.usecases.receptions import Reception, Receptions
from mailstead.usecases.staged import StagedOctets
from mailstead.usecases.tracefields import Hop

_AUTHOR_FIELDS: Final = frozenset({b"from", b"sender", b"resent-from", b"resent-sender"})
_BLIND_FIELDS: Final = frozenset({b"bcc", b"resent-bcc"})

NO_RELAY_TEXT: Final = "Mail to other servers is not relayed yet; this comes with the next release"


class Submission(Reception):
    """One message of a logged-in author."""

    def __init__(self, house: Submissions, actor: Actor, hop: Hop, envelope: Envelope, staged: StagedOctets) -> None:
        super().__init__(house.receptions, hop, envelope, staged, is_submission=True)
        self._submissions = house
        self._actor = actor

    def add_recipient(self, recipient: Recipient) -> Awaitable[None] | None:
        """Take a recipient; as long as there is no queue, only our own domains.

        Errors: as of receptions, but TryAgainLater for other domains: the mail is not wrong, it is we who lack a part.
        """
        try:
            more = super().add_recipient(recipient)
        except NotOurDomain:
            raise TryAgainLater(NO_RELAY_TEXT) from None
        return self._await_local(more) if more is not None else None

    @staticmethod
    async def _await_local(more: Awaitable[None]) -> None:
        try:
            await more
        except NotOurDomain:
            raise TryAgainLater(NO_RELAY_TEXT) from None

    def _add(self, address: Address, resolution: Resolution) -> Awaitable[None] | None:
        if resolution.foreign:
            raise TryAgainLater(NO_RELAY_TEXT)
        return super()._add(address, resolution)

    async def accept(self) -> None:
        """Check the author, complete the header, then deliver.

        Errors: NotAllowed when From or Sender name somebody else (attack row 15), BadMessage for no or several From;
        else as of receptions.
        Effects: adds Date and Message-ID if missing, removes Bcc (see `_completed`).
        """
        try:
            header = self._staged.header()
            found = list(fields(header))
            await self._check_authors(header, found)
            completed = self._completed(header, found)
            if completed != header:
                self._staged.octets[: len(header)] = completed
        except BaseException:
            self._staged.release()
            raise
        await super().accept()

    async def _check_authors(self, header: bytes, found: list[Field]) -> None:
        """Check that the header speaks only in the author's own names.

        Exactly one From (RFC 5322 §3.6); every address in From, Sender and their Resent forms must be the author's own
        (RFC 6409 §6.1). Stricter than a Sender beside a foreign From, as readers show From.
        """
        from_count = sum(field.name == b"from" for field in found)
        if from_count != 1:
            raise BadMessage("A message has exactly one From field")
        if sum(field.name == b"sender" for field in found) > 1:
            raise BadMessage("A message has at most one Sender field")
        for field in found:
            if field.name not in _AUTHOR_FIELDS:
                continue
            listed = [
                entry for entry in addresses_of(header[field.value_start : field.stop]) if entry.domain is not None
            ]
            if not listed:
                raise BadMessage(f"The {field.name.decode('ascii').capitalize()} field has no address")
            for entry in listed:
                await self._submissions.check_sender(self._actor, _address(entry.local_part, entry.domain))

    def _completed(self, header: bytes, found: list[Field]) -> bytes:
        """Give the header with what is missing and without what must not be seen.

        Date and Message-ID are added in front (RFC 6409 §8.2, §8.3). Bcc is removed: every recipient gets the same
        octets, and a blind copy is to stay blind (RFC 5322 §3.6.3, the first of its three ways).
        """
        names = {field.name for field in found}
        added = b""
        if b"date" not in names:
            added += f"Date: {format_datetime(self._house.clock.now().replace(microsecond=0))}\r\n".encode()
        if b"message-id" not in names:
            domain = self._actor.address.domain if self._actor.address else self._house.terms.hostname
            added += f"Message-ID: <{secrets.token_hex(12)}@{domain}>\r\n".encode()
        pieces, end = [added], 0
        for field in found:
            if field.name in _BLIND_FIELDS:
                pieces.append(header[end : field.start])
                end = field.stop + len(b"\r\n")
        pieces.append(header[end:])
        return b"".join(pieces)


class Submissions:
    """Begins submissions; one object for all conversations of the process."""

    def __init__(self, receptions: Receptions) -> None:
        self.receptions: Final = receptions

    async def begin(self, actor: Actor, peer: Peer, helo: str, envelope: Envelope) -> Submission:
        """Begin with what MAIL said.

        The null sender is allowed, as disposition notifications have it (RFC 8098 §2.1); From still tells the author.
        Errors: NotAllowed when the sender is not the author's own address (RFC 6409 §6.1; attack row 15).
        """
        if envelope.mail_from is not None:
            await self.check_sender(actor, envelope.mail_from)
        terms = self.receptions.terms
        hop = Hop(peer, helo, terms.hostname, is_extended=True, is_authenticated=True, is_smtputf8=envelope.smtputf8)
        staged = StagedOctets(self.receptions.staging, terms.message_octets_max)
        return Submission(self, actor, hop, envelope, staged)

    async def check_sender(self, actor: Actor, address: Address | None) -> None:
        """Check that an address is the author's own. Errors: NotAllowed; the same for others' and for nobody's."""
        if address is None or not await self.receptions.addresses.may_send_as(actor, address):
            raise NotAllowed("You may send only with your own addresses")


def _address(local_part: bytes | None, domain: bytes | None) -> Address | None:
    """Give the address of a list entry; None if it is none."""
    try:
        return Address.parse(f"{(local_part or b'').decode('utf-8')}@{(domain or b'').decode('utf-8')}")
    except (BadAddress, UnicodeDecodeError):
        return None
