"""Calendars and contacts over HTTP: on ports of their own, and beside the pages of the web service."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp

from mailstead.net.certificates import Certificates
from mailstead.net.http_requests import Proxies
from mailstead.net.http_server import HttpServer, HttpTerms
from mailstead.services.dav.app import is_ours, make_dav_app
from mailstead.services.dav.call import DavHouse
from mailstead.wiring.house import House, dav_base_url
from mailstead.wiring.services import chosen_services, place

REQUEST_S: Final = 300.0
"""Of a large answer to a slow client, or a large object from one."""
KEEP_ALIVE_S: Final = 60
NAMES: Final = ("caldav", "carddav")


def serves_dav(house: House) -> bool:
    """Whether this process answers for calendars or contacts."""
    return bool(set(chosen_services(house.settings.server.services)) & set(NAMES))


def request_s(path: str) -> float:
    """Give how long a request may last, beside web pages."""
    return REQUEST_S if is_ours(path) else 0.0


def make_app(house: House, others: ASGIApp | None = None) -> ASGIApp:
    """Give the application; `others` gets what is none of its paths."""
    dav, chosen = house.settings.dav, chosen_services(house.settings.server.services)
    return make_dav_app(
        DavHouse(
            house.accounts,
            house.collections,
            house.calendar_objects,
            house.contacts,
            house.attachments,
            house.calendar_files,
            house.sharings,
            house.dav_push,
            house.meetings,
            house.free_busy,
            house.scheduling,
            dav_base_url(house.settings),
            dav.resource_octets_max,
            dav.allows_clear_text,
            has_calendars="caldav" in chosen,
            has_addressbooks="carddav" in chosen,
            proxies=Proxies(dav.proxy_from),
        ),
        others,
    )


def make_dav_services(house: House, certificates: Certificates, *, is_port_shared: bool = False) -> list[HttpServer]:
    """Give the services that have ports of their own, not yet bound. Errors: BadSettings."""
    settings = house.settings
    found = []
    for name in NAMES:
        section = getattr(settings, name)
        if name in chosen_services(settings.server.services) and (section.listen or section.listen_tls):
            terms = HttpTerms(name, 30.0, lambda _path: REQUEST_S, settings.dav.connections_max, KEEP_ALIVE_S)
            found.append(
                HttpServer(
                    make_app(house),
                    terms,
                    [place(at, settings) for at in section.listen],
                    [place(at, settings) for at in section.listen_tls],
                    certificates.context,
                    is_port_shared=is_port_shared,
                )
            )
    return found
