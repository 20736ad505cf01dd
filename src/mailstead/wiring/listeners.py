"""The listeners of the chosen services, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mailstead.config.settings import MailListeners
from mailstead.model.envelope import Peer
from mailstead.model.errors import BadSettings
from mailstead.net.admission import BRIDGED, Admission, ServiceAdmission
from mailstead.net.certificates import Certificates
from mailstead.net.listener import Listener
from mailstead.net.shared_port import SharedPort
from mailstead.net.terms import Terms
from mailstead.telemetry import log
from mailstead.wiring import bridges
from mailstead.wiring.acme import challenge_files, orders_certificates
from mailstead.wiring.bridges import unbridged
from mailstead.wiring.house import House
from mailstead.wiring.services import ALPN, LISTENING, chosen_services, place
from mailstead.wiring.sessions import MAKE_SESSIONS, Sessions

if TYPE_CHECKING:
    from mailstead.services.web.service import WebService
    from mailstead.telemetry.transcript import Transcript

_log = log.get("wiring")

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
    settings = house.settings
    limits = settings.limits
    whole = Admission(limits.connections_max, limits.connections_per_address_max, limits.proxy_from)
    listeners: list[Listener] = []
    by_protocol: dict[bytes, Terms] = {}
    for service in chosen_services(settings.server.services):
        if service not in LISTENING:
            continue
        section: MailListeners = getattr(settings, service)
        admission: Admission | ServiceAdmission = whole
        if section.connections_max:
            admission = ServiceAdmission(whole, section.connections_max)
        if service == "mx":
            admission = unbridged(house, admission)
        make = MAKE_SESSIONS[service](house)

        def terms(
            *,
            is_tls: bool,
            service: str = service,
            make: Sessions = make,
            admission: Admission | ServiceAdmission = admission,
        ) -> Terms:
            return Terms(
                service,
                make(is_tls),
                admission,
                context=certificates.context,
                is_tls_implicit=is_tls,
                refusal=_REFUSALS[service],
                refusals={BRIDGED: bridges.REFUSAL},
                make_transcript=_transcripts(service) if settings.server.transcript else None,
            )

        for is_tls, places in ((False, section.listen), (True, section.listen_tls)):
            listeners += [
                Listener(place(at, settings), terms(is_tls=is_tls), is_port_shared=is_port_shared) for at in places
            ]
        if service in ALPN:
            by_protocol[ALPN[service]] = terms(is_tls=True)
    if settings.web.listen_shared and not by_protocol:
        raise BadSettings(
            "web.listen_shared is for web and mail in one process; for the web alone there is web.listen_tls"
        )
    listeners += [
        SharedPort(
            place(at, settings),
            by_protocol,
            web.adopt if web else None,
            challenge=challenge_files(settings).alpn_context if orders_certificates(settings) else None,
            is_port_shared=is_port_shared,
        )
        for at in settings.web.listen_shared
    ]
    if not listeners and set(chosen_services(settings.server.services)) & set(LISTENING):
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
