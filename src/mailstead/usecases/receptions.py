"""Reception: mail that others bring, from MAIL to the answer behind the data, as one small transaction.

At the end of the data the message is authenticated, judged, and dispatched: into mailboxes, into the queue, or back.

Spec: RFC 5321 §3.3 (the transaction), §4.4 (trace fields), §6.1 (responsibility), §6.3 (loops).
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final

from mailstead.mailauth.results import received_spf, results_field, results_text, without_forged
from mailstead.mailauth.verify import SenderVerifier
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication
from mailstead.model.directory import Domain
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import (
    Deferred,
    Greylisted,
    MailLoop,
    MailsteadError,
    MessageTooLarge,
    NotAllowed,
    NotOurDomain,
    PolicyRefused,
    RecipientsDiffer,
    TlsRequired,
)
from mailstead.model.ids import AccountId
from mailstead.model.verdict import Decision, Judgement
from mailstead.ports.clock import Clock
from mailstead.usecases import domain_rules, tracefields
from mailstead.usecases.addresses import Addresses, Resolution
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.dispatch import Accepted, Dispatch, Leaving, Target
from mailstead.usecases.reporting import Reporting
from mailstead.usecases.screening import Screened, Screening
from mailstead.usecases.staged import StagedOctets
from mailstead.usecases.staging import Staging
from mailstead.usecases.tracefields import Hop, Trace
from mailstead.usecases.tracing import MessageTrace, Tracing

_run: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)
_CLEAR_TEXT: Final = "Must issue a STARTTLS command first"


def new_queue_id() -> str:
    """Give a transaction the id that stands in Received, in the reply and in the log."""
    return f"{_run}{next(_numbers):06x}"


@dataclass(frozen=True, slots=True)
class ReceptionTerms:
    """What we call ourselves and how much we take."""

    hostname: str
    message_octets_max: int
    received_max: int = 50
    """Spec: RFC 5321 §6.3: at least 100 is suggested, and fewer is what busy servers use; attack row 18."""


class Reception:
    """One message from MAIL to its answer. Whoever begins one ends it with `accept` or `abandon`."""

    def __init__(self, house: Receptions, hop: Hop, envelope: Envelope, staged: StagedOctets) -> None:
        self._house = house
        self._hop = hop
        self._staged = staged
        self._targets: dict[AccountId, Target] = {}
        self._leaving: dict[tuple[str, str], Leaving] = {}
        self._bounced: list[Address] = []
        """Addresses of ours that stand for rewritten senders: the message is a bounce of what we sent on."""
        self._reported: list[Address] = []
        """Addresses of ours that take reports of other servers."""
        self._recipients: list[Recipient] = []
        self._rules: dict[str, Domain] = {}
        """Domains of recipients that judge mail by rules of their own, by name."""
        self._group: frozenset[str] | None = None
        """The names of those domains, one and the same for all recipients; None: there are no recipients yet."""
        self.envelope = envelope
        """With its recipients once the data is complete."""
        self.queue_id = new_queue_id()

    @property
    def account_count(self) -> int:
        """How many mailboxes the message will be in."""
        return len(self._targets)

    def add_recipient(self, recipient: Recipient) -> Awaitable[None] | None:
        """Take a recipient; done when this gives None, which it does where the directory's answer is in memory.

        Errors, at once or when awaited: NoSuchAddress, NotOurDomain, OverQuota, AddressPaused, AddressDisabled,
        TlsRequired, DnsUnavailable; NotAllowed for what is no bounce of ours (attack row 14), and for reports of our
        own people; MessageTooLarge for the domain; RecipientsDiffer where its rules are others than those of the
        recipients before.
        Spec: RFC 5321 §3.3 (refuse at RCPT what will not be delivered).
        """
        resolution = self._house.addresses.resolve_cached(recipient.address)
        if resolution is None:
            return self._add_unknown(recipient)
        return self._add(recipient, resolution)

    async def _add_unknown(self, recipient: Recipient) -> None:
        house, address = self._house, recipient.address
        if await house.bounces.is_return_address(address, self.envelope.mail_from):
            self._bounced.append(address)
            self._named(recipient)
            return
        if await house.reporting.is_report_address(address):
            if self._hop.is_authenticated:
                raise NotAllowed("That address takes reports of other servers only")
            self._check_group(frozenset())
            self._group = frozenset()
            self._reported.append(address)
            self._named(recipient)
            return
        is_bare_postmaster = address == Address("postmaster", house.terms.hostname)
        try:
            resolution = await house.addresses.resolve(address)
        except NotOurDomain:
            if not is_bare_postmaster:
                raise
            resolution = await house.addresses.resolve(await house.deliveries.postmaster(address))
        more = self._add(recipient, resolution)
        if more is not None:
            await more

    def _add(self, recipient: Recipient, resolution: Resolution) -> Awaitable[None] | None:
        if resolution.requires_tls and not (self._hop.peer.is_encrypted or self._hop.is_authenticated):
            raise TlsRequired(_CLEAR_TEXT)
        if resolution.domains or self._group:
            self._check_rules(resolution)
        if any(account.quota_octets is not None for account in resolution.accounts):
            return self._add_with_room(recipient, resolution)
        self._keep(recipient, resolution)
        return None

    async def _add_with_room(self, recipient: Recipient, resolution: Resolution) -> None:
        for account in resolution.accounts:
            if account.quota_octets is not None:
                await self._house.deliveries.check_room(account, self.envelope.size_octets or 0)
        self._keep(recipient, resolution)

    def _check_rules(self, resolution: Resolution) -> None:
        """Check what is known at RCPT already. Errors: MessageTooLarge, RecipientsDiffer."""
        for domain in resolution.domains:
            octets_max = domain.terms.message_octets_max
            if octets_max and (self.envelope.size_octets or 0) > octets_max:
                raise MessageTooLarge(f"Messages have at most {octets_max} octets here")
        self._check_group(frozenset(domain.name for domain in resolution.domains))

    def _check_group(self, group: frozenset[str]) -> None:
        """A message has one answer, so it goes to recipients only who judge it in the same way.

        Errors: RecipientsDiffer, for which every server sends the rest in another transaction.
        Spec: RFC 5321 §4.5.3.1.10 (452); docs/adr/0023.
        """
        if self._group not in {None, group}:
            raise RecipientsDiffer

    def _keep(self, recipient: Recipient, resolution: Resolution) -> None:
        self._group = frozenset(domain.name for domain in resolution.domains)
        for domain in resolution.domains:
            self._rules[domain.name] = domain
            if domain.terms.message_octets_max:
                self._staged.lower_limit(domain.terms.message_octets_max)
        for account in resolution.accounts:
            self._targets.setdefault(account.account_id, Target(account, recipient))
        for forward in resolution.forwards:
            self._leaving.setdefault((str(forward.target), forward.recipient.key), Leaving(forward, recipient))
        self._named(recipient)

    def _named(self, recipient: Recipient) -> None:
        self._recipients.append(recipient)

    def write(self, chunk: bytes) -> None:
        """Take octets of the message. Errors: MessageTooLarge, StorageFull."""
        self._staged.write(chunk)

    def abandon(self) -> None:
        """Drop the message; may be called again, and after `accept`."""
        self._staged.release()

    async def accept(self) -> None:
        """Check the complete message and dispatch it; when this returns it is on stable storage, for every recipient.

        Errors: MessageTooLarge (header), BadMessage, MailLoop; PolicyRefused, Deferred, Greylisted, RateLimited by
        policy; EncryptionNeeded, WrongAuthor, SignatureNeeded, DnsUnavailable by the rules of the domain; OverQuota,
        StorageFull, StorageUnavailable, TryAgainLater (see `deliveries`).
        Effects: nothing of the message stays in memory, whatever the outcome.
        Spec: RFC 5321 §6.1; attack rows 8 and 18.
        """
        self.envelope = replace(self.envelope, recipients=tuple(self._recipients))
        trace = await self._house.tracing.of(
            self.queue_id, "in", self.envelope.mail_from, self._domain_of_ours(), self._hop.peer.address
        )
        try:
            await self._accept(trace)
        except MailsteadError as error:
            trace.note("answered", "defer" if error.is_temporary else "refuse", error.public_text)
            raise
        finally:
            self._staged.release()

    def _domain_of_ours(self) -> str:
        return self.envelope.recipients[0].address.domain if self.envelope.recipients else ""

    async def _accept(self, trace: MessageTrace) -> None:
        house = self._house
        header = self._staged.header()
        earlier = tracefields.read(header)
        self._note_arrival(trace, earlier)
        self._check_loop(earlier)
        if self._bounced:
            await house.bounces.absorb(bytes(self._staged.octets), self._bounced, trace)
        if not (self._targets or self._leaving or self._reported):
            return  # a bounce that is absorbed, or an alias that is switched off without a word
        clean = without_forged(header, house.terms.hostname)
        if len(clean) != len(header):
            self._staged.octets[: len(header)] = clean
            header = clean
        found, results, text = None, "", ""
        rules = tuple(self._rules.values())
        if rules:
            self.envelope, found = await domain_rules.judge_incoming(
                self._staged.octets, header, self.envelope, rules, house.verifier, trace
            )
        if any(domain.terms.requires_aligned_dkim for domain in rules):
            _raise(await house.screening.judge_lists(self._screened(header, found)))
            targets, impersonated = list(self._targets.values()), frozenset[str]()
        else:
            if house.verifier is not None:
                mail_from, helo = self.envelope.mail_from, self._hop.helo
                found = await house.verifier.verify(self._staged.octets, header, self._hop.peer, helo, mail_from)
                text = results_text(found, mail_from, helo)
                results = results_field(text, house.terms.hostname)
                results += received_spf(found, self._hop.peer, mail_from, helo, house.terms.hostname)
                _note_authentication(trace, found)
            impersonated = await self._impersonated(found)
            targets = await self._judge(trace, header, found, impersonated)
        if self._reported:
            await house.reporting.take(bytes(self._staged.octets), self._reported, found, trace)
        await house.dispatch.dispatch(
            Accepted(
                self.queue_id,
                self._hop,
                self.envelope,
                self._staged.octets,
                header,
                trace,
                message_id=earlier.message_id,
                authentication=found,
                results=results,
                results_text=text,
                impersonated=impersonated,
            ),
            targets,
            tuple(self._leaving.values()),
        )

    async def _judge(
        self, trace: MessageTrace, header: bytes, found: Authentication | None, impersonated: frozenset[str]
    ) -> list[Target]:
        """Ask policy; give the targets with what it says for each.

        A refusal for one account only is not the sender's answer while others take the message: there it is junk.
        Errors: PolicyRefused, Deferred, Greylisted, RateLimited.
        """
        screening = self._house.screening
        message = self._screened(header, found)
        common = await screening.judge(message)
        trace.note_checks(common.checks)
        self._house.reporting.note(found, self._hop.peer.address, self.envelope.mail_from, common)
        _raise(common)
        if found is not None and any(each.forward.via.domain in impersonated for each in self._leaving.values()):
            author_domain = found.dmarc.author_domain
            text = f"Mail from {author_domain} is sent on only if it is shown to come from there (SPF or DKIM)"
            raise PolicyRefused(text, check="own-domain")
        targets: list[Target] = []
        refused: list[Judgement] = []
        for target in self._targets.values():
            own = await screening.judge_for(target.account, message, common)
            trace.note_checks(own.checks[len(common.checks) :], target.account.address)
            if own.decision in {Decision.REFUSE, Decision.DEFER}:
                refused.append(own)
                own = replace(own, decision=Decision.QUARANTINE)
            targets.append(Target(target.account, target.recipient, own))
        if refused and len(refused) == len(targets) and not self._leaving:
            _raise(refused[0])
        return targets

    def _screened(self, header: bytes, found: Authentication | None) -> Screened:
        return Screened(
            self.queue_id,
            self._hop.peer,
            self._hop.helo,
            self.envelope.mail_from,
            tuple(each.address for each in self.envelope.recipients),
            self._staged.octets,
            header,
            found,
        )

    async def _impersonated(self, found: Authentication | None) -> frozenset[str]:
        """Give those of our domains to whose organization the message pretends to belong; they do not send it on.

        With a rewritten sender of ours it would pass SPF for that organization at the next server, and so DMARC: we
        would vouch for a forgery (attack row 16).

        Errors: DnsUnavailable.
        """
        verifier, srs_domain = self._house.verifier, self._house.bounces.srs_domain
        if verifier is None or found is None or found.is_author_authenticated or found.arc.is_trusted:
            return frozenset()
        ours = {each.forward.via.domain for each in self._leaving.values()}
        ours |= {each.account.address.domain for each in self._targets.values()}
        author_domain = found.dmarc.author_domain
        return frozenset(
            [each for each in ours if await verifier.is_same_organization(author_domain, srs_domain or each)]
        )

    def _note_arrival(self, trace: MessageTrace, earlier: Trace) -> None:
        """Note how the message came, for each recipient."""
        trace.identify(earlier.message_id)
        hop = self._hop
        how = f"{hop.protocol} {hop.peer.tls_version}" if hop.peer.is_encrypted else hop.protocol
        peer = hop.peer.address if hop.is_authenticated else f"{hop.helo} [{hop.peer.address}]"
        for recipient in self._recipients:
            size = len(self._staged.octets)
            trace.note("received", "", f"{size} octets by {how}", recipient=recipient.address, peer=peer)

    def _check_loop(self, earlier: Trace) -> None:
        """Refuse a message that goes in circles. Spec: RFC 5321 §6.3, RFC 9228 §5; attack row 18."""
        if earlier.received_count > self._house.terms.received_max:
            raise MailLoop(f"The message has more than {self._house.terms.received_max} Received fields")
        if self._hop.is_authenticated:
            return  # a person who sends received mail on leaves its Delivered-To in place
        for target in self._targets.values():
            if target.account.address.key in earlier.delivered_to:
                raise MailLoop("The message has been delivered to that address before")
        for leaving in self._leaving.values():
            if leaving.forward.via.key in earlier.original_to:
                raise MailLoop("The message has been sent on through that address before")


def _raise(judgement: Judgement) -> None:
    """Errors: what the decision means for the sender; nothing for those that let the message in."""
    if judgement.decision in {Decision.ALLOW, Decision.QUARANTINE}:
        return
    check = judgement.deciding
    text = check.public_text if check else ""
    facts = {"check": check.name if check else "score", "enhanced_code": check.enhanced_code if check else ""}
    if judgement.decision is Decision.DEFER:
        raise (Greylisted if check and check.name == "greylist" else Deferred)(text or None, **facts)
    raise PolicyRefused(text or "The message looks like junk", **facts)


def _note_authentication(trace: MessageTrace, found: Authentication) -> None:
    trace.note("spf", found.spf.result, found.spf.explanation or found.spf.mechanism or found.spf.domain)
    for each in found.dkim:
        trace.note("dkim", each.result, f"{each.domain} {each.selector} {each.reason}".strip())
    if found.arc.result != "none":
        trace.note("arc", found.arc.result, found.arc.reason or ", ".join(found.arc.sealers))
    dmarc = found.dmarc
    trace.note("dmarc", dmarc.result, dmarc.reason or f"{dmarc.author_domain} asks for {dmarc.policy}")
    trace.note("iprev", found.iprev.result, found.iprev.name)


class Receptions:
    """Begins receptions; one object for all conversations of the process."""

    def __init__(
        self,
        addresses: Addresses,
        deliveries: Deliveries,
        dispatch: Dispatch,
        bounces: Bounces,
        reporting: Reporting,
        screening: Screening,
        tracing: Tracing,
        staging: Staging,
        clock: Clock,
        terms: ReceptionTerms,
        *,
        verifier: SenderVerifier | None,
    ) -> None:
        self.addresses: Final = addresses
        self.deliveries: Final = deliveries
        self.dispatch: Final = dispatch
        self.bounces: Final = bounces
        self.reporting: Final = reporting
        self.screening: Final = screening
        self.tracing: Final = tracing
        self.staging: Final = staging
        self.clock: Final = clock
        self.terms: Final = terms
        self.verifier: Final = verifier

    def check_tls(self, peer: Peer) -> Awaitable[None] | None:
        """Check that a peer may begin without TLS; None: it may.

        Errors: TlsRequired, when awaited, if none of our domains takes mail in clear text. Where only some do, it is
        said for each recipient.
        """
        if peer.is_encrypted or self.addresses.requires_tls_everywhere_cached() is False:
            return None
        return self._check_tls()

    async def _check_tls(self) -> None:
        if await self.addresses.requires_tls_everywhere():
            raise TlsRequired(_CLEAR_TEXT)

    def begin(self, peer: Peer, helo: str, envelope: Envelope, *, is_extended: bool = True) -> Reception:
        """Begin with what MAIL said. Any sender is taken: who may say what is for mail authentication to judge."""
        hop = Hop(peer, helo, self.terms.hostname, is_extended, is_authenticated=False, is_smtputf8=envelope.smtputf8)
        return Reception(self, hop, envelope, StagedOctets(self.staging, self.terms.message_octets_max))
