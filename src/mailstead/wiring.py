"""The composition root: settings in, running house out. It alone joins adapters to use cases."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailstead.config.settings import Listeners, Settings
from mailstead.mailauth.aggregate import DmarcOutcomes
from mailstead.mailauth.verify import SenderVerifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadSettings
from mailstead.policy.client_setup import Offer
from mailstead.policy.failures import Failures
from mailstead.policy.retry import RetryTerms
from mailstead.policy.srs import Srs
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock, SystemClock
from mailstead.ports.resolver import Resolver
from mailstead.ports.scanner import Scanner
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.storage.embedded.bus import SocketBus
from mailstead.storage.embedded.keys import default_master_key_file, derived_key, master_key
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.storage.embedded.turn_secret import turn_secret
from mailstead.telemetry import log
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.announcements import Announcements
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.dispatch import Dispatch, DispatchTerms
from mailstead.usecases.domains import Domains
from mailstead.usecases.filings import FilterTerms
from mailstead.usecases.filters import Filters
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.keys import Keys
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.notices import Notices
from mailstead.usecases.openings import Openings, OpeningTerms
from mailstead.usecases.passwords import Passwords
from mailstead.usecases.publications import HouseOffers, Publications
from mailstead.usecases.push import Push
from mailstead.usecases.push_tokens import PushTokens
from mailstead.usecases.receptions import Receptions, ReceptionTerms
from mailstead.usecases.reporting import Counting, Reporting
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.screening import Screening, ScreeningTerms
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.sender_lists import SenderLists
from mailstead.usecases.staging import Staging
from mailstead.usecases.submissions import Submissions
from mailstead.usecases.tracing import Tracing

if TYPE_CHECKING:  # the command line opens houses without services, and should start quickly
    from mailstead.mailauth.tlsrpt import TlsOutcomes
    from mailstead.net.certificates import Certificates
    from mailstead.net.line import Session
    from mailstead.net.listener import Listener
    from mailstead.net.terms import Terms
    from mailstead.ports.probes import Probes
    from mailstead.services.queue.service import QueueService
    from mailstead.services.web.service import WebService
    from mailstead.telemetry.transcript import Transcript
    from mailstead.usecases.daily_doctor import DailyDoctor
    from mailstead.usecases.dnsplan import DnsPlan
    from mailstead.usecases.doctor import Doctor, Listening

_log = log.get("wiring")

ADMINISTRATOR: Final = Actor(account_id=None, address=None, is_admin=True)
"""Who the command line is: it can read the master key, so there is nothing it may not do."""

SERVICE_NAMES: Final = ("mx", "submission", "imap", "pop3", "sieve", "queue", "web")
_LISTENING: Final = ("mx", "submission", "imap", "pop3", "sieve")
"""Those whose conversations the driver holds."""
_ALPN: Final = {"imap": b"imap", "submission": b"smtp"}
"""What clients offer on a port that mail shares with the web. Spec: reference chatmail, section 7.1."""
_SHORT_NAMES: Final = {"smtp": ("mx", "submission")}

_FILES_PER_CONNECTION_AND_STORE: Final = 20_000
"""As many open files as 18,000 connections and the stores need."""


@dataclass(frozen=True, slots=True)
class House:
    """The store and the use cases, without any service."""

    settings: Settings
    clock: Clock
    bus: ChangeBus
    storage: Storage
    resolver: Resolver
    web: WebClient
    accounts: Accounts
    openings: Openings
    last_log_ins: LastLogIns
    addresses: Addresses
    domains: Domains
    aliases: Aliases
    keys: Keys
    staging: Staging
    mailboxes: Mailboxes
    filters: Filters
    junk_filter: JunkFilter
    sender_lists: SenderLists
    routes: Routes
    sealing: Sealing
    notices: Notices
    bounces: Bounces
    reporting: Reporting
    dmarc_outcomes: DmarcOutcomes | None
    """None: no DMARC reports are sent."""
    dispatch: Dispatch
    tracing: Tracing
    receptions: Receptions
    """Of mx and submission alike: both deliver into the same stores."""
    submissions: Submissions
    push: Push
    """Wakes devices; told by deliveries, works while `serve` runs it."""
    push_tokens: PushTokens


@contextlib.asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Open the stores and make the use cases; close everything at the end.

    Errors: BadSettings, StorageUnavailable, StoreDamaged.
    """
    from mailstead.net.dns import DnsResolver
    from mailstead.net.web import SafeWebClient

    clock = SystemClock()
    bus = SocketBus(settings.server.data_dir)
    try:
        storage = await EmbeddedStorage.open(settings.store, settings.server.data_dir, bus, clock)
        try:
            resolver = DnsResolver(settings.dns, clock)
            relay = settings.relay
            web = SafeWebClient(
                resolver,
                allows_private=relay.allows_private_addresses,
                ca_file=relay.ca_file,
                hostname=settings.server.hostname,
            )
            store = settings.store
            master = master_key(settings.server.data_dir, store.master_key, store.master_key_file)
            async with make_house(settings, storage, bus, clock, resolver, web, master) as house:
                yield house
        finally:
            await storage.close()
    finally:
        bus.close()


@contextlib.asynccontextmanager
async def make_house(
    settings: Settings,
    storage: Storage,
    bus: ChangeBus,
    clock: Clock,
    resolver: Resolver,
    web: WebClient,
    master: bytes,
    *,
    passwords: Passwords | None = None,
) -> AsyncIterator[House]:
    """Make the use cases on a store that is open; `passwords` with cheaper hashes are for tests."""
    hostname, srs_domain = settings.server.hostname, settings.relay.srs_domain
    staging = Staging(settings.store.staged_octets_max)
    passwords = passwords or Passwords(clock)
    openings = Openings(
        storage,
        passwords,
        clock,
        OpeningTerms(
            settings.server.data_dir,
            settings.chatmail.nocreate_file,
            settings.chatmail.openings_per_prefix_hour_max,
            settings.store.account_quota_octets or None,
        ),
    )
    last_log_ins = LastLogIns(storage, clock)
    accounts = Accounts(
        storage,
        bus,
        clock,
        passwords=passwords,
        openings=openings,
        last_log_ins=last_log_ins,
        failures=Failures(settings.limits.login_failures_max, settings.limits.login_failure_window_s),
        # SCRAM's answers for unknown users are the same in all processes and after a restart.
        decoy_key=derived_key(master, "scram decoy"),
    )
    addresses = Addresses(storage, bus, clock, resolver=resolver)
    srs = Srs((derived_key(master, "srs"),))
    keys = Keys(storage, bus, clock)
    sealing = Sealing(storage, keys, srs, clock, authserv_id=hostname, srs_domain=srs_domain)
    routes = Routes(storage, _relay_terms(settings))
    notices = Notices(routes, sealing, clock, hostname=hostname)
    bounces = Bounces(storage, srs, clock, srs_domain=srs_domain)
    dmarc_outcomes = DmarcOutcomes(storage.memory, clock) if settings.relay.sends_dmarc_reports else None
    reporting = Reporting(storage, clock, dmarc=dmarc_outcomes)
    tracing = Tracing(storage, clock, is_enabled=settings.trace.kept_days > 0)
    push_tokens = PushTokens(storage, clock)
    push = Push(storage, clock, web, push_tokens, url=settings.chatmail.push_url)
    deliveries = Deliveries(storage, clock, stored=push.stored)
    filters = Filters(
        storage, bus, clock, FilterTerms(settings.sieve, settings.server.hostname, settings.policy.junk_score)
    )
    junk_filter = JunkFilter(storage, clock, derived_key(master, "junk"))
    screening = _screening(settings, storage, bus, clock, resolver, junk_filter)
    dispatch = Dispatch(
        storage,
        clock,
        deliveries,
        filters,
        routes,
        sealing,
        notices,
        DispatchTerms(hostname, settings.queue.expires_s),
    )
    receptions = Receptions(
        addresses,
        deliveries,
        dispatch,
        bounces,
        reporting,
        screening,
        tracing,
        staging,
        clock,
        ReceptionTerms(hostname, settings.smtp.message_octets_max, settings.smtp.received_max),
        verifier=_verifier(settings, resolver, clock),
    )
    try:
        yield House(
            settings=settings,
            clock=clock,
            bus=bus,
            storage=storage,
            resolver=resolver,
            web=web,
            accounts=accounts,
            openings=openings,
            last_log_ins=last_log_ins,
            addresses=addresses,
            domains=Domains(storage, keys),
            aliases=Aliases(storage),
            keys=keys,
            staging=staging,
            mailboxes=Mailboxes(
                storage, bus, clock, staging, sessions_per_account_max=settings.limits.sessions_per_account_max
            ),
            filters=filters,
            junk_filter=junk_filter,
            sender_lists=SenderLists(storage),
            routes=routes,
            sealing=sealing,
            notices=notices,
            bounces=bounces,
            reporting=reporting,
            dmarc_outcomes=dmarc_outcomes,
            dispatch=dispatch,
            tracing=tracing,
            receptions=receptions,
            submissions=Submissions(
                receptions,
                storage,
                sealing,
                recipients_per_day_max=settings.queue.recipients_per_day_max,
                hold_max_s=settings.queue.future_release_max_s,
                group_recipients_max=settings.chatmail.recipients_max,
            ),
            push=push,
            push_tokens=push_tokens,
        )
    finally:
        screening.close()
        filters.close()
        keys.close()
        addresses.close()
        await accounts.close()


def _verifier(settings: Settings, resolver: Resolver, clock: Clock) -> SenderVerifier | None:
    """Give who authenticates senders; None where the setting says that nobody does."""
    if not settings.authentication.is_enabled:
        return None
    return SenderVerifier(
        resolver,
        clock,
        authserv_id=settings.server.hostname,
        trusted_sealers=settings.authentication.trusted_sealers,
        queries_max=settings.dns.queries_per_message_max,
        limit_s=settings.dns.message_limit_s,
    )


def _screening(
    settings: Settings, storage: Storage, bus: ChangeBus, clock: Clock, resolver: Resolver, junk_filter: JunkFilter
) -> Screening:
    """Give the policy pipeline with the scanners that are set. Errors: BadSettings."""
    policy, scanners = settings.policy, list[Scanner]()
    if settings.rspamd.url:
        from mailstead.net.rspamd import Rspamd

        scanners.append(Rspamd(settings.rspamd))
    if settings.clamav.address:
        from mailstead.net.clamd import Clamd

        scanners.append(Clamd(settings.clamav))
    terms = ScreeningTerms(
        junk_score=policy.junk_score,
        refuse_score=policy.refuse_score,
        allowlist=policy.allowlist,
        denylist=policy.denylist,
        dns_blocklists=policy.dns_blocklists,
        dns_allowlists=policy.dns_allowlists,
        greylists=policy.greylists,
        greylist_delay_s=policy.greylist_delay_s,
        refused_extensions=policy.refused_extensions,
        messages_per_sender_hour_max=policy.messages_per_sender_hour_max,
        messages_per_recipient_hour_max=policy.messages_per_recipient_hour_max,
        refuses_by_policy=settings.authentication.refuses_by_policy,
        refuses_hard_fail=settings.authentication.refuses_hard_fail,
    )
    return Screening(storage, bus, clock, resolver, junk_filter if policy.learns_junk else None, scanners, terms)


def _relay_terms(settings: Settings) -> HouseRelayTerms:
    relay = settings.relay
    return HouseRelayTerms(
        relay.smarthost,
        relay.smarthost_username,
        relay.smarthost_password,
        relay.smarthost_security,
        relay.source_ipv4,
        relay.source_ipv6,
        relay.ip_version,
    )


def make_queue_service(house: House) -> QueueService:
    """Give the service that relays what waits."""
    from mailstead.mailauth.mta_sts import MtaSts
    from mailstead.mailauth.tlsrpt import TlsOutcomes
    from mailstead.net.outbound.relay import SmtpRelay
    from mailstead.services.queue.service import QueueService
    from mailstead.usecases.homecoming import Homecoming
    from mailstead.usecases.housekeeping import Housekeeping
    from mailstead.usecases.relays import Relays, RelaysTerms
    from mailstead.usecases.webhooks import Webhooks

    settings, storage, clock = house.settings, house.storage, house.clock
    hostname, queue = settings.server.hostname, settings.queue
    outcomes = TlsOutcomes(storage.memory, clock)
    sts = MtaSts(house.resolver, house.web, storage.memory, clock)
    homecoming = Homecoming(
        house.addresses, house.dispatch, house.tracing, hostname=hostname, received_max=settings.smtp.received_max
    )
    relays = Relays(
        storage,
        house.bus,
        clock,
        SmtpRelay(house.resolver, sts, outcomes, hostname, settings.relay, clock),
        Webhooks(house.web, house.routes, clock, hostname=hostname),
        homecoming,
        house.routes,
        house.notices,
        house.bounces,
        house.tracing,
        RelaysTerms(
            queue.connections_max,
            queue.connections_per_destination_max,
            queue.messages_per_connection_max,
            queue.lease_s,
            queue.delay_told_s,
            RetryTerms(queue.first_retry_s, queue.retry_max_s),
            queue.future_release_max_s,
            settings.server.stop_limit_s,
        ),
    )
    housekeeping = Housekeeping(
        storage,
        clock,
        finished_kept=timedelta(seconds=queue.finished_kept_s),
        trace_kept=timedelta(days=settings.trace.kept_days),
        reports_kept=timedelta(days=settings.trace.reports_kept_days),
        further=_chores(house, outcomes),
    )
    return QueueService(relays, housekeeping, Counting(outcomes))


def _chores(house: House, outcomes: TlsOutcomes) -> dict[str, Callable[[datetime], Awaitable[object]]]:
    """Give what comes round beside the removal of old things."""
    from mailstead.usecases.reporting import ReportSending

    settings, dmarc_outcomes = house.settings, house.dmarc_outcomes
    sending = ReportSending(
        house.storage,
        house.clock,
        house.resolver,
        house.web,
        house.routes,
        house.sealing,
        house.reporting,
        hostname=settings.server.hostname,
    )
    chores: dict[str, Callable[[datetime], Awaitable[object]]] = {}
    if settings.relay.sends_tls_reports:
        chores["tls reports"] = lambda _: sending.send_tls(outcomes)
    if dmarc_outcomes is not None:
        chores["dmarc reports"] = lambda _: sending.send_dmarc(dmarc_outcomes)
    if settings.doctor.is_daily:
        chores["doctor"] = lambda now: make_daily_doctor(house).go_round(ADMINISTRATOR, now)
    return chores


def _house_offers(settings: Settings) -> HouseOffers:
    """Give what mail programs are offered, by the addresses that the chosen services listen on."""
    from mailstead.net.listener import Endpoint

    offers = [
        Offer(each.service, Endpoint.parse(each.where).port, each.is_tls)
        for each in _listening(settings)
        if each.service in {"submission", "imap", "pop3", "sieve"}
    ]
    chosen = chosen_services(settings.server.services)
    offers += [
        Offer(service, Endpoint.parse(at).port, is_tls=True)
        for at in settings.web.listen_shared
        for service in _ALPN
        if service in chosen
    ]
    return HouseOffers(settings.server.hostname, tuple(dict.fromkeys(offers)))


def _listening(settings: Settings) -> tuple[Listening, ...]:
    """Give where the chosen services listen."""
    from mailstead.usecases.doctor import Listening

    sections: list[tuple[str, Listeners]] = [
        (service, getattr(settings, service))
        for service in chosen_services(settings.server.services)
        if service in {*_LISTENING, "web"}
    ]
    return tuple(
        Listening(service, where, is_tls)
        for service, section in sections
        for is_tls, places in ((False, section.listen), (True, section.listen_tls))
        for where in places
    )


def make_web_service(house: House, certificates: Certificates, *, is_port_shared: bool = False) -> WebService:
    """Give the web service, not yet bound. Its code is loaded here. Errors: BadSettings."""
    from mailstead.services.web.service import WebService
    from mailstead.usecases.invitations import Invitations

    web = house.settings.web
    return WebService(
        Publications(house.storage, _house_offers(house.settings)),
        web.listen,
        web.listen_tls,
        certificates.context,
        invitations=Invitations(house.storage, house.openings.check_room),
        is_port_shared=is_port_shared,
    )


def make_dns_plan(house: House) -> DnsPlan:
    """Give who knows what to publish in the DNS."""
    from mailstead.usecases.dnsplan import DnsPlan

    settings = house.settings
    sources = (settings.relay.source_ipv4, settings.relay.source_ipv6)
    return DnsPlan(house.storage, house.routes, _probes(settings), _house_offers(settings), sources)


def _probes(settings: Settings) -> Probes:
    from mailstead.net.certificates import certificate_place
    from mailstead.net.probes import HostProbes

    store, data_dir = settings.store, settings.server.data_dir
    certificate = certificate_place(settings.tls.certificate_file, data_dir)
    file = Path(store.master_key_file) if store.master_key_file else default_master_key_file(data_dir)
    return HostProbes(settings, certificate, None if store.master_key else file, master_key_place(settings))


def make_doctor(house: House) -> Doctor:
    """Give who looks whether all is well."""
    from mailstead.usecases.doctor import Doctor, DoctorTerms

    settings = house.settings
    terms = DoctorTerms(
        settings.server.hostname,
        _listening(settings),
        settings.policy.dns_blocklists,
        settings.doctor.port_25_target,
        settings.store.disk_reserve_octets,
    )
    plan = make_dns_plan(house)
    return Doctor(house.storage, house.clock, house.resolver, house.web, _probes(settings), plan, terms)


def make_daily_doctor(house: House) -> DailyDoctor:
    """Give who tells what has changed since the last days."""
    from mailstead.usecases.daily_doctor import DailyDoctor

    doctor, hostname = make_doctor(house), house.settings.server.hostname
    return DailyDoctor(house.storage, house.clock, doctor, house.routes, house.sealing, hostname=hostname)


def master_key_place(settings: Settings) -> str:
    """Say where the master key is, for people."""
    store = settings.store
    if store.master_key:
        return "given by the setting store.master_key"
    return store.master_key_file or str(default_master_key_file(settings.server.data_dir))


def chosen_services(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the services behind names, ``smtp`` meaning mx and submission. Errors: BadSettings."""
    chosen: list[str] = []
    for name in names:
        for service in _SHORT_NAMES.get(name, (name,)):
            if service not in SERVICE_NAMES:
                raise BadSettings(f"There is no service '{name}'; services are {', '.join(SERVICE_NAMES)}, and smtp")
            if service not in chosen:
                chosen.append(service)
    return tuple(chosen)


def _sessions(house: House, service: str) -> Callable[[bool], Callable[[], Session]]:
    """Give, for implicit TLS or not, the maker of a service's sessions. The service's code is loaded here."""
    settings, hostname = house.settings, house.settings.server.hostname
    if service in {"mx", "submission"}:
        return _smtp_sessions(house, service)
    if service == "imap":
        from mailstead.proto.imap.connection import ImapLimits
        from mailstead.services.imap.session import ImapService

        imap = ImapService(
            house.mailboxes,
            house.accounts,
            ImapLimits(
                command_octets_max=settings.imap.command_octets_max,
                append_octets_max=settings.smtp.message_octets_max,
                login_limit_s=settings.imap.login_limit_s,
                idle_limit_s=settings.imap.idle_limit_s,
            ),
            hostname,
            settings.imap.poll_s,
            announcements=_announcements(house),
            push_tokens=house.push_tokens,
        )
        return lambda is_tls: lambda: imap.session(is_tls=is_tls)
    if service == "sieve":
        from mailstead.services.managesieve.session import ManageSieveService

        sieve = ManageSieveService(house.filters, house.accounts, settings.sieve, hostname)
        return lambda is_tls: lambda: sieve.session(is_tls=is_tls)
    from mailstead.services.pop3.session import Pop3Service

    pop3 = Pop3Service(house.mailboxes, house.accounts, settings.pop3, hostname)
    return lambda is_tls: lambda: pop3.session(is_tls=is_tls)


def _announcements(house: House) -> Announcements:
    """Give who knows what clients of chatmail domains are told."""
    settings = house.settings
    return Announcements(
        house.storage,
        house.clock,
        recipients_max=settings.smtp.recipients_max,
        turn_secret=lambda: turn_secret(settings.server.data_dir, settings.chatmail.turn_secret),
        app_versions_file=settings.chatmail.app_versions_file,
        wakes_devices=bool(settings.chatmail.push_url),
    )


def _smtp_sessions(house: House, service: str) -> Callable[[bool], Callable[[], Session]]:
    from mailstead.proto.sasl.mechanisms import MECHANISMS
    from mailstead.proto.smtp.server import ServerConnection
    from mailstead.proto.smtp.types import Limits
    from mailstead.services.smtp.session import MxPolicy, SmtpSession, SubmissionPolicy

    smtp, hostname = house.settings.smtp, house.settings.server.hostname
    limits = Limits(
        message_octets_max=smtp.message_octets_max,
        recipients_max=smtp.recipients_max,
        errors_max=smtp.errors_max,
        transactions_max=smtp.transactions_max,
        command_limit_s=smtp.command_limit_s,
        data_limit_s=smtp.data_limit_s,
    )
    if service == "mx":
        policy = MxPolicy(house.receptions)

        def mx(is_tls: bool) -> Callable[[], Session]:
            return lambda: SmtpSession(
                ServerConnection(hostname, limits, is_encrypted=is_tls, offers_starttls=not is_tls),
                policy,
                banner_delay_s=smtp.banner_delay_s,
            )

        return mx
    submission_policy = SubmissionPolicy(house.submissions)
    hold_max_s = int(house.settings.queue.future_release_max_s)

    def submission(is_tls: bool) -> Callable[[], Session]:
        return lambda: SmtpSession(
            ServerConnection(
                hostname,
                limits,
                is_encrypted=is_tls,
                offers_starttls=not is_tls,
                mechanisms=MECHANISMS,
                requires_auth=True,
                hold_max_s=hold_max_s,
                hold_until_max=f"{house.clock.now() + timedelta(seconds=hold_max_s):%Y-%m-%dT%H:%M:%SZ}",
            ),
            submission_policy,
            house.accounts,
        )

    return submission


_REFUSALS: Final = {
    "mx": b"421 4.7.0 Too many connections; please try again later\r\n",
    "submission": b"421 4.7.0 Too many connections; please try again later\r\n",
    "imap": b"* BYE [UNAVAILABLE] Too many connections; please try again later\r\n",
    "sieve": b'BYE (TRYLATER) "Too many connections; please try again later"\r\n',
    "pop3": b"-ERR [SYS/TEMP] Too many connections; please try again later\r\n",
}


def make_listeners(
    house: House, certificates: Certificates, web: WebService | None = None, *, is_port_shared: bool = False
) -> list[Listener]:
    """Give the listeners of all chosen services, not yet bound. `web` gets what comes for it to shared ports.

    Errors: BadSettings.
    """
    from mailstead.net.admission import Admission
    from mailstead.net.listener import Listener
    from mailstead.net.shared_port import SharedPort
    from mailstead.net.terms import Terms

    settings = house.settings
    limits = settings.limits
    admission = Admission(limits.connections_max, limits.connections_per_address_max, limits.proxy_from)
    listeners: list[Listener] = []
    by_protocol: dict[bytes, Terms] = {}
    for service in chosen_services(settings.server.services):
        if service not in _LISTENING:
            continue
        section: Listeners = getattr(settings, service)
        make = _sessions(house, service)

        def terms(
            *, is_tls: bool, service: str = service, make: Callable[[bool], Callable[[], Session]] = make
        ) -> Terms:
            return Terms(
                service,
                make(is_tls),
                admission,
                context=certificates.context,
                is_tls_implicit=is_tls,
                refusal=_REFUSALS[service],
                make_transcript=_transcripts(service) if settings.server.transcript else None,
            )

        listeners += [Listener(at, terms(is_tls=False), is_port_shared=is_port_shared) for at in section.listen]
        listeners += [Listener(at, terms(is_tls=True), is_port_shared=is_port_shared) for at in section.listen_tls]
        if service in _ALPN:
            by_protocol[_ALPN[service]] = terms(is_tls=True)
    if settings.web.listen_shared and not by_protocol:
        raise BadSettings(
            "web.listen_shared is for web and mail in one process; for the web alone there is web.listen_tls"
        )
    listeners += [
        SharedPort(at, by_protocol, web.adopt if web else None, is_port_shared=is_port_shared)
        for at in settings.web.listen_shared
    ]
    if not listeners and set(chosen_services(settings.server.services)) & set(_LISTENING):
        raise BadSettings(
            'No service has an address to listen on; set for example imap.listen_tls = [":993"], or try `serve --demo`'
        )
    return listeners


def _transcripts(service: str) -> Callable[[Peer], Transcript]:
    """Give what begins a conversation's transcript in the log."""
    from mailstead.telemetry.transcript import Transcript

    def begin(peer: Peer) -> Transcript:
        facts = {"service": service, "peer": peer.address, "port": peer.port}
        return Transcript(lambda line: _log.debug("transcript", line=line, **facts))

    return begin


async def serve(
    settings: Settings, *, worker: int = 0, is_port_shared: bool = False, when_ready: Callable[[], None] | None = None
) -> None:
    """Run the chosen services until SIGTERM or SIGINT.

    Order: open storage, bind all ports, start, report ready. Stop: stop accepting, say goodbye, finish what has
    promised 250, close storage. Errors: BadSettings and whatever `open_house` raises.
    """
    from mailstead.net.certificates import open_certificates
    from mailstead.net.run import Servers, forbid_core_dumps, raise_file_limit

    forbid_core_dumps()
    raise_file_limit(_FILES_PER_CONNECTION_AND_STORE)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server, tls = settings.server, settings.tls
    async with open_house(settings) as house:
        certificates = open_certificates(
            tls.certificate_file, tls.key_file, server.data_dir, server.hostname, tls.watch_s
        )
        services = chosen_services(server.services)
        web = None
        if "web" in services and (settings.web.listen or settings.web.listen_tls or settings.web.listen_shared):
            web = make_web_service(house, certificates, is_port_shared=is_port_shared)
        servers = Servers(
            make_listeners(house, certificates, web, is_port_shared=is_port_shared),
            stop_limit_s=server.stop_limit_s,
            certificates=certificates,
        )
        servers.bind()
        if web is not None:
            web.bind()
        if server.metrics_listen:
            _show_metrics(server.metrics_listen, worker)
        bound = [at for each in servers.listeners for at in each.bound] + (web.bound if web else [])
        _log.info("ready", services=server.services, addresses=[str(at) for at in bound])
        async with asyncio.TaskGroup() as group:
            if "queue" in services:
                group.create_task(make_queue_service(house).run(stop))
            if web is not None:
                group.create_task(web.run(stop))
            if "mx" in services and house.dmarc_outcomes is not None:
                group.create_task(Counting(house.dmarc_outcomes).run(stop))
            # Not with the others: what is delivered until the last conversation has ended wakes somebody, too.
            nothing_comes = asyncio.Event()
            group.create_task(house.push.run(nothing_comes))
            await servers.run(stop, when_ready)
            nothing_comes.set()
            _log.info("stopping")


def _show_metrics(at: str, worker: int) -> None:
    """Answer Prometheus on a thread of its own; each worker counts for itself, on the port and those after it.

    Errors: BadSettings.
    """
    from prometheus_client import start_http_server

    from mailstead.net.listener import Endpoint

    endpoint = Endpoint.parse(at)
    try:
        start_http_server(endpoint.port + worker, endpoint.host or "0.0.0.0")  # noqa: S104  # as the setting asks
    except OSError as error:
        raise BadSettings(f"server.metrics_listen: cannot listen on {at}: {error.strerror}") from None
