"""The house: the store and the use cases, without any service. What the command line opens."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mailstead.config.settings import Settings
from mailstead.mailauth.aggregate import DmarcOutcomes
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.ids import AccountId
from mailstead.model.message import MessageFacts
from mailstead.net.imap_source import ImapSource
from mailstead.policy.failures import Counts, Failures
from mailstead.policy.srs import Srs
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock, SystemClock
from mailstead.ports.resolver import Resolver
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.storage.embedded.bus import SocketBus
from mailstead.storage.embedded.keys import derived_key, master_key
from mailstead.storage.embedded.shared_counts import open_counts
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.address_passwords import AddressPasswords
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.apple_push import AppleDevices
from mailstead.usecases.attachments import Attachments
from mailstead.usecases.audit import Audit
from mailstead.usecases.backup_jobs import BackupJobs
from mailstead.usecases.bounces import Bounces
from mailstead.usecases.calendar_files import CalendarFiles
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.catch_all_passwords import CatchAllPasswords
from mailstead.usecases.collections import Collections, CollectionTerms
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_push import DavPush
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.device_push import DevicePush
from mailstead.usecases.dispatch import Dispatch, DispatchTerms
from mailstead.usecases.domains import Domains
from mailstead.usecases.expiry import Expiry
from mailstead.usecases.factor_settings import FactorSettings
from mailstead.usecases.factors import SecondFactors
from mailstead.usecases.filings import FilterTerms
from mailstead.usecases.filter_rules import FilterRules
from mailstead.usecases.filters import Filters
from mailstead.usecases.first_run import FirstRun
from mailstead.usecases.free_busy import FreeBusy
from mailstead.usecases.idle_accounts import IdleAccounts
from mailstead.usecases.import_work import ImportWork
from mailstead.usecases.invitation_links import InvitationLinks
from mailstead.usecases.invitation_mail import InvitationMail, InvitationsByMail
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.keys import Keys
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.log_in_links import LogInLinks
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.meetings import Meetings
from mailstead.usecases.member_mail import MemberMail
from mailstead.usecases.members import Members
from mailstead.usecases.notices import Notices
from mailstead.usecases.openings import Openings, OpeningTerms
from mailstead.usecases.passkeys import Party, Passkeys
from mailstead.usecases.password_mail import PasswordMail
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.people import Users
from mailstead.usecases.push import Push
from mailstead.usecases.push_tokens import PushTokens
from mailstead.usecases.receptions import Receptions, ReceptionTerms
from mailstead.usecases.relay_report import RelayReports
from mailstead.usecases.remote_images import RemoteImages
from mailstead.usecases.remote_imports import ImportSecrets, RemoteImports
from mailstead.usecases.reporting import Reporting
from mailstead.usecases.resources import ResourceTerms
from mailstead.usecases.routes import HouseRelayTerms, Routes
from mailstead.usecases.scheduling import Scheduling
from mailstead.usecases.sealed_accounts import SealedAccounts
from mailstead.usecases.sealed_merging import SealedMerging
from mailstead.usecases.sealed_rules import SealedRules
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.sender_lists import SenderLists
from mailstead.usecases.sharings import Sharings
from mailstead.usecases.shown_messages import ShownMessages
from mailstead.usecases.staging import Staging
from mailstead.usecases.submissions import Submissions
from mailstead.usecases.subscriptions import Subscriptions
from mailstead.usecases.tracing import Tracing
from mailstead.usecases.unlocking import Unlocking
from mailstead.usecases.web_push import Vapid
from mailstead.usecases.web_sessions import WebSessions
from mailstead.wiring.apple_push import make_apple_push
from mailstead.wiring.backup_jobs import make_backup_jobs
from mailstead.wiring.screening import make_screening, make_verifier

ADMINISTRATOR: Final = Actor(account_id=None, address=None, is_admin=True)
"""Who the command line is: it can read the master key, so there is nothing it may not do."""
SERVER: Final = Actor(account_id=None, address=None, is_admin=True, label="server")
"""Who does what comes round by itself."""


@dataclass(frozen=True, slots=True)
class House:
    """The store and the use cases, without any service."""

    settings: Settings
    clock: Clock
    bus: ChangeBus
    storage: Storage
    resolver: Resolver
    web: WebClient
    failures: Failures
    """Failed log-ins, one count for whatever asks for a password."""
    audit: Audit
    backup_jobs: BackupJobs
    accounts: Accounts
    unlocking: Unlocking
    """Which sealed accounts this process has open."""
    sealed_merging: SealedMerging
    sealed_accounts: SealedAccounts
    users: Users
    second_factors: SecondFactors
    factor_settings: FactorSettings
    web_sessions: WebSessions
    members: Members
    openings: Openings
    last_log_ins: LastLogIns
    addresses: Addresses
    sealed_rules: SealedRules
    domains: Domains
    aliases: Aliases
    keys: Keys
    staging: Staging
    mailboxes: Mailboxes
    filters: Filters
    filter_rules: FilterRules
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
    expiry: Expiry
    idle_accounts: IdleAccounts
    relay_reports: RelayReports
    remote_images: RemoteImages
    shown_messages: ShownMessages
    remote_imports: RemoteImports
    import_work: ImportWork
    """What `remote_imports` begins; works while `serve` runs it."""
    push: Push
    """Wakes devices; told by deliveries, works while `serve` runs it."""
    push_tokens: PushTokens
    device_push: DevicePush
    """Wakes devices of programs that use the API, in the same way."""
    first_run: FirstRun
    """While nobody administers the server."""
    log_in_links: LogInLinks
    address_book: AddressBook
    address_passwords: AddressPasswords
    catch_all_passwords: CatchAllPasswords
    collections: Collections
    calendar_objects: CalendarObjects
    contacts: Contacts
    attachments: Attachments
    calendar_files: CalendarFiles
    meetings: Meetings
    scheduling: Scheduling
    invitation_links: InvitationLinks
    free_busy: FreeBusy
    sharings: Sharings
    subscriptions: Subscriptions
    dav_push: DavPush


@contextlib.asynccontextmanager
async def open_house(settings: Settings, clock: Clock | None = None) -> AsyncIterator[House]:
    """Open the stores and make the use cases; close everything at the end. `clock`: a test's own.

    Errors: BadSettings, StorageUnavailable, StoreDamaged.
    """
    from mailstead.net.dns import DnsResolver
    from mailstead.net.web import SafeWebClient

    clock = clock or SystemClock()
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
            counts_key = derived_key(master, "failure counts")
            with open_counts(settings.server.data_dir, counts_key) as counts:
                async with make_house(settings, storage, bus, clock, resolver, web, master, counts=counts) as house:
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
    counts: Counts | None = None,
) -> AsyncIterator[House]:
    """Make the use cases on a store that is open; `passwords` with cheaper hashes are for tests.

    `counts` of failed log-ins: those of the host; None: of this process.
    """
    apple_push = make_apple_push(settings, resolver)
    hostname, srs_domain = settings.server.hostname, settings.relay.srs_domain
    staging = Staging(settings.store.staged_octets_max)
    limits = settings.limits
    cost = HashCost(limits.password_hash_iterations, limits.password_hash_memory_mib * 1024)
    passwords = passwords or Passwords(clock, cost)
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
    audit = Audit(storage, clock)
    failures = Failures(settings.limits.login_failures_max, settings.limits.login_failure_window_s, counts)
    second_factors = SecondFactors(storage, clock, failures)
    unlocking = Unlocking(storage, bus, clock, passwords)
    accounts = Accounts(
        storage,
        bus,
        clock,
        unlocking=unlocking,
        passwords=passwords,
        openings=openings,
        last_log_ins=last_log_ins,
        failures=failures,
        # SCRAM's answers for unknown users are the same in all processes and after a restart.
        decoy_key=derived_key(master, "scram decoy"),
        audit=audit,
        quota_octets=settings.store.account_quota_octets or None,
        sending_limit=settings.queue.recipients_per_day_max or None,
        second_factors=second_factors,
    )
    users = Users(storage, accounts, passwords, clock, audit, factors=second_factors)
    passkeys = Passkeys(storage, clock, derived_key(master, "passkeys"), _party(settings))
    web_sessions = WebSessions(
        storage, clock, accounts, users, second_factors, passkeys, audit, derived_key(master, "web sessions")
    )
    sealed_rules = SealedRules(derived_key(master, "forwarding rules in the DNS"))
    addresses = Addresses(storage, bus, clock, resolver=resolver, sealed_rules=sealed_rules)
    srs = Srs((derived_key(master, "srs"),))
    keys = Keys(storage, bus, clock, audit)
    domains = Domains(storage, keys, audit)
    sealing = Sealing(storage, keys, srs, clock, authserv_id=hostname, srs_domain=srs_domain)
    routes = Routes(storage, _relay_terms(settings))
    notices = Notices(routes, sealing, clock, hostname=hostname)
    has_pages = "web" in (settings.server.offered_services or settings.server.services)
    pages_url = _web_base_url(settings) if has_pages else ""
    member_mail = MemberMail(storage, routes, sealing, clock, hostname=hostname, url=pages_url)
    members = Members(
        storage,
        users,
        clock,
        audit,
        member_mail,
        derived_key(master, "invitations of members"),
        # Who registers has not shown that the address is his.
        trusts_addresses=not settings.api.allows_registration,
    )
    bounces = Bounces(storage, srs, clock, srs_domain=srs_domain)
    dmarc_outcomes = DmarcOutcomes(storage.memory, clock) if settings.relay.sends_dmarc_reports else None
    reporting = Reporting(storage, clock, dmarc=dmarc_outcomes)
    tracing = Tracing(storage, clock, is_enabled=settings.trace.kept_days > 0)
    push_tokens = PushTokens(storage, clock)
    push = Push(storage, clock, web, push_tokens, url=settings.chatmail.push_url)
    expiry = Expiry(storage)
    vapid = Vapid(derived_key(master, "dav push sender"), f"https://{hostname}")
    device_push = DevicePush(storage, clock, web, vapid)

    def stored(account_id: AccountId, facts: MessageFacts) -> None:
        push.stored(account_id, facts)
        device_push.stored(account_id)

    deliveries = Deliveries(storage, clock, stored=stored, clear=expiry.clear)
    filters = Filters(
        storage, bus, clock, FilterTerms(settings.sieve, settings.server.hostname, settings.policy.junk_score)
    )
    junk_filter = JunkFilter(storage, clock, derived_key(master, "junk"))
    screening = make_screening(settings, storage, bus, clock, resolver, junk_filter)
    collections = Collections(
        storage,
        CollectionTerms(
            settings.dav.calendar_name,
            settings.dav.addressbook_name,
            shows_directory=settings.dav.shows_directory,
            directory_name=settings.dav.directory_name,
        ),
    )
    meetings = Meetings(storage, collections)
    dispatch = Dispatch(
        storage,
        clock,
        deliveries,
        filters,
        routes,
        sealing,
        notices,
        DispatchTerms(hostname, settings.queue.expires_s),
        arrived=InvitationsByMail(meetings, storage.memory, clock).take,
    )
    sealed_merging = SealedMerging(storage, clock, dispatch, tracing)
    unlocking.merge_by(sealed_merging.merge)
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
        verifier=make_verifier(settings, resolver, clock),
    )
    resource_terms = ResourceTerms(
        dav_base_url(settings),
        settings.dav.resource_octets_max,
        settings.dav.attachment_octets_max,
        settings.dav.attachments_max,
    )
    submissions = Submissions(
        receptions,
        storage,
        sealing,
        recipients_per_day_max=settings.queue.recipients_per_day_max,
        hold_max_s=settings.queue.future_release_max_s,
        group_recipients_max=settings.chatmail.recipients_max,
    )
    invitation_links = InvitationLinks(storage, meetings, clock, derived_key(master, "invitation links"))
    invitation_mail = InvitationMail(
        submissions, hostname, invitation_links if has_pages else None, _web_base_url(settings)
    )
    scheduling = Scheduling(storage, meetings, clock, invitation_mail.send)
    calendar_objects = CalendarObjects(resource_terms, scheduling, clock)
    contacts = Contacts(resource_terms)
    aliases = Aliases(storage, audit)
    quota_octets = settings.store.account_quota_octets or None
    address_book = AddressBook(
        storage,
        accounts,
        aliases,
        passwords,
        quota_octets=quota_octets,
        sending_limit=settings.queue.recipients_per_day_max or None,
        audit=audit,
    )
    remote_images = RemoteImages(storage, web, clock, derived_key(master, "remote images"))
    log_in_links = LogInLinks(storage, accounts, clock, derived_key(master, "log-in links"))
    password_mail = PasswordMail(storage, routes, sealing, clock, hostname=hostname, url=pages_url)
    mailboxes = Mailboxes(
        storage, bus, clock, staging, sessions_per_account_max=settings.limits.sessions_per_account_max
    )
    source = ImapSource(
        resolver,
        allows_private=settings.relay.allows_private_addresses,
        ca_file=settings.relay.ca_file,
        message_octets_max=settings.smtp.message_octets_max,
    )
    import_secrets = ImportSecrets(derived_key(master, "passwords at other providers"))
    backup_jobs = make_backup_jobs(settings, clock, audit)
    try:
        yield House(
            settings=settings,
            clock=clock,
            bus=bus,
            storage=storage,
            resolver=resolver,
            web=web,
            failures=failures,
            audit=audit,
            backup_jobs=backup_jobs,
            accounts=accounts,
            unlocking=unlocking,
            sealed_merging=sealed_merging,
            sealed_accounts=SealedAccounts(
                storage, accounts, passwords, unlocking, sealed_merging, audit, second_factors
            ),
            users=users,
            second_factors=second_factors,
            factor_settings=FactorSettings(storage, clock, users, second_factors, passkeys, audit, issuer=hostname),
            web_sessions=web_sessions,
            members=members,
            openings=openings,
            last_log_ins=last_log_ins,
            addresses=addresses,
            sealed_rules=sealed_rules,
            domains=domains,
            aliases=aliases,
            keys=keys,
            staging=staging,
            mailboxes=mailboxes,
            filters=filters,
            filter_rules=FilterRules(storage, filters, mailboxes),
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
            submissions=submissions,
            expiry=expiry,
            idle_accounts=IdleAccounts(storage, accounts, last_log_ins),
            relay_reports=RelayReports(storage, last_log_ins),
            remote_images=remote_images,
            shown_messages=ShownMessages(mailboxes, remote_images),
            remote_imports=RemoteImports(storage, mailboxes, source, clock, import_secrets, audit),
            import_work=ImportWork(
                storage,
                bus,
                clock,
                mailboxes,
                source,
                import_secrets,
                message_octets_max=settings.smtp.message_octets_max,
            ),
            push=push,
            push_tokens=push_tokens,
            device_push=device_push,
            first_run=FirstRun(storage, clock, domains, accounts, users, derived_key(master, "first run")),
            log_in_links=log_in_links,
            address_book=address_book,
            address_passwords=AddressPasswords(storage, address_book, accounts, log_in_links, password_mail),
            catch_all_passwords=CatchAllPasswords(storage, passwords, clock, audit),
            collections=collections,
            calendar_objects=calendar_objects,
            contacts=contacts,
            meetings=meetings,
            scheduling=scheduling,
            invitation_links=invitation_links,
            free_busy=FreeBusy(collections, calendar_objects, meetings, clock),
            attachments=Attachments(storage, collections, calendar_objects),
            calendar_files=CalendarFiles(collections, calendar_objects, contacts),
            sharings=Sharings(storage, collections, clock),
            subscriptions=Subscriptions(storage, collections, clock, web),
            dav_push=DavPush(
                storage,
                bus,
                clock,
                web,
                vapid,
                derived_key(master, "dav push topics"),
                token_of=lambda owner_id, collection: contacts.tokens.named(
                    owner_id, collection.collection_id, collection.modseq
                ),
                apple=AppleDevices(storage, clock, apple_push) if apple_push is not None else None,
            ),
        )
    finally:
        await backup_jobs.close()
        if apple_push is not None:
            await apple_push.close()
        await unlocking.close()
        screening.close()
        filters.close()
        keys.close()
        addresses.close()
        await web_sessions.close()
        await users.close()
        await accounts.close()
        await audit.close()


def dav_base_url(settings: Settings) -> str:
    """Give where calendars and contacts are on the web, without slash at the end."""
    if settings.dav.base_url:
        return settings.dav.base_url.rstrip("/")
    listening = (
        *settings.web.listen_tls,
        *settings.web.listen_shared,
        *settings.caldav.listen_tls,
        *settings.carddav.listen_tls,
    )
    ports = [int(where.rpartition(":")[2]) for where in listening]
    at = "" if not ports or 443 in ports else f":{ports[0]}"
    return f"https://{settings.server.hostname}{at}"


async def log_in_url(house: House, actor: Actor, address: Address, life: timedelta) -> str:
    """Give the whole link with which an account's owner sets the password. Errors: NotAllowed, NoSuchAccount."""
    token = await house.log_in_links.make(actor, address, life)
    return f"{_web_base_url(house.settings)}/log-in/{token}"


def _web_base_url(settings: Settings) -> str:
    """Give where our pages are, without slash at the end."""
    ports = [int(where.rpartition(":")[2]) for where in (*settings.web.listen_tls, *settings.web.listen_shared)]
    at = "" if not ports or 443 in ports else f":{ports[0]}"
    return f"https://{settings.server.hostname}{at}"


def _party(settings: Settings) -> Party:
    """Give who we are to browsers: by our name in the settings, on our own port or behind a proxy on the usual one."""
    hostname = settings.server.hostname
    return Party(hostname, hostname, tuple(dict.fromkeys((f"https://{hostname}", _web_base_url(settings)))))


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
