"""Where the chosen services listen, and what mail programs are therefore offered."""

from __future__ import annotations

from mailstead.config.settings import Listeners, Settings
from mailstead.net.listener import Endpoint
from mailstead.policy.client_setup import Offer
from mailstead.usecases.doctor import Listening
from mailstead.usecases.publications import HouseOffers
from mailstead.wiring.services import ALPN, LISTENING, chosen_services


def house_offers(settings: Settings) -> HouseOffers:
    """Give what mail programs are offered, by the addresses that the chosen services listen on."""
    offers = [
        Offer(each.service, Endpoint.parse(each.where).port, each.is_tls)
        for each in listening(settings)
        if each.service in {"submission", "imap", "pop3", "sieve"}
    ]
    chosen = chosen_services(settings.server.services)
    offers += [
        Offer(service, Endpoint.parse(at).port, is_tls=True)
        for at in settings.web.listen_shared
        for service in ALPN
        if service in chosen
    ]
    return HouseOffers(settings.server.hostname, tuple(dict.fromkeys(offers)))


def listening(settings: Settings) -> tuple[Listening, ...]:
    """Give where the chosen services listen."""
    sections: list[tuple[str, Listeners]] = [
        (service, getattr(settings, service))
        for service in chosen_services(settings.server.services)
        if service in {*LISTENING, "web"}
    ]
    return tuple(
        Listening(service, where, is_tls)
        for service, section in sections
        for is_tls, places in ((False, section.listen), (True, section.listen_tls))
        for where in places
    )


def place(at: str, settings: Settings) -> str:
    """Give an address to listen on with a host, if it names none and `server.ip_version` chooses one."""
    host = {"4": "0.0.0.0", "6": "[::]"}.get(settings.server.ip_version)  # noqa: S104  # ":25" asks for just that
    port = at.strip().removeprefix("*")
    return f"{host}{port}" if host and port.startswith(":") else at
