"""Where the chosen services listen, and what mail programs are therefore offered."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from mailstead.config.settings import Listeners, Settings
from mailstead.model.errors import BadSettings
from mailstead.net.endpoint import Endpoint
from mailstead.policy.client_setup import Offer
from mailstead.usecases.doctor import Listening
from mailstead.usecases.publications import HouseOffers
from mailstead.wiring.services import ALPN, LISTENING, chosen_services


def house_offers(settings: Settings) -> HouseOffers:
    """Give what mail programs are offered, by the addresses that the services of the house listen on."""
    server = settings.server
    chosen = chosen_services(server.offered_services or server.services)
    offers = [
        Offer(each.service, _port(each), each.is_tls)
        for each in _listening(settings, chosen)
        if each.service in {"submission", "imap", "pop3", "sieve"}
    ]
    offers += [
        Offer(service, Endpoint.parse(at).port, is_tls=True)
        for at in settings.web.listen_shared
        for service in ALPN
        if service in chosen
    ]
    offers += [
        Offer(service, port, is_tls=True)
        for service in ("caldav", "carddav")
        if service in chosen
        for port in _dav_ports(settings, service, is_web="web" in chosen)
    ]
    return HouseOffers(settings.server.hostname, tuple(dict.fromkeys(offers)))


def _port(listening: Listening) -> int:
    """Errors: BadSettings, with the service's name."""
    try:
        return Endpoint.parse(listening.where).port
    except BadSettings as error:
        raise BadSettings(f"{listening.service}: {error}") from None


def _dav_ports(settings: Settings, service: str, *, is_web: bool) -> list[int]:
    """Give where calendars or contacts answer: their own ports and those of the web, or where the setting says.

    Records and set-up files name `server.hostname`, so what is elsewhere is not offered by them.
    """
    if settings.dav.base_url:
        where = urlsplit(settings.dav.base_url)
        is_there = where.scheme == "https" and where.hostname == settings.server.hostname
        return [where.port or 443] if is_there else []
    web = (*settings.web.listen_tls, *settings.web.listen_shared) if is_web else settings.web.listen_shared
    return [Endpoint.parse(at).port for at in (*web, *getattr(settings, service).listen_tls)]


def listening(settings: Settings) -> tuple[Listening, ...]:
    """Give where the chosen services listen."""
    return _listening(settings, chosen_services(settings.server.services))


def _listening(settings: Settings, services: Iterable[str]) -> tuple[Listening, ...]:
    sections: list[tuple[str, Listeners]] = [
        (service, getattr(settings, service)) for service in services if service in {*LISTENING, "web", "api"}
    ]
    return tuple(
        Listening(service, where, is_tls)
        for service, section in sections
        for is_tls, places in ((False, section.listen), (True, section.listen_tls))
        for where in places
    )
