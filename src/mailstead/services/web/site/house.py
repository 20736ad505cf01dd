"""What the pages need of the house. Made by `wiring.site`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailstead.ports.clock import Clock
from mailstead.services.web.site.arrivals import Arrivals
from mailstead.services.web.site.care import Care
from mailstead.services.web.site.contact_house import ContactHouse
from mailstead.services.web.site.diary import Diary
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.address_tables import AddressTables
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.audit import Audit
from mailstead.usecases.backup_jobs import BackupJobs
from mailstead.usecases.chosen_messages import ChosenMessages
from mailstead.usecases.client_profiles import ClientProfiles
from mailstead.usecases.conversations import Conversations
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.doctor import Doctor
from mailstead.usecases.domains import Domains
from mailstead.usecases.emails import Emails
from mailstead.usecases.export_archives import ExportArchives
from mailstead.usecases.factor_settings import FactorSettings
from mailstead.usecases.filter_rules import FilterRules
from mailstead.usecases.first_run import FirstRun
from mailstead.usecases.folders import Folders
from mailstead.usecases.identities import Identities
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.keys import Keys
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.live_news import LiveNews
from mailstead.usecases.members import Members
from mailstead.usecases.message_reasons import MessageReasons
from mailstead.usecases.messages import Messages
from mailstead.usecases.openpgp_mail import OpenpgpMail
from mailstead.usecases.outbox import Outbox
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.overview import Overviews
from mailstead.usecases.own_address import OwnAddresses
from mailstead.usecases.own_aliases import OwnAliases
from mailstead.usecases.own_forwarding import OwnForwarding
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.people import Users
from mailstead.usecases.remote_imports import RemoteImports
from mailstead.usecases.reporting import Reporting
from mailstead.usecases.sealed_accounts import SealedAccounts
from mailstead.usecases.sender_lists import SenderLists
from mailstead.usecases.shown_messages import ShownMessages
from mailstead.usecases.snoozing import Snoozing
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.traces import Traces
from mailstead.usecases.unsubscribing import Unsubscribing
from mailstead.usecases.vacations import Vacations
from mailstead.usecases.web_sessions import WebSessions


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """What the settings say."""

    hostname: str
    """The pages answer under this name alone; under others they lead here."""
    base_url: str
    """``https://`` and the host, without slash at the end."""
    provider: str = ""
    """What the OpenID Connect provider is called; empty: there is none."""
    message_octets_max: int = 50 * 1024 * 1024
    """Of what is sent."""


@dataclass(frozen=True, slots=True)
class SiteHouse:
    """Use cases by name, as in `wiring.house.House`."""

    clock: Clock
    terms: SiteTerms
    accounts: Accounts
    address_book: AddressBook
    address_tables: AddressTables
    addresses: Addresses
    arrivals: Arrivals
    client_profiles: ClientProfiles
    chosen_messages: ChosenMessages
    contacts: ContactHouse
    conversations: Conversations
    audit: Audit
    backup_jobs: BackupJobs
    care: Care
    diary: Diary
    dns_plan: Callable[[], DnsPlan]
    doctor: Callable[[], Doctor]
    domains: Domains
    emails: Emails
    export_archives: ExportArchives
    factor_settings: FactorSettings
    filter_rules: FilterRules
    first_run: FirstRun
    folders: Folders
    junk_filter: JunkFilter
    identities: Identities
    keys: Keys
    last_log_ins: LastLogIns
    live_news: LiveNews
    members: Members
    message_reasons: MessageReasons
    messages: Messages
    openpgp: OpenpgpMail
    outgoing: Outgoing
    outbox: Outbox
    overviews: Overviews
    own_addresses: OwnAddresses
    own_aliases: OwnAliases
    own_forwarding: OwnForwarding
    preferences: OwnPreferences
    reporting: Reporting
    sealed_accounts: SealedAccounts
    sender_lists: SenderLists
    statistics: Statistics
    traces: Traces
    users: Users
    remote_imports: RemoteImports
    shown_messages: ShownMessages
    snoozing: Snoozing
    unsubscribing: Unsubscribing
    vacations: Vacations
    web_sessions: WebSessions
