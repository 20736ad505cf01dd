"""What the API needs of the house: use cases, and what its settings say. Made by `wiring.api`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailstead.net.http_requests import Proxies
from mailstead.ports.clock import Clock
from mailstead.services.api.administration import Administration
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.address_book import AddressBook
from mailstead.usecases.address_passwords import AddressPasswords
from mailstead.usecases.address_tables import AddressTables
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.calendars import Calendars
from mailstead.usecases.call_limits import CallLimits
from mailstead.usecases.cards import Cards
from mailstead.usecases.catch_all_passwords import CatchAllPasswords
from mailstead.usecases.client_profiles import ClientProfiles
from mailstead.usecases.device_tokens import DeviceTokens
from mailstead.usecases.domain_book import DomainBook
from mailstead.usecases.domains import Domains
from mailstead.usecases.emails import Emails
from mailstead.usecases.events import Events
from mailstead.usecases.export_archives import ExportArchives
from mailstead.usecases.factor_settings import FactorSettings
from mailstead.usecases.factors import SecondFactors
from mailstead.usecases.filter_rules import FilterRules
from mailstead.usecases.folders import Folders
from mailstead.usecases.idempotency import Idempotency
from mailstead.usecases.junk import JunkFilter
from mailstead.usecases.log_mail import LogMail
from mailstead.usecases.masked import MaskedAddresses
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_address import OwnAddresses
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.people import Users
from mailstead.usecases.remote_imports import RemoteImports
from mailstead.usecases.script_entries import ScriptEntries
from mailstead.usecases.sealed_accounts import SealedAccounts
from mailstead.usecases.sealed_rules import SealedRules
from mailstead.usecases.snoozing import Snoozing
from mailstead.usecases.web_sessions import WebSessions


@dataclass(frozen=True, slots=True)
class ApiTerms:
    """What the settings say."""

    base_url: str = ""
    """``https://`` and the host, without slash at the end."""
    allows_clear_text: bool = False
    proxies: Proxies = field(default_factory=Proxies)
    requests_per_minute: int = 0
    """Of a network; 0: any number."""
    allowed_origins: frozenset[str] = frozenset()
    """Pages of these may call us from a browser."""
    allows_registration: bool = False
    body_octets_max: int = 64 * 1024 * 1024
    """Of any endpoint; most have a smaller one of their own."""


@dataclass(frozen=True, slots=True)
class ApiHouse:
    """Use cases by name, as in `wiring.house.House`."""

    clock: Clock
    terms: ApiTerms
    call_limits: CallLimits
    idempotency: Idempotency
    administration: Administration
    account_events: AccountEvents
    accounts: Accounts
    address_book: AddressBook
    address_passwords: AddressPasswords
    address_tables: AddressTables
    aliases: Aliases
    calendars: Calendars
    cards: Cards
    catch_all_passwords: CatchAllPasswords
    client_profiles: ClientProfiles
    device_tokens: DeviceTokens
    domain_book: DomainBook
    domains: Domains
    emails: Emails
    export_archives: ExportArchives
    filter_rules: FilterRules
    folders: Folders
    junk_filter: JunkFilter
    log_mail: LogMail
    messages: Messages
    events: Events
    factor_settings: FactorSettings
    masked: MaskedAddresses
    own_addresses: OwnAddresses
    preferences: OwnPreferences
    remote_imports: RemoteImports
    script_entries: ScriptEntries
    sealed_accounts: SealedAccounts
    sealed_rules: SealedRules
    second_factors: SecondFactors
    snoozing: Snoozing
    users: Users
    web_sessions: WebSessions
