"""The REST API: on ports of its own, and beside the pages of the web service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp

from mailstead.config.settings import Settings
from mailstead.net.certificates import Certificates
from mailstead.net.http_requests import Proxies
from mailstead.net.http_server import HttpServer, HttpTerms
from mailstead.services.api.app import make_api_app
from mailstead.services.api.endpoints import Endpoint
from mailstead.services.api.house import ApiHouse, ApiTerms
from mailstead.services.api.socket import make_socket
from mailstead.services.api.socket_limits import SocketTerms
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.address_tables import AddressTables
from mailstead.usecases.calendars import Calendars
from mailstead.usecases.call_limits import CallLimits
from mailstead.usecases.cards import Cards
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.device_tokens import DeviceTokens
from mailstead.usecases.domain_book import DomainBook
from mailstead.usecases.emails import Emails
from mailstead.usecases.events import Events
from mailstead.usecases.export_archives import ExportArchives
from mailstead.usecases.folders import Folders
from mailstead.usecases.idempotency import Idempotency
from mailstead.usecases.log_mail import LogMail
from mailstead.usecases.masked import MaskedAddresses
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_address import OwnAddresses
from mailstead.usecases.script_entries import ScriptEntries
from mailstead.usecases.traces import Traces
from mailstead.wiring.api_administration import make_administration
from mailstead.wiring.client_profiles import make_client_profiles
from mailstead.wiring.doctor import make_doctor
from mailstead.wiring.house import House
from mailstead.wiring.services import place
from mailstead.wiring.webmail import make_webmail

REQUEST_S: Final = 300.0
"""Of a large message from a slow client, or an export to one."""
KEEP_ALIVE_S: Final = 60
PREFIXES: Final = ("/v1", "/api")


def request_s(path: str) -> float:
    """Give how long a request may last, beside web pages."""
    return REQUEST_S if any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES) else 0.0


def base_url(settings: Settings) -> str:
    """Give where the API is on the web, without slash at the end."""
    if settings.api.base_url:
        return settings.api.base_url.rstrip("/")
    listening = (*settings.web.listen_tls, *settings.web.listen_shared, *settings.api.listen_tls)
    ports = [int(where.rpartition(":")[2]) for where in listening]
    at = "" if not ports or 443 in ports else f":{ports[0]}"
    return f"https://{settings.server.hostname}{at}"


def terms_of(settings: Settings) -> ApiTerms:
    """Give what the settings say. Errors: BadSettings."""
    api = settings.api
    return ApiTerms(
        base_url=base_url(settings),
        allows_clear_text=api.allows_clear_text,
        proxies=Proxies(api.proxy_from, "api.proxy_from"),
        requests_per_minute=api.requests_per_minute,
        allowed_origins=frozenset(origin.rstrip("/").lower() for origin in api.allowed_origins),
        allows_registration=api.allows_registration,
        body_octets_max=api.body_octets_max,
    )


def make_api_house(house: House, terms: ApiTerms | None = None) -> ApiHouse:
    """Give what the API needs. Errors: BadSettings."""
    dav_objects = DavObjects(house.storage, house.collections)
    account_events = AccountEvents(house.storage, house.bus)
    webmail = make_webmail(house)
    return ApiHouse(
        clock=house.clock,
        terms=terms or terms_of(house.settings),
        call_limits=CallLimits(house.storage, house.clock),
        idempotency=Idempotency(house.storage, house.clock),
        administration=make_administration(house),
        account_events=account_events,
        accounts=house.accounts,
        address_book=house.address_book,
        address_passwords=house.address_passwords,
        address_tables=AddressTables(house.address_book),
        aliases=house.aliases,
        calendars=Calendars(dav_objects, house.collections),
        cards=Cards(dav_objects, house.contacts),
        catch_all_passwords=house.catch_all_passwords,
        client_profiles=make_client_profiles(house),
        device_tokens=DeviceTokens(house.storage, house.clock, account_events, house.device_push.public_key),
        domain_book=DomainBook(
            house.storage,
            house.domains,
            house.members,
            house.address_book,
            lambda actor, domain: make_doctor(house).records(actor, domain),
            house.settings.server.hostname,
            house.audit,
        ),
        domains=house.domains,
        emails=Emails(house.storage, house.submissions, recipients_max=house.settings.smtp.recipients_max),
        export_archives=ExportArchives(
            house.storage, house.mailboxes, house.collections, house.calendar_files, house.clock
        ),
        filter_rules=house.filter_rules,
        folders=Folders(house.mailboxes),
        junk_filter=house.junk_filter,
        log_mail=LogMail(
            house.storage,
            Traces(house.storage),
            house.routes,
            house.sealing,
            house.clock,
            hostname=house.settings.server.hostname,
        ),
        messages=Messages(house.mailboxes),
        events=Events(dav_objects, house.calendar_objects, house.clock),
        factor_settings=house.factor_settings,
        masked=MaskedAddresses(house.storage, house.address_book),
        remote_imports=house.remote_imports,
        own_addresses=OwnAddresses(house.storage, house.clock),
        preferences=webmail.preferences,
        script_entries=ScriptEntries(house.storage, house.filters.scripts, house.address_book, house.clock),
        sealed_accounts=house.sealed_accounts,
        sealed_rules=house.sealed_rules,
        second_factors=house.second_factors,
        snoozing=webmail.snoozing,
        users=house.users,
        web_sessions=house.web_sessions,
    )


def make_app(
    house: House,
    others: ASGIApp | None = None,
    terms: ApiTerms | None = None,
    endpoints: Iterable[Endpoint] | None = None,
    sockets: SocketTerms | None = None,
) -> ASGIApp:
    """Give the application; `terms`, `endpoints` and `sockets` are a test's own. Errors: BadSettings."""
    api_house = make_api_house(house, terms)
    return make_api_app(api_house, others, endpoints, make_socket(api_house, sockets))


def make_api_service(house: House, certificates: Certificates, *, is_port_shared: bool = False) -> HttpServer:
    """Give the service on ports of its own, not yet bound. Errors: BadSettings."""
    settings = house.settings
    connections_max = settings.api.connections_max
    terms = HttpTerms("api", 30.0, lambda _path: REQUEST_S, connections_max, KEEP_ALIVE_S, has_sockets=True)
    return HttpServer(
        make_app(house),
        terms,
        [place(at, settings) for at in settings.api.listen],
        [place(at, settings) for at in settings.api.listen_tls],
        certificates.context,
        is_port_shared=is_port_shared,
    )
