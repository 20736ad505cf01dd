"""How mail programs are told where to go: SRV names, the XML of Thunderbird and that of Outlook.

Spec: RFC 6186 §3 (SRV), RFC 8314 §5.1 (``_submissions``), RFC 5804 §1.8 (``_sieve``). The two forms of XML have no RFC:
autoconfig 1.1 is Thunderbird's, and becoming draft-ietf-mailmaint-autoconfig; autodiscover is [MS-OXDSCLI].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr


class Offer(NamedTuple):
    """A service for mail programs, and how it is reached at the mail host."""

    service: str
    """``submission``, ``imap``, ``pop3``, ``sieve``, ``caldav`` or ``carddav``."""
    port: int
    is_tls: bool
    """From the first octet; else by STARTTLS."""


SRV_LABELS: Final = {
    ("submission", True): "_submissions",
    ("submission", False): "_submission",
    ("imap", True): "_imaps",
    ("imap", False): "_imap",
    ("pop3", True): "_pop3s",
    ("pop3", False): "_pop3",
    ("sieve", False): "_sieve",
    ("caldav", True): "_caldavs",
    ("carddav", True): "_carddavs",
}
"""In the order in which they are shown; TLS from the first octet goes first. Spec: RFC 8314 §3; RFC 6764 §3."""

DAV_PATH: Final = "/dav/"
"""Where programs for calendars and contacts begin. Spec: RFC 6764 §4 (the TXT record's ``path``)."""
_ELEMENTS_OF_THE_WEB: Final = (
    ("caldav", "calendar", "serverURL", "http-basic"),
    ("carddav", "addressBook", "serverURL", "http-basic"),
    ("caldav", "calendar", "url", "basic"),
    ("carddav", "addressbook", "url", "basic"),
)
"""In Thunderbird's words, then in those of the draft: who knows one of them passes over the other."""
_NO_MAIL: Final = frozenset({"sieve", "caldav", "carddav"})


def preferred(offers: Sequence[Offer]) -> list[Offer]:
    """Give the offers that mail programs can use, the best of each service first."""
    order = list(SRV_LABELS)
    known = [offer for offer in offers if (offer.service, offer.is_tls) in SRV_LABELS]
    return sorted(known, key=lambda offer: order.index((offer.service, offer.is_tls)))


def autoconfig(domain: str, hostname: str, offers: Sequence[Offer]) -> str:
    """Write the set-up file that Thunderbird and others fetch. All is chosen by them, passwords go over TLS only."""
    servers = []
    for offer in preferred(offers):
        if offer.service in _NO_MAIL:
            continue
        kind, element = (
            ("smtp", "outgoingServer") if offer.service == "submission" else (offer.service, "incomingServer")
        )
        servers.append(
            f'    <{element} type="{kind}">\n'
            f"      <hostname>{escape(hostname)}</hostname>\n"
            f"      <port>{offer.port}</port>\n"
            f"      <socketType>{'SSL' if offer.is_tls else 'STARTTLS'}</socketType>\n"
            "      <authentication>password-cleartext</authentication>\n"
            "      <username>%EMAILADDRESS%</username>\n"
            f"    </{element}>\n"
        )
    # Incoming servers stand before outgoing ones; within each the first is taken.
    servers.sort(key=lambda text: "outgoingServer" in text)
    name = escape(domain)
    ports = _best_ports(offers)
    beside = "".join(
        f'  <{element} type="{service}">\n'
        "    <username>%EMAILADDRESS%</username>\n"
        f"    <authentication>{authentication}</authentication>\n"
        f"    <{place}>{escape(dav_url(hostname, ports[service]))}</{place}>\n"
        f"  </{element}>\n"
        for service, element, place, authentication in _ELEMENTS_OF_THE_WEB
        if service in ports
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<clientConfig version="1.1">\n'
        f"  <emailProvider id={quoteattr(domain)}>\n"
        f"    <domain>{name}</domain>\n"
        f"    <displayName>{name}</displayName>\n"
        f"    <displayShortName>{name}</displayShortName>\n"
        f"{''.join(servers)}"
        "  </emailProvider>\n"
        f"{beside}"
        "</clientConfig>\n"
    )


def dav_url(hostname: str, port: int) -> str:
    """Give where programs for calendars and contacts begin."""
    return f"https://{hostname}{'' if port == 443 else f':{port}'}{DAV_PATH}"


def _best_ports(offers: Sequence[Offer]) -> dict[str, int]:
    """Give the port of each service at which it is best reached."""
    best: dict[str, int] = {}
    for offer in preferred(offers):
        best.setdefault(offer.service, offer.port)
    return best


RESPONSE_SCHEMA: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_AUTODISCOVER: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
_AUTODISCOVER_TYPES: Final = {"imap": "IMAP", "pop3": "POP3", "submission": "SMTP"}
_AUTODISCOVER_TYPES_OF_THE_WEB: Final = {"caldav": "CalDAV", "carddav": "CardDAV"}
AUTODISCOVER_PATH: Final = "/autodiscover/autodiscover.xml"


def autodiscover(address: str, hostname: str, offers: Sequence[Offer]) -> str:
    """Write the answer that Outlook reads: the best way to each service. Spec: [MS-OXDSCLI] §2.2.4."""
    best: dict[str, Offer] = {}
    for offer in preferred(offers):
        best.setdefault(offer.service, offer)
    protocols = "".join(
        "      <Protocol>\n"
        f"        <Type>{kind}</Type>\n"
        f"        <Server>{escape(hostname)}</Server>\n"
        f"        <Port>{best[service].port}</Port>\n"
        "        <DomainRequired>off</DomainRequired>\n"
        f"        <LoginName>{escape(address)}</LoginName>\n"
        "        <SPA>off</SPA>\n"
        f"        <SSL>{'on' if best[service].is_tls else 'off'}</SSL>\n"
        f"        <Encryption>{'SSL' if best[service].is_tls else 'TLS'}</Encryption>\n"
        "        <AuthRequired>on</AuthRequired>\n"
        "      </Protocol>\n"
        for service, kind in _AUTODISCOVER_TYPES.items()
        if service in best
    )
    # Outlook passes over these; eM Client and others ask in the same way, and read them.
    protocols += "".join(
        "      <Protocol>\n"
        f"        <Type>{kind}</Type>\n"
        f"        <Server>{escape(dav_url(hostname, best[service].port))}</Server>\n"
        "        <DomainRequired>off</DomainRequired>\n"
        f"        <LoginName>{escape(address)}</LoginName>\n"
        "      </Protocol>\n"
        for service, kind in _AUTODISCOVER_TYPES_OF_THE_WEB.items()
        if service in best
    )
    return _answer(
        f'  <Response xmlns="{RESPONSE_SCHEMA}">\n'
        "    <Account>\n"
        "      <AccountType>email</AccountType>\n"
        "      <Action>settings</Action>\n"
        f"{protocols}"
        "    </Account>\n"
        "  </Response>\n"
    )


def autodiscover_refusal(code: int, text: str) -> str:
    """Write the answer to a question that cannot be answered. Spec: [MS-OXDSCLI] §2.2.4.1.4 (Error)."""
    return _answer(
        "  <Response>\n"
        '    <Error Time="00:00:00.0000000" Id="0">\n'
        f"      <ErrorCode>{code}</ErrorCode>\n"
        f"      <Message>{escape(text)}</Message>\n"
        "      <DebugData />\n"
        "    </Error>\n"
        "  </Response>\n"
    )


def _answer(response: str) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover xmlns="{_AUTODISCOVER}">\n{response}</Autodiscover>\n'
    )


def autodiscover_place(protocol: str, hostname: str) -> dict[str, str] | None:
    """Say where the former way of asking is, as programs want it that ask in JSON first; None: unknown protocol.

    Outlook for phones asks for ActiveSync, too, which is not offered.
    """
    if protocol.lower() != "autodiscoverv1":
        return None
    return {"Protocol": "AutodiscoverV1", "Url": f"https://{hostname}{AUTODISCOVER_PATH}"}
