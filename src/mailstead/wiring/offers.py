"""Where the chosen services listen, and what mail programs are therefore offered."""

from __future__ import annotations

from collections.abc import Iterable

from mailstead.config.settings import Listeners, Settings
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
        Offer(each.service, Endpoint.parse(each.where).port, each.is_tls)
        for each in _listening(settings, chosen)
        if each.service in {"submission", "imap", "pop3", "sieve"}
    ]
    offers += [
        Offer(service, Endpoint.parse(at).port, is_tls=True)
        for at in settings.web.listen_shared
        for service in ALPN
        if service in chosen
    ]
    # Calendars and contacts answer on their own ports, and where the web does.
    offers += [
        Offer(service, Endpoint.parse(at).port, is_tls=True)
        for service in ("caldav", "carddav")
        if service in chosen
        for at in (
            *(settings.web.listen_tls if "web" in chosen else ()),
            *settings.web.listen_shared,
            *getattr(settings, service).listen_tls,
        )
    ]
    return HouseOffers(settings.server.hostname, tuple(dict.fromkeys(offers)))


def listening(settings: Settings) -> tuple[Listening, ...]:
    """Give where the chosen services listen."""
    return _listening(settings, chosen_services(settings.server.services))


def _listening(settings: Settings, services: Iterable[str]) -> tuple[Listening, ...]:
    sections: list[tuple[str, Listeners]] = [
        (service, getattr(settings, service)) for service in services if service in {*LISTENING, "web"}
    ]
    return tuple(
        Listening(service, where, is_tls)
        for service, section in sections
        for is_tls, places in ((False, section.listen), (True, section.listen_tls))
        for where in places
    )
