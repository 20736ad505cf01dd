"""Is all well? The machine, the services, the DNS of all domains: each thing with what was found and what to do.

Nobody else is asked than the resolver, the servers of our own names, and what the settings name: no port test at a
large provider and no block list unless it is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Final

from mailstead.model.address import normal_domain
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import DnsUnavailable, MailsteadError
from mailstead.model.queue import QueueQuery, RecipientState
from mailstead.model.trace import TraceQuery
from mailstead.policy.dns_records import MailHost
from mailstead.policy.relay_forms import foreign_recipients
from mailstead.ports.clock import Clock
from mailstead.ports.probes import CertificateFacts, ProbeFailed, Probes
from mailstead.ports.resolver import Resolver
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.domains import Domains
from mailstead.usecases.network_checks import NetworkChecks
from mailstead.usecases.record_checks import RecordChecks

AT_ONCE_MAX: Final = 8
CERTIFICATE_DAYS_MIN: Final = 14
DISK_PART_MIN: Final = 0.1
WAITS_LONG: Final = timedelta(days=1)
RESTING_SHOWN_MAX: Final = 5
PEERS_LOOKED_AT: Final = 500
PEERS_MIN: Final = 3
"""From so few messages nothing can be said about where all of them come from."""
BUILT_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock can be right that says less."""
BACKUP_AGE_MAX: Final = timedelta(hours=36)
CLOCK_JUMP_S: Final = 5.0
BRIDGED: Final = "bridged client"
"""Kind of what the mx remembers: addresses of bridges from which it has turned clients away."""
BRIDGED_KEPT: Final = timedelta(days=1)
BRIDGED_TOLD_EVERY: Final = timedelta(hours=1)

_GREETINGS: Final = {"smtp": "220", "imap": "* OK", "pop3": "+OK", "sieve": '"', "http": "HTTP/"}

Check = Callable[[], Awaitable[Sequence[Diagnosis]]]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where one of our services should answer."""

    service: str
    where: str
    is_tls: bool

    @property
    def speaks(self) -> str:
        """The protocol, as `Probes.greeting` calls it."""
        return {"mx": "smtp", "submission": "smtp", "web": "http", "api": "http"}.get(self.service, self.service)


@dataclass(frozen=True, slots=True)
class DoctorTerms:
    """What the settings say about the house."""

    hostname: str
    listening: tuple[Listening, ...]
    dns_blocklists: tuple[str, ...]
    """``zone`` or ``zone=score``."""
    port_25_target: str
    """``host`` or ``host:port`` to try the port at; empty: it is not tried."""
    disk_reserve_octets: int
    last_backup: Callable[[], Awaitable[datetime | None]] | None = None
    """Gives when the last backup was made; None: none are to be made."""
    is_backup_key_shown: Callable[[], bool] = lambda: True
    """Whether anybody has ever had the key of the backups before them."""


class Doctor:
    """All verbs are for administrators only (NotAllowed)."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        resolver: Resolver,
        web: WebClient,
        probes: Probes,
        plan: DnsPlan,
        terms: DoctorTerms,
    ) -> None:
        self._storage = storage
        self._domains = Domains(storage)
        self._clock = clock
        self._resolver = resolver
        self._web = web
        self._probes = probes
        self._network = NetworkChecks(resolver, probes)
        self._plan = plan
        self._terms = terms

    async def examine(
        self, actor: Actor, domain: str | None = None, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> list[Diagnosis]:
        """Look at everything; with a domain, at what concerns that domain only.

        Errors: BadAddress, NoSuchDomain; NotAllowed, for all but administrators (of that domain, or of the server).
        """
        if domain is None:
            actor.must_be_admin()
        else:
            actor.must_administer(normal_domain(domain))
        begin, begin_s = self._clock.now(), self._clock.monotonic_s()
        host = await self._plan.host()
        records = RecordChecks(self._resolver, self._web, self._clock, host)
        if domain is None:
            checks = [*self._of_house(host), *await self._of_host(actor, records)]
            domains = await self._domains.list(actor)
        else:
            checks, domains = [], [await self._domains.get(actor, domain)]
        for each in domains:
            checks += await self._of_domain(actor, each, records)
        found = await _all(checks, progress)
        if domain is None:
            found.insert(0, self._clock_state(begin, begin_s))
        return found

    async def records(self, actor: Actor, domain: str) -> list[Diagnosis]:
        """Look at the DNS records of the mail host and of one domain only.

        Errors: BadAddress, NoSuchDomain, NotAllowed.
        """
        actor.must_administer(normal_domain(domain))
        found = await self._domains.get(actor, domain)
        records = RecordChecks(self._resolver, self._web, self._clock, await self._plan.host())
        checks = [*await self._of_host(actor, records), *await self._of_domain(actor, found, records)]
        return await _all(checks, lambda _done, _total: None)

    def _of_house(self, host: MailHost) -> Iterable[Check]:
        yield self._disk
        yield self._master_key
        yield self._backups
        yield self._backup_key
        yield self._resolver_state
        yield self._certificate
        for listening in self._terms.listening:
            yield partial(self._service, listening)
        yield self._relay
        yield self._client_addresses
        yield self._queue
        yield self._destinations
        network = self._network
        yield partial(_one, partial(network.port_25, self._terms.port_25_target))
        for address in host.addresses:
            yield partial(_one, partial(network.reverse_name, address, self._terms.hostname))
        yield partial(_one, partial(network.blocklists, host.addresses, self._terms.dns_blocklists))

    async def _of_host(self, actor: Actor, records: RecordChecks) -> list[Check]:
        return [partial(_one, partial(records.check, record)) for record in await self._plan.of_host(actor)]

    async def _of_domain(self, actor: Actor, domain: Domain, records: RecordChecks) -> list[Check]:
        plan = await self._plan.of_domain(actor, domain.name)
        mode = domain.terms.mta_sts_mode
        return [partial(_one, partial(records.check, record, domain.name, mode)) for record in plan]

    # the machine

    def _clock_state(self, begin: datetime, begin_s: float) -> Diagnosis:
        """Whether the clock can be right: of this century, and not moved while we looked. Nobody is asked."""
        now = self._clock.now()
        jump_s = abs((now - begin).total_seconds() - (self._clock.monotonic_s() - begin_s))
        found = f"{now:%Y-%m-%d %H:%M:%S} UTC"
        advice = "Let the machine keep time (for example with chrony): signatures and certificates depend on it."
        if now < BUILT_AT:
            return Diagnosis("clock", Health.ERROR, found, "the present", advice)
        if jump_s > CLOCK_JUMP_S:
            moved = f"{found}; it moved by {jump_s:.0f} s while we looked"
            return Diagnosis("clock", Health.WARNING, moved, "a clock that runs evenly", advice)
        return Diagnosis("clock", Health.OK, found)

    async def _disk(self) -> list[Diagnosis]:
        try:
            disk = await self._probes.disk()
        except ProbeFailed as error:
            return [Diagnosis("disk", Health.ERROR, str(error), "the data folder", "See server.data_dir.")]
        part = disk.free_octets / disk.total_octets if disk.total_octets else 0.0
        found = f"{disk.free_octets / 2**30:.1f} GiB free ({part:.0%}) at {disk.folder}"
        reserve = self._terms.disk_reserve_octets
        expected = f"more than {DISK_PART_MIN:.0%} free; below {reserve / 2**20:.0f} MiB mail is refused"
        if disk.free_octets < reserve:
            return [Diagnosis("disk", Health.ERROR, found, expected, "Make room: mail is refused temporarily.")]
        if part < DISK_PART_MIN:
            return [Diagnosis("disk", Health.WARNING, found, expected, "Make room, or enlarge the disk.")]
        return [Diagnosis("disk", Health.OK, found)]

    async def _master_key(self) -> list[Diagnosis]:
        name, expected = "master key", "apart from the data, readable by its owner only"
        try:
            key = await self._probes.master_key()
        except ProbeFailed as error:
            return [Diagnosis(name, Health.ERROR, str(error), expected, "Without the key nobody can read the mail.")]
        if key.is_open:
            return [Diagnosis(name, Health.ERROR, f"{key.place} can be read by others", expected, "chmod 600 it.")]
        if key.is_with_data:
            advice = "Move it and set store.master_key_file: who gets a copy of the folder can read all mail."
            return [Diagnosis(name, Health.WARNING, f"{key.place} lies in the data folder", expected, advice)]
        return [Diagnosis(name, Health.OK, key.place)]

    async def _backups(self) -> list[Diagnosis]:
        if self._terms.last_backup is None:
            return []  # whoever copies the machine whole needs none of ours
        name, expected = "backups", f"one in the last {BACKUP_AGE_MAX.total_seconds() / 3600:.0f} hours"
        try:
            made_at = await self._terms.last_backup()
        except MailsteadError as error:
            return [Diagnosis(name, Health.ERROR, error.public_text, expected, "See that `mailstead backup` works.")]
        if made_at is None or self._clock.now() - made_at > BACKUP_AGE_MAX:
            found = f"the last one was made at {made_at:%Y-%m-%d %H:%M} UTC" if made_at else "there is none yet"
            return [Diagnosis(name, Health.ERROR, found, expected, "Run `mailstead backup`, and see what it says.")]
        return [Diagnosis(name, Health.OK, f"the last one was made at {made_at:%Y-%m-%d %H:%M} UTC")]

    async def _backup_key(self) -> list[Diagnosis]:
        if self._terms.last_backup is None:
            return []
        name = "backup key"
        if self._terms.is_backup_key_shown():
            return [Diagnosis(name, Health.OK, "it was shown")]
        found, expected = "nobody has ever had it shown", "on paper, away from this machine"
        advice = "Run `mailstead backup key` and print it: if this machine is lost, nothing else opens its backups."
        return [Diagnosis(name, Health.WARNING, found, expected, advice)]

    async def _resolver_state(self) -> list[Diagnosis]:
        """Whether it answers, and whether DNSSEC counts: asked for is the top-level domain of our own name."""
        top = self._terms.hostname.rpartition(".")[2]
        try:
            await self._resolver.a(self._terms.hostname)
            answer = await self._resolver.a(top)
        except DnsUnavailable:
            advice = "Set dns.servers to a resolver that answers; one on this machine, such as unbound, is best."
            return [Diagnosis("resolver", Health.ERROR, "it does not answer", "answers", advice)]
        if answer.is_authentic:
            return [Diagnosis("resolver", Health.OK, "it answers, and validates DNSSEC")]
        advice = (
            "Run a resolver that validates on this machine, such as unbound, or set dns.trusts_ad if the one that is "
            f"used may be trusted. (If .{top} itself is not signed, this says nothing.)"
        )
        return [Diagnosis("resolver", Health.WARNING, "it answers, without DNSSEC: DANE is not used", "DNSSEC", advice)]

    async def _certificate(self) -> list[Diagnosis]:
        name, hostname = "certificate", self._terms.hostname
        expected = f"valid for {hostname} for more than {CERTIFICATE_DAYS_MIN} days, from a known authority"
        try:
            certificate = await self._probes.certificate()
        except ProbeFailed as error:
            return [Diagnosis(name, Health.ERROR, str(error), expected, "See tls.certificate_file and tls.key_file.")]
        status, found, advice = _judged(certificate, hostname, self._clock.now())
        return [Diagnosis(name, status, found, expected if advice else "", advice)]

    # our services

    async def _service(self, listening: Listening) -> list[Diagnosis]:
        name = f"service {listening.service} {listening.where}"
        expected = f"greets with {_GREETINGS[listening.speaks]}"
        try:
            greeted = await self._probes.greeting(listening.where, speaks=listening.speaks, is_tls=listening.is_tls)
        except ProbeFailed as error:
            return [Diagnosis(name, Health.ERROR, str(error), expected, "Is `mailstead serve` running? See its log.")]
        if not greeted.line.startswith(_GREETINGS[listening.speaks]):
            return [Diagnosis(name, Health.ERROR, ascii(greeted.line[:100]), expected, "Who has that port?")]
        try:
            digest = (await self._probes.certificate()).key_digest if greeted.key_digest else ""
        except ProbeFailed:
            digest = ""  # said already
        if digest != greeted.key_digest:
            advice = "Restart the server, or see in its log why it refuses the new certificate."
            return [Diagnosis(name, Health.WARNING, "shows another certificate than the files have", expected, advice)]
        return [Diagnosis(name, Health.OK, ascii(greeted.line[:100])[1:-1])]

    async def _relay(self) -> list[Diagnosis]:
        """Whether strangers can send through us, in thirty forms, asked like a stranger. Spec: attack row 12."""
        name = "open relay"
        mx = next((each for each in self._terms.listening if each.service == "mx" and not each.is_tls), None)
        if mx is None:
            return [Diagnosis(name, Health.SKIPPED, "the mx does not listen")]
        forms = foreign_recipients(self._terms.hostname, self._terms.hostname)
        try:
            taken = await self._probes.accepted_recipients(mx.where, forms)
        except ProbeFailed as error:
            return [Diagnosis(name, Health.SKIPPED, f"{mx.where}: {error}", "", "Try again when the mx answers.")]
        ours = {domain.name for domain in await self._storage.directory.domains()}
        # What our own domain takes, because of a catch-all, goes nowhere else.
        relayed = [form for form in taken if form.rstrip(">").rpartition("@")[2] not in ours]
        if relayed:
            advice = "Close port 25 at the firewall now, and report this as a security problem: see SECURITY.md."
            return [Diagnosis(name, Health.ERROR, f"takes {', '.join(relayed)}", "refuses all 30 forms", advice)]
        return [Diagnosis(name, Health.OK, f"refuses strangers in all {len(forms)} forms")]

    async def _client_addresses(self) -> list[Diagnosis]:
        """Whether clients are seen with their own addresses, or all with that of a bridge. Spec: attack row 13.

        Judged by mail that has come, as no test from this machine can show what strangers look like.
        """
        name = "client addresses"
        bridges = await self._storage.memory.recall_all(BRIDGED, self._clock.now())
        if bridges:
            found = f"the mx turns away who comes from {', '.join(sorted(bridges))}, the gateway of its container"
            advice = (
                "Clients hide behind a bridge: use the network of the host, give the container's network IPv6, or a "
                "proxy that sends the PROXY header and is named in limits.proxy_from. Where only this machine itself "
                "comes from there, set limits.allows_bridged_clients."
            )
            return [Diagnosis(name, Health.ERROR, found, "the addresses of the senders", advice)]
        since = self._clock.now() - timedelta(days=1)
        events = await self._storage.trace.search(TraceQuery(since=since, limit=PEERS_LOOKED_AT))
        peers = [
            event.peer.rpartition("[")[2].rstrip("]")
            for event in events
            if event.step == "received" and event.direction == "in" and event.peer.endswith("]")
        ]
        if len(peers) < PEERS_MIN:
            return [Diagnosis(name, Health.SKIPPED, "too little mail has come in the last day to tell")]
        seen = sorted(set(peers))
        if not any(map(_is_public, peers)):
            advice = (
                "Clients hide behind a bridge or proxy, so limits, SPF and block lists are blind: use the network of "
                "the host, or a proxy that sends the PROXY header and is named in limits.proxy_from."
            )
            found = f"all mail of the last day seems to come from {', '.join(seen[:3])}"
            return [Diagnosis(name, Health.ERROR, found, "the addresses of the senders", advice)]
        return [Diagnosis(name, Health.OK, f"mail of the last day came from {len(seen)} addresses")]

    async def _queue(self) -> list[Diagnosis]:
        counts = await self._storage.queue.count()
        waiting, held = counts.get(RecipientState.WAITING, 0), counts.get(RecipientState.HELD, 0)
        items = await self._storage.queue.items(QueueQuery(state=RecipientState.WAITING))
        # One that was never tried waits because its author wants it so.
        oldest = min(
            (item.accepted_at for item in items if any(each.attempt_count for each in item.recipients)), default=None
        )
        found = f"{waiting} recipients wait, {held} are held"
        if oldest is None:
            return [Diagnosis("queue", Health.OK, found)]
        found += f"; the oldest is of {oldest:%Y-%m-%d %H:%M} UTC"
        if self._clock.now() - oldest > WAITS_LONG:
            advice = "`mailstead queue list` shows why; `queue retry` or `queue cancel` help."
            return [Diagnosis("queue", Health.WARNING, found, "nothing waits for more than a day", advice)]
        return [Diagnosis("queue", Health.OK, found)]

    async def _destinations(self) -> list[Diagnosis]:
        now = self._clock.now()
        resting = [
            each for each in await self._storage.queue.destinations() if each.not_before and each.not_before > now
        ]
        if not resting:
            return [Diagnosis("destinations", Health.OK, "all that mail waits for are tried as planned")]
        shown = "; ".join(f"{each.destination.name}: {each.last_reply[:80]}" for each in resting[:RESTING_SHOWN_MAX])
        return [
            Diagnosis(
                "destinations",
                Health.WARNING,
                f"{len(resting)} rest, as they do not answer: {ascii(shown)[1:-1]}",
                "all answer",
                "If there are many, port 25 outward may be closed. `mailstead queue destinations` shows all.",
            )
        ]


def _judged(certificate: CertificateFacts, hostname: str, now: datetime) -> tuple[Health, str, str]:
    """Give status, finding and advice."""
    left = certificate.not_after - now
    found = f"for {', '.join(certificate.names) or 'no name'}, valid until {certificate.not_after:%Y-%m-%d}"
    if left <= timedelta():
        return Health.ERROR, f"{found}: it has expired", "Renew it."
    if certificate.not_before > now:
        return Health.ERROR, f"{found}, but not yet", "Is the clock right?"
    if not certificate.has_name(hostname):
        return Health.ERROR, f"{found}: not for {hostname}", f"Get one that names {hostname}."
    if certificate.is_self_signed:
        advice = "Get one from an authority: mail programs warn of this one, and MTA-STS cannot work with it."
        return Health.WARNING, f"{found}, signed by itself", advice
    if left < timedelta(days=CERTIFICATE_DAYS_MIN):
        return Health.WARNING, f"{found}: {left.days} days left", "Renew it; see why that does not happen by itself."
    return Health.OK, f"{found} ({left.days} days), from {ascii(certificate.issuer)[1:-1]}", ""


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


async def _one(check: Callable[[], Awaitable[Diagnosis]]) -> Sequence[Diagnosis]:
    return [await check()]


async def _all(checks: Sequence[Check], progress: Callable[[int, int], None]) -> list[Diagnosis]:
    """Do some checks at a time; give their findings in order."""
    places, done = asyncio.Semaphore(AT_ONCE_MAX), 0

    async def do(check: Check) -> Sequence[Diagnosis]:
        nonlocal done
        async with places:
            found = await check()
        done += 1
        progress(done, len(checks))
        return found

    return [diagnosis for found in await asyncio.gather(*map(do, checks)) for diagnosis in found]
