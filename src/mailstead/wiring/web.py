"""The web service."""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette.types import ASGIApp

from mailstead.net.certificates import Certificates
from mailstead.net.http_requests import Proxies
from mailstead.services.web.remote_image import RemoteImagePage
from mailstead.services.web.service import WebService
from mailstead.services.web.web_keys import WebKeyPages
from mailstead.usecases.invitations import Invitations
from mailstead.usecases.publications import Publications
from mailstead.usecases.web_keys import WebKeys
from mailstead.wiring.acme import challenge_files, orders_certificates
from mailstead.wiring.house import House
from mailstead.wiring.offers import house_offers
from mailstead.wiring.services import chosen_services, place
from mailstead.wiring.site import make_site


def make_web_service(house: House, certificates: Certificates, *, is_port_shared: bool = False) -> WebService:
    """Give the web service, not yet bound. Errors: BadSettings."""
    settings = house.settings
    beside: Callable[[ASGIApp], ASGIApp] | None = None
    beside_s: Callable[[str], float] | None = None
    services = set(chosen_services(settings.server.services))
    if services & {"caldav", "carddav"}:
        from mailstead.wiring import dav

        beside, beside_s = functools.partial(dav.make_app, house), dav.request_s
    if "api" in services:
        from mailstead.wiring import api

        beside, beside_s = _before(functools.partial(api.make_app, house), beside), _longest(api.request_s, beside_s)
    site = make_site(house)
    publications = Publications(house.storage, house_offers(settings))
    return WebService(
        publications,
        [place(at, settings) for at in settings.web.listen],
        [place(at, settings) for at in settings.web.listen_tls],
        certificates.context,
        invitations=Invitations(house.storage, house.openings.check_room),
        receptions=house.receptions,
        challenge_answer=challenge_files(settings).http_answer if orders_certificates(settings) else None,
        custom_folder=settings.web.custom_folder,
        further=[
            *site.routes(),
            *RemoteImagePage(house.remote_images, settings.server.hostname).routes(),
            *WebKeyPages(WebKeys(house.storage, house.clock), publications).routes(),
        ],
        proxies=Proxies(settings.web.proxy_from, "web.proxy_from"),
        home=site.home,
        beside=beside,
        beside_s=beside_s,
        has_sockets="api" in services,
        is_port_shared=is_port_shared,
    )


def _before(
    first: Callable[[ASGIApp], ASGIApp], then: Callable[[ASGIApp], ASGIApp] | None
) -> Callable[[ASGIApp], ASGIApp]:
    """Give what puts two applications before another."""
    return first if then is None else lambda others: first(then(others))


def _longest(first: Callable[[str], float], then: Callable[[str], float] | None) -> Callable[[str], float]:
    """Give how long a request may last where two applications are before the pages."""
    return first if then is None else lambda path: max(first(path), then(path))
