"""Judging incoming mail: one pipeline of named checks, each with its reason.

Most checks look at facts that are there; those that ask the DNS, a scanner or the store run side by side. What is the
same for all recipients is judged once; then each account adds its own lists and what it has learned. Nothing here
refuses by itself: a check says what it has found, and `model.verdict.judge` joins them.

Order of power: a deny list refuses, whatever else is said; an allow list spares heuristics, greylisting and scores, but
neither viruses nor the policy of the author's domain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

import msgspec

from mailstead.mailauth.dmarc_author import author as author_of
from mailstead.mailauth.dmarc_author import author_in, from_value
from mailstead.mailauth.results import told_result
from mailstead.mime.address import addresses_of
from mailstead.mime.header import text_of
from mailstead.mime.tree import part_tree
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication, Result
from mailstead.model.directory import Account
from mailstead.model.envelope import Peer
from mailstead.model.errors import AccountLocked, BadMessage, DnsUnavailable
from mailstead.model.ids import AccountId
from mailstead.model.message import Octets
from mailstead.model.verdict import Check, Decision, Judgement, judge
from mailstead.policy import lookalikes
from mailstead.policy.attachments import refused_attachment
from mailstead.policy.failures import network_of
from mailstead.policy.rates import Rates
from mailstead.policy.senders import SenderFacts, SenderList
from mailstead.ports.changebus import FILTERS, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver
from mailstead.ports.scanner import Scanned, Scanner
from mailstead.ports.storage import Storage
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.sender_lists import ALLOWED, DENIED, read_entries

HOUR_S: Final = 3600.0
GREYLIST_KEPT: Final = timedelta(days=30)
"""How long a sender that came again is remembered."""
_LISTS_REMEMBERED: Final = 1024
ALLOW_LIST_SCORE: Final = -100.0
OWN_LISTS_MAX: Final = 50_000
OWN_LISTS_S: Final = 60.0
"""How long what an account lists is believed, should another process's wake-up be lost."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A complete message on its way in, and all that is known of how it came."""

    queue_id: str
    peer: Peer
    helo: str
    mail_from: Address | None
    recipients: tuple[Address, ...]
    """As named in RCPT."""
    octets: Octets = field(repr=False)
    header: bytes = field(repr=False)
    authentication: Authentication | None


@dataclass(frozen=True, slots=True)
class ScreeningTerms:
    """What the administrator has chosen."""

    junk_score: float = 5.0
    refuse_score: float = 15.0
    allowlist: tuple[str, ...] = ()
    denylist: tuple[str, ...] = ()
    dns_blocklists: tuple[str, ...] = ()
    dns_allowlists: tuple[str, ...] = ()
    greylists: bool = False
    greylist_delay_s: float = 300.0
    refused_extensions: tuple[str, ...] = ()
    messages_per_sender_hour_max: int = 0
    messages_per_recipient_hour_max: int = 0
    refuses_by_policy: bool = True
    refuses_hard_fail: bool = False


class OwnLists(NamedTuple):
    """What one account lists."""

    denied: SenderList
    allowed: SenderList


_NO_LISTS: Final = OwnLists(SenderList(()), SenderList(()))


class Screening:
    """The pipeline; one object for the process."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        resolver: Resolver,
        junk_filter: JunkFilter | None,
        scanners: Sequence[Scanner],
        terms: ScreeningTerms,
    ) -> None:
        """Errors: BadSettings for an entry of a list that is none."""
        self._directory = storage.directory
        self._accounts = storage.accounts
        self._memory = storage.memory
        self._clock = clock
        self._resolver = resolver
        self._junk_filter = junk_filter
        self._scanners = tuple(scanners)
        self._terms = terms
        self._allowed = SenderList(terms.allowlist)
        self._denied = SenderList(terms.denylist)
        self._blocklists = [_zone(entry) for entry in terms.dns_blocklists]
        self._allowlists = [_zone(entry) for entry in terms.dns_allowlists]
        self._extensions = frozenset(extension.lower().lstrip(".") for extension in terms.refused_extensions)
        self._from_networks = Rates(HOUR_S)
        self._to_mailboxes = Rates(HOUR_S)
        self._lists: dict[tuple[str, ...], SenderList] = {}
        self._own_lists: dict[AccountId, tuple[float, OwnLists]] = {}
        """What accounts list, and until when we believe it."""
        self._generation = 0
        self._watch: AbstractContextManager[None] = bus.watch(FILTERS, self._forget)
        self._watch.__enter__()

    def close(self) -> None:
        """Watch for changes no longer."""
        self._watch.__exit__(None, None, None)

    def _forget(self) -> None:
        self._own_lists.clear()
        self._generation += 1

    # for all recipients

    async def judge(self, message: Screened) -> Judgement:
        """Judge what is the same for all recipients.

        A message that a list, its author's policy or its form decides is not scanned, counted or greylisted.
        """
        try:
            from_field = from_value(message.header)
            author = author_in(from_field)
        except BadMessage as error:  # exactly one author, who can be read in one way only (attack row 31)
            text = error.public_text
            return self._join([Check("author", Decision.REFUSE, reason=text, public_text=text)])
        facts = self._sender(message, author)
        lists = await self._check_lists(message, facts)
        is_allowed = any(check.score <= ALLOW_LIST_SCORE for check in lists)
        checks: list[Check | None] = [*lists, *self._check_authentication(message)]
        checks.append(await self._check_own_domain(message, facts))
        checks.append(self._check_display(message, from_field, author))
        if self._join(checks).decision in {Decision.REFUSE, Decision.DEFER}:
            return self._join(checks)
        checks.append(await self._check_attachments(message))
        further: list[Awaitable[Check | None]] = [scanner.scan(self._scanned(message)) for scanner in self._scanners]
        if not is_allowed:
            checks.append(self._check_rate(message))
            if self._blocklists or self._allowlists:
                further.append(self._check_dns_lists(message))
        if further:
            checks += await asyncio.gather(*further)
        if self._terms.greylists and not is_allowed and self._join(checks).decision is Decision.ALLOW:
            checks.append(await self._check_greylist(message))
        return self._join(checks)

    async def judge_lists(self, message: Screened) -> Judgement:
        """Ask only who is on a list that an administrator has made, for domains that ask for nothing else.

        Errors: BadMessage, unless there is exactly one author, who can be read in one way only.
        """
        facts = self._sender(message, author_of(message.header))
        return self._join(await self._check_lists(message, facts))

    def _join(self, checks: Sequence[Check | None]) -> Judgement:
        """Join what has something to say; checks that found nothing are left out of the trace."""
        told = [
            check
            for check in checks
            if check is not None and (check.reason or check.score or check.decision is not Decision.ALLOW)
        ]
        return judge(told, self._terms.junk_score, self._terms.refuse_score)

    @staticmethod
    def _sender(message: Screened, author: Address) -> SenderFacts:
        found = message.authentication
        names: list[str] = []
        if found is not None:
            if found.iprev.result is Result.PASS:
                names.append(found.iprev.name)
            names += [each.domain for each in found.dkim if each.result is Result.PASS]
        return SenderFacts(message.peer.address, message.mail_from, author, tuple(names))

    async def _check_lists(self, message: Screened, facts: SenderFacts) -> list[Check]:
        """Ask the server's lists, then those of the recipients' domains."""
        believed = _believed(message, facts)
        found = [
            self._listed("denylist", self._denied, facts, "the server"),
            self._listed("allowlist", self._allowed, believed, "the server"),
        ]
        for name in dict.fromkeys(address.domain for address in message.recipients):
            domain = await self._directory.domain(name)
            if domain is None or not (domain.terms.denylist or domain.terms.allowlist):
                continue
            found.append(self._listed("denylist", self._list(domain.terms.denylist), facts, name))
            found.append(self._listed("allowlist", self._list(domain.terms.allowlist), believed, name))
        return [check for check in found if check is not None]

    def _list(self, entries: tuple[str, ...]) -> SenderList:
        found = self._lists.get(entries)
        if found is None:
            if len(self._lists) >= _LISTS_REMEMBERED:
                self._lists.clear()
            found = self._lists[entries] = SenderList(entries)
        return found

    @staticmethod
    def _listed(name: str, entries: SenderList, facts: SenderFacts, whose: str) -> Check | None:
        entry = entries.match(facts) if entries else None
        if entry is None:
            return None
        if name == "denylist":
            return Check(
                name,
                Decision.REFUSE,
                reason=f"{entry} is on the deny list of {whose}",
                public_text="Sender is refused here",
            )
        return Check(name, score=ALLOW_LIST_SCORE, reason=f"{entry} is on the allow list of {whose}")

    def _check_authentication(self, message: Screened) -> list[Check]:
        """What the results of SPF, DKIM, ARC and DMARC mean. Spec: RFC 9989 (policy), RFC 7372 (codes)."""
        found = message.authentication
        if found is None:
            return []
        domain = found.dmarc.author_domain
        if found.has_temporary_error and not found.is_author_authenticated:
            return [
                Check(
                    "dns",
                    Decision.DEFER,
                    reason="the sender could not be checked, as the DNS did not answer",
                    public_text="The sender cannot be checked now, as the DNS does not answer; try again later",
                    enhanced_code="4.4.3",
                )
            ]
        if found.dmarc.result is Result.FAIL and found.dmarc.policy in {"quarantine", "reject"}:
            return [self._policy_check(found, domain)]
        if found.spf.result is Result.FAIL and not found.is_author_authenticated:
            if self._terms.refuses_hard_fail:
                text = f"{found.spf.domain} does not let this host send its mail"
                return [Check("spf", Decision.REFUSE, reason=text, public_text=text, enhanced_code="5.7.23")]
            return [Check("spf", score=3.0, reason=f"{found.spf.domain} does not let this host send its mail")]
        if not found.is_author_authenticated:
            return [Check("authentication", score=1.0, reason=f"nothing shows that {domain} stands behind the message")]
        return []

    def _policy_check(self, found: Authentication, domain: str) -> Check:
        """The author's domain asks to refuse or to suspect it; a trusted sealer may say that it was good before."""
        if found.arc.is_trusted and told_result(found.arc.newest_results, "dmarc") == Result.PASS:
            return Check("dmarc", reason=f"fails, but {found.arc.sealers[-1]} has seen it pass (ARC)")
        text = f"{domain} asks for {found.dmarc.policy}, as the message is not shown to come from it (DMARC)"
        if found.dmarc.policy == "reject" and self._terms.refuses_by_policy:
            return Check("dmarc", Decision.REFUSE, reason=text, public_text=text, enhanced_code="5.7.26")
        return Check("dmarc", Decision.QUARANTINE, reason=text)

    async def _check_own_domain(self, message: Screened, facts: SenderFacts) -> Check | None:
        """Our own names from outside, by whom we do not know, are forged, whatever DMARC says (attack row 16)."""
        found = message.authentication
        if facts.author is None or found is None or found.is_author_authenticated:
            return None
        labels = facts.author.domain.split(".")
        for start in range(len(labels) - 1):
            name = ".".join(labels[start:])
            if await self._directory.domain(name) is not None:
                text = f"{facts.author.domain} is served here, and the message does not come from here"
                if found.arc.is_trusted or self._allowed.match(_believed(message, facts)):
                    return Check("own-domain", score=2.0, reason=text)
                return Check("own-domain", Decision.QUARANTINE, reason=text)
        return None

    @staticmethod
    def _check_display(message: Screened, from_field: bytes, author: Address) -> Check | None:
        """Names and domains made to be taken for others (attack row 32)."""
        name = _display_name(from_field)
        if lookalikes.hidden_controls(name) or lookalikes.has_gap(name):
            return Check("display", score=3.0, reason="the name in From has characters that hide or turn text")
        foreign = lookalikes.foreign_address_in_name(name, author.domain)
        if foreign is not None:
            return Check("display", score=3.0, reason=f"the name in From shows an address at {foreign}")
        ours = dict.fromkeys(address.domain for address in message.recipients)
        alike = lookalikes.looks_like(author.domain, ours)
        if alike is not None:
            return Check("display", score=4.0, reason=f"{author.domain} looks like {alike}, and is another domain")
        return None

    async def _check_attachments(self, message: Screened) -> Check | None:
        extensions = self._extensions
        for name in dict.fromkeys(address.domain for address in message.recipients):
            domain = await self._directory.domain(name)
            if domain is not None and domain.terms.refused_extensions:
                extensions |= {extension.lower().lstrip(".") for extension in domain.terms.refused_extensions}
        if not extensions or b"ontent-" not in message.header:
            return None
        parts = (
            await asyncio.to_thread(part_tree, message.octets)
            if len(message.octets) > 65536
            else part_tree(message.octets)
        )
        refused = refused_attachment(parts, extensions)
        if refused is None:
            return None
        return Check(
            "attachment",
            Decision.REFUSE,
            reason=f"the attachment {refused!r} is of a kind that is refused",
            public_text="The message has an attachment of a kind that is refused here; put it into an archive",
            enhanced_code="5.7.1",
        )

    def _check_rate(self, message: Screened) -> Check | None:
        """Count by network and by mailbox, over the last hour."""
        terms, now_s = self._terms, self._clock.monotonic_s()
        if terms.messages_per_sender_hour_max and not _is_loopback(message.peer.address):
            network = network_of(message.peer.address)
            if self._from_networks.count(network, now_s) > terms.messages_per_sender_hour_max:
                return _too_many(f"{network} has brought more than {terms.messages_per_sender_hour_max} in an hour")
        if terms.messages_per_recipient_hour_max:
            for address in message.recipients:
                if self._to_mailboxes.count(address.key, now_s) > terms.messages_per_recipient_hour_max:
                    return _too_many(f"{address} was sent more than {terms.messages_per_recipient_hour_max} in an hour")
        return None

    async def _check_dns_lists(self, message: Screened) -> Check | None:
        """Ask the DNS lists that are set; one that does not answer says nothing. Spec: RFC 5782 §2."""
        reverse = _reversed(message.peer.address)
        if reverse is None:
            return None
        zones = [*self._allowlists, *self._blocklists]
        answers = await asyncio.gather(*(self._is_listed(f"{reverse}.{zone}") for zone, _ in zones))
        for (zone, score), is_listed in zip(zones, answers, strict=True):
            if not is_listed:
                continue
            if (zone, score) in self._allowlists:
                return Check("dns-allowlist", score=-(score or 5.0), reason=f"the client is on {zone}")
            text = f"{message.peer.address} is on the block list {zone}"
            if score is None:
                return Check("dns-blocklist", Decision.REFUSE, reason=text, public_text=text, enhanced_code="5.7.1")
            return Check("dns-blocklist", score=score, reason=text)
        return None

    async def _is_listed(self, name: str) -> bool:
        try:
            answer = await self._resolver.a(name)
        except DnsUnavailable:
            return False
        # RFC 5782 §2.1: an entry is an address in 127.0.0.0/8; 127.255.255.0/24 are the lists' own error answers.
        return any(a.startswith("127.") and not a.startswith("127.255.255.") for a in answer.records)

    async def _check_greylist(self, message: Screened) -> Check | None:
        """Let senders come again who fail authentication and whom we have not seen. Spec: RFC 6647 §4."""
        found = message.authentication
        if found is not None and found.is_author_authenticated:
            return None
        now = self._clock.now()
        sender = message.mail_from.domain if message.mail_from else ""
        key = f"{network_of(message.peer.address)} {sender}"
        first_at = msgspec.json.encode(now.timestamp())
        seen = await self._memory.remember_first("greylist", key, first_at, now, now + GREYLIST_KEPT)
        passed_s = now.timestamp() - msgspec.json.decode(seen, type=float) if seen is not None else 0.0
        if seen is not None and passed_s >= self._terms.greylist_delay_s:
            return None
        wait_s = max(1, round(self._terms.greylist_delay_s - passed_s))
        return Check(
            "greylist",
            Decision.DEFER,
            reason=f"{key.strip()} is not known yet; it may come again in {wait_s} seconds",
            public_text=f"We do not know you yet; please try again in {wait_s} seconds",
            enhanced_code="4.7.1",
        )

    @staticmethod
    def _scanned(message: Screened) -> Scanned:
        found = message.authentication
        name = found.iprev.name if found is not None and found.iprev.result is Result.PASS else ""
        return Scanned(
            message.queue_id,
            message.peer,
            message.helo,
            message.mail_from,
            message.recipients,
            message.octets,
            name,
        )

    # for one account

    async def judge_for(self, account: Account, message: Screened, common: Judgement) -> Judgement:
        """Judge for one account: with its own lists and what it has learned of junk. The common checks come first."""
        checks: list[Check] = list(common.checks)
        lists = await self._check_own_lists(account, message)
        checks += lists
        is_allowed = any(check.score <= ALLOW_LIST_SCORE for check in checks)
        if self._junk_filter is not None and not is_allowed:
            learned = await self._junk_filter.judge(account.account_id, message.octets)
            if learned is not None:
                checks.append(learned)
        if not lists and len(checks) == len(common.checks):
            return common
        return self._join(checks)

    async def _check_own_lists(self, account: Account, message: Screened) -> list[Check]:
        own = await self._own_lists_of(account)
        if not any(own):
            return []
        facts, whose = self._sender(message, author_of(message.header)), str(account.address)
        found = (
            self._listed("denylist", own.denied, facts, whose),
            self._listed("allowlist", own.allowed, _believed(message, facts), whose),
        )
        return [check for check in found if check is not None]

    async def _own_lists_of(self, account: Account) -> OwnLists:
        """Give what the account lists; remembered, as every delivery asks."""
        account_id, now_s = account.account_id, self._clock.monotonic_s()
        believed_until_s, own = self._own_lists.get(account_id, (0.0, _NO_LISTS))
        if now_s < believed_until_s:
            return own
        generation = self._generation
        try:
            preferences = await self._accounts.of(account_id).preferences()
        except AccountLocked:  # they are locked with the mail: whoever is listed comes in as anybody
            return _NO_LISTS
        own = OwnLists(
            self._list(tuple(read_entries(preferences.get(DENIED)))),
            self._list(tuple(read_entries(preferences.get(ALLOWED)))),
        )
        if generation == self._generation:
            if len(self._own_lists) >= OWN_LISTS_MAX:
                self._own_lists.clear()
            self._own_lists[account_id] = (now_s + OWN_LISTS_S, own)
        return own


def _believed(message: Screened, facts: SenderFacts) -> SenderFacts:
    """Leave out names that the message is shown not to come from: no allow list lets forgers in.

    Names for which nothing is published count: who lists them has nothing better.
    """
    found = message.authentication
    if found is None:
        return facts
    mail_from, author = facts.mail_from, facts.author
    if found.spf.scope == "mfrom" and found.spf.result in {Result.FAIL, Result.SOFTFAIL}:
        mail_from = None
    if author is not None and not found.is_author_authenticated:
        is_sender_forged = mail_from != facts.mail_from and found.spf.domain == author.domain
        if found.dmarc.result is Result.FAIL or is_sender_forged:
            author = None
    return replace(facts, mail_from=mail_from, author=author)


@lru_cache(maxsize=1024)
def _display_name(value: bytes) -> str:
    """Give what people see of a From field as the author's name, decoded; empty if there is none."""
    listed = addresses_of(value)
    return text_of(listed[0].name) if listed and listed[0].name else ""


def _too_many(reason: str) -> Check:
    return Check("rate", Decision.DEFER, reason=reason, public_text="Too much mail in a short time; try again later")


def _zone(entry: str) -> tuple[str, float | None]:
    """Read ``zone`` or ``zone=score``."""
    zone, _, score = entry.partition("=")
    return zone.strip().strip("."), float(score) if score else None


def _reversed(address: str) -> str | None:
    """Give the name under which a list has an address. Spec: RFC 5782 §2.1, §2.4."""
    try:
        return ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
