"""Submission: mail that our own bring. A reception whose author we know, with duties towards the author's text.

Spec: RFC 6409 §6.1 (enforced submission rights), §8 (what is added); RFC 5322 §3.6 (fields).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final, NamedTuple

from mailstead.mailauth.results import without_forged
from mailstead.mime.address import addresses_of
from mailstead.mime.dsn import Action
from mailstead.mime.header import Field, fields
from mailstead.model.address import Address
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import (
    BadAddress,
    BadMessage,
    MailsteadError,
    MessageTooLarge,
    NoSuchAddress,
    NotAllowed,
    NotOurDomain,
    OverQuota,
    PolicyRefused,
    RateLimited,
    SenderNotOwned,
)
from mailstead.model.queue import RemoteReply
from mailstead.policy import privacy
from mailstead.policy.encryption import Direction
from mailstead.policy.send_rate import SendRate
from mailstead.ports.storage import Storage
from mailstead.usecases import domain_rules, tracefields
from mailstead.usecases.deliveries import fingerprint_of
from mailstead.usecases.dispatch import Accepted
from mailstead.usecases.notices import Told
from mailstead.usecases.receptions import Reception, Receptions
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.staged import StagedOctets
from mailstead.usecases.tracefields import Hop
from mailstead.usecases.tracing import MessageTrace

_AUTHOR_FIELDS: Final = frozenset({b"from", b"sender", b"resent-from", b"resent-sender"})
_BLIND_FIELDS: Final = frozenset({b"bcc", b"resent-bcc"})

_TELLING_FIELDS: Final = frozenset(
    {
        b"user-agent",
        b"x-mailer",
        b"x-newsreader",
        b"x-originating-ip",
        b"x-originating-client",
        b"x-source-ip",
        b"x-mimeole",
        b"x-msmail-priority",
    }
)
"""Spec: attack row 104 (what a submission must not tell)."""


class Submission(Reception):
    """One message of a logged-in author."""

    def __init__(
        self,
        house: Submissions,
        actor: Actor,
        hop: Hop,
        envelope: Envelope,
        staged: StagedOctets,
        terms: DomainTerms,
        refusal: MailsteadError | None,
    ) -> None:
        super().__init__(house.receptions, hop, envelope, staged)
        self._submissions = house
        self._actor = actor
        self._terms = terms
        """Of the domain of the author's account."""
        self._refusal = refusal
        """What every recipient is answered."""
        self._is_counted = not terms.sends_per_minute
        self._direct: dict[str, Recipient] = {}
        self._lost: set[str] = set()
        """Keys of addresses that cannot be had …"""
        self._failed: list[Told] = []
        """… and what the author is told of them."""

    @property
    def recipients_max(self) -> int:
        """How many recipients such an author's message may have at least; 0: nothing is said."""
        return self._submissions.group_recipients_max if self._terms.requires_encryption else 0

    def add_recipient(self, recipient: Recipient) -> Awaitable[None] | None:
        """Take a recipient, here or elsewhere.

        A group's message, encrypted once, goes to all members in one transaction, which clients give up when one of
        them is refused. So where encryption is required a recipient that cannot be had is taken, and told of in a
        notice.

        Errors: as of receptions; NoSuchAddress for one that is suppressed, as mail to it has failed for good;
        SenderNotOwned and RateLimited for the whole message where the domain wants that to be told here.
        """
        if not self._is_counted or self._refusal is not None:
            self._check_turn()
        return self._add_told(recipient) if self._terms.requires_encryption else self._add_either(recipient)

    def _check_turn(self) -> None:
        """Count the message, once. Errors: SenderNotOwned, RateLimited."""
        if not self._is_counted and self._refusal is None:
            self._refusal = self._submissions.count_message(self._actor, self.envelope, self._terms)
        self._is_counted = True
        if self._refusal is not None:
            raise self._refusal

    async def _add_told(self, recipient: Recipient) -> None:
        try:
            more = self._add_either(recipient)
            if more is not None:
                await more
        except MailsteadError as error:
            if error.is_temporary:
                raise
            self._named(recipient)
            self._fail(recipient, error)

    def _fail(self, recipient: Recipient, error: MailsteadError) -> None:
        self._lost.add(recipient.address.key)
        if recipient.notify and "FAILURE" not in recipient.notify:
            return  # RFC 3461 §4.1: NEVER means never
        enhanced = "5.2.2" if isinstance(error, OverQuota) else "5.1.1"
        reply = RemoteReply(550, enhanced, error.public_text, is_permanent=True)
        self._failed.append(Told(recipient, Action.FAILED, reply))

    def _add_either(self, recipient: Recipient) -> Awaitable[None] | None:
        try:
            more = super().add_recipient(recipient)
        except NotOurDomain:
            return self._add_direct(recipient)
        return self._await_either(more, recipient) if more is not None else None

    async def _await_either(self, more: Awaitable[None], recipient: Recipient) -> None:
        try:
            await more
        except NotOurDomain:
            await self._add_direct(recipient)

    def _check_group(self, group: frozenset[str]) -> None:
        """Our own are not asked where they come from, and one answer will do for the rest."""

    async def _add_direct(self, recipient: Recipient) -> None:
        suppressed = await self._submissions.queue.suppressed([recipient.address])
        for suppression in suppressed.values():
            raise NoSuchAddress(f"Mail to that address has failed for good: {suppression.reason}")
        self._direct.setdefault(recipient.address.key, recipient)
        self._named(recipient)

    async def _accept(self, trace: MessageTrace) -> None:
        """Check the author and the limits, complete and sign the message, then dispatch it.

        Errors: NotAllowed when From or Sender name somebody else (attack row 15), BadMessage for no or several From;
        RateLimited; EncryptionNeeded and WrongAuthor by the rules of the author's or a recipient's domain; else as of
        receptions.
        Effects: adds Date and Message-ID if missing, removes what tells too much (see `_completed`), signs.
        """
        house, terms = self._house, self._terms
        header = self._staged.header()
        # Only our checks write results in our name, and of what comes from here they have none (RFC 8601 §5).
        clean = without_forged(header, house.terms.hostname)
        self._staged.octets[: len(header)] = clean
        header = clean
        earlier = tracefields.read(header)
        self._note_arrival(trace, earlier)
        self._check_loop(earlier)
        await self._check_encryption(header, trace)
        found = list(fields(header))
        domain = await self._check_authors(header, found)
        await self._submissions.check_limit(self._actor, len(self.envelope.recipients), terms)
        if terms.requires_encryption:
            await self._fail_where_full()
        # Even for one mailbox: its owner's filter may make several copies of the message, or send it on.
        fingerprint = await fingerprint_of(self._staged.octets, self.envelope.mail_from)
        length = len(header)
        if terms.hides_metadata:
            header = privacy.outgoing(header)
            found = list(fields(header))
        completed = self._completed(header, found)
        self._staged.octets[:length] = completed
        signature = await self._submissions.sealing.signature(bytes(self._staged.octets), domain, held_s=self._held_s())
        self._staged.octets[:0] = signature
        targets, leaving = tuple(self._targets.values()), tuple(self._leaving.values())
        direct = tuple(self._direct.values())
        if self.envelope.hold_for_s is not None or self.envelope.hold_until is not None:
            # RFC 4865 §5: held for all, so those who are here wait in the queue like the others.
            targets, leaving = (), ()
            held = {each.address.key: each for each in self.envelope.recipients}
            direct = tuple(each for key, each in held.items() if key not in self._lost)
        await house.dispatch.dispatch(
            Accepted(
                self.queue_id,
                self._hop,
                self.envelope,
                self._staged.octets,
                signature + completed,
                trace,
                message_id=tracefields.read(completed).message_id,
                submitter=self._actor.account_id,
                is_submission=True,
                domain=domain,
                fingerprint=fingerprint,
            ),
            targets,
            leaving,
            direct,
            self._failed,
        )

    def _held_s(self) -> int:
        """How long the author lets the message wait. Spec: RFC 4865 §4."""
        if self.envelope.hold_until is None:
            return self.envelope.hold_for_s or 0
        return max(0, math.ceil((self.envelope.hold_until - self._house.clock.now()).total_seconds()))

    async def _check_encryption(self, header: bytes, trace: MessageTrace) -> None:
        """Ask first what the author's domain lets out, then what those of recipients here let in.

        Errors: WrongAuthor, EncryptionNeeded.
        """
        octets, envelope = self._staged.octets, self.envelope
        own = await self._submissions.domain_of(self._actor)
        rules = {name: each for name, each in self._rules.items() if each.terms.requires_encryption}
        if own is not None and own.terms.requires_encryption:
            domain_rules.author(header)
            await domain_rules.check_encryption(octets, Direction.OUTGOING, envelope, [own], trace)
            rules.pop(own.name, None)
        if rules:
            await domain_rules.check_encryption(octets, Direction.INCOMING, envelope, rules.values(), trace)

    async def _fail_where_full(self) -> None:
        """A full mailbox is no reason to keep the message from the others: its owner's copy is told of as failed."""
        for account_id, target in list(self._targets.items()):
            if target.account.quota_octets is None:
                continue
            try:
                await self._house.deliveries.check_room(target.account, len(self._staged.octets))
            except OverQuota as error:
                del self._targets[account_id]
                self._fail(target.recipient, error)

    def _domain_of_ours(self) -> str:
        return self._actor.address.domain if self._actor.address else ""

    async def _check_authors(self, header: bytes, found: list[Field]) -> str:
        """Check that the header speaks only in the author's own names; give the domain of From.

        Exactly one From (RFC 5322 §3.6); every address in From, Sender and their Resent forms must be the author's own
        (RFC 6409 §6.1). Stricter than a Sender beside a foreign From, as readers show From.
        """
        from_count = sum(field.name == b"from" for field in found)
        if from_count != 1:
            raise BadMessage("A message has exactly one From field")
        if sum(field.name == b"sender" for field in found) > 1:
            raise BadMessage("A message has at most one Sender field")
        domain = ""
        for field in found:
            if field.name not in _AUTHOR_FIELDS:
                continue
            listed = [
                entry for entry in addresses_of(header[field.value_start : field.stop]) if entry.domain is not None
            ]
            if not listed:
                raise BadMessage(f"The {field.name.decode('ascii').capitalize()} field has no address")
            for entry in listed:
                address = _address(entry.local_part, entry.domain)
                await self._submissions.check_sender(self._actor, address)
                if field.name == b"from" and address is not None:
                    domain = address.domain
        return domain

    def _completed(self, header: bytes, found: list[Field]) -> bytes:
        """Give the header with what is missing and without what must not be seen.

        Date and Message-ID are added in front (RFC 6409 §8.2, §8.3). Bcc is removed: every recipient gets the same
        octets, and a blind copy is to stay blind (RFC 5322 §3.6.3, the first of its three ways). So is what tells
        about the author's machine: which program, from which address.
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
            if field.name in _BLIND_FIELDS or field.name in _TELLING_FIELDS:
                pieces.append(header[end : field.start])
                end = field.stop + len(b"\r\n")
        pieces.append(header[end:])
        return b"".join(pieces)


class Submissions:
    """Begins submissions; one object for all conversations of the process."""

    def __init__(
        self,
        receptions: Receptions,
        storage: Storage,
        sealing: Sealing,
        *,
        recipients_per_day_max: int,
        hold_max_s: float,
        group_recipients_max: int = 1000,
    ) -> None:
        """`group_recipients_max`: recipients of a message from a domain that requires encryption."""
        self.receptions: Final = receptions
        self.queue: Final = storage.queue
        self.sealing: Final = sealing
        self._directory = storage.directory
        self._memory = storage.memory
        self._recipients_per_day_max = recipients_per_day_max
        self._hold_max_s = hold_max_s
        self.group_recipients_max: Final = group_recipients_max
        self._rate = SendRate()

    async def begin(self, actor: Actor, peer: Peer, helo: str, envelope: Envelope) -> Submission:
        """Begin with what MAIL said.

        The null sender is allowed, as disposition notifications have it (RFC 8098 §2.1); From still tells the author.
        Errors: NotAllowed when the sender is not the author's own address (RFC 6409 §6.1; attack row 15), which a
        domain that requires encryption tells with the recipients, as relays do; PolicyRefused for a release too far in
        the future (RFC 4865 §5); MessageTooLarge for the domain.
        """
        domain = await self.domain_of(actor)
        own = domain.terms if domain is not None else DomainTerms()
        refusal: MailsteadError | None = None
        if envelope.mail_from is not None:
            try:
                await self.check_sender(actor, envelope.mail_from)
            except NotAllowed:
                if not own.requires_encryption:
                    raise
                text = f"<{envelope.mail_from}>: Sender address rejected: not owned by user {actor.address}"
                refusal = SenderNotOwned(text)
        terms, clock = self.receptions.terms, self.receptions.clock
        octets_max = min(terms.message_octets_max, own.message_octets_max or terms.message_octets_max)
        if (envelope.size_octets or 0) > octets_max:
            raise MessageTooLarge(f"Messages have at most {octets_max} octets here")
        latest = clock.now() + timedelta(seconds=self._hold_max_s)
        if envelope.hold_until is not None and envelope.hold_until > latest:
            raise PolicyRefused("That moment is too far in the future")
        hop = Hop(peer, helo, terms.hostname, is_extended=True, is_authenticated=True, is_smtputf8=envelope.smtputf8)
        staged = StagedOctets(self.receptions.staging, octets_max)
        return Submission(self, actor, hop, envelope, staged, own, refusal)

    async def domain_of(self, actor: Actor) -> Domain | None:
        """Give the domain of an author's account."""
        return await self._directory.domain(actor.address.domain) if actor.address is not None else None

    def count_message(self, actor: Actor, envelope: Envelope, terms: DomainTerms) -> RateLimited | None:
        """Count a message of an account; give the refusal if it comes too early. Spec: reference chatmail, 5.5."""
        clock = self.receptions.clock
        key = str(actor.account_id)
        early_s = self._rate.count(key, terms.sends_per_minute, terms.send_burst, clock.monotonic_s())
        if not early_s:
            return None
        until = clock.now().replace(microsecond=0) + timedelta(seconds=math.ceil(early_s))
        text = f"Too much mail from <{envelope.mail_from or ''}>, rate limited until: {until:%Y-%m-%d %H:%M:%S} UTC"
        # The colon is the relay's: its tests, and who knows which clients, look for "4.7.1: Too much mail from".
        return RateLimited(text, enhanced_code="4.7.1:")

    async def check_sender(self, actor: Actor, address: Address | None) -> None:
        """Check that an address is the author's own. Errors: NotAllowed; the same for others' and for nobody's."""
        if address is None or not await self.receptions.addresses.may_send_as(actor, address):
            raise NotAllowed("You may send only with your own addresses")

    async def check_limit(self, actor: Actor, recipient_count: int, terms: DomainTerms) -> None:
        """Count the recipients of a message for this day (UTC). Errors: RateLimited above what the account may.

        A domain with a rate of its own does without the server's limit, which groups would soon reach.
        """
        limit = await self._limit(actor)
        if limit is None or (terms.sends_per_minute and not limit.is_own):
            return
        now = self.receptions.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        key = _sent_key(actor, now)
        counted = await self._memory.count("sent", {key: recipient_count}, now, midnight)
        if counted[key] > limit.recipient_count:
            raise RateLimited(f"You may send to {limit.recipient_count} recipients a day; go on tomorrow")

    async def _limit(self, actor: Actor) -> _Limit | None:
        account = await self._directory.account(actor.account_id) if actor.account_id is not None else None
        if account is not None and account.sending_limit is not None:
            return _Limit(account.sending_limit, is_own=True)
        if not self._recipients_per_day_max or (actor.account_id is None and actor.user_id is None):
            return None
        return _Limit(self._recipients_per_day_max, is_own=False)

    async def sent_today(self, actor: Actor) -> tuple[int, int]:
        """How many recipients the actor's messages had this day (UTC), and how many they may have; 0: any number."""
        now = self.receptions.clock.now()
        limit = await self._limit(actor)
        counts = await self._memory.counts("sent", now)
        return counts.get(_sent_key(actor, now), 0), limit.recipient_count if limit is not None else 0


class _Limit(NamedTuple):
    """What an actor may send in a day."""

    recipient_count: int
    is_own: bool
    """Said for this account, not for all."""


def _sent_key(actor: Actor, now: datetime) -> str:
    owner = actor.account_id if actor.account_id is not None else f"u:{actor.user_id}"
    return f"{owner} {now.date()}"


def _address(local_part: bytes | None, domain: bytes | None) -> Address | None:
    """Give the address of a list entry; None if it is none."""
    try:
        return Address.parse(f"{(local_part or b'').decode('utf-8')}@{(domain or b'').decode('utf-8')}")
    except (BadAddress, UnicodeDecodeError):
        return None
