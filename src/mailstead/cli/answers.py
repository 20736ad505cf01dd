"""Which ports of this machine should answer, and whether they do. Nothing heavy is loaded, as it is asked often."""

from __future__ import annotations

import os
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailstead.config.settings import Settings

LIMIT_S: Final = 5.0
"""How long a port may take for each step; a health check that waits longer is no use."""
ANSWER_OCTETS_MAX: Final = 1024

_GREETINGS: Final = {
    "mx": re.compile(rb"220[ -]"),
    "submission": re.compile(rb"220[ -]"),
    "imap": re.compile(rb"\* OK"),
    "pop3": re.compile(rb"\+OK"),
    "sieve": re.compile(rb'"IMPLEMENTATION"'),
    "api": re.compile(rb"HTTP/1\.1 [234]\d\d"),
    "web": re.compile(rb"HTTP/1\.1 [234]\d\d"),  # there need not be a page, only somebody who says so
}
"""How the answer of a service begins that takes new clients."""
_FAREWELLS: Final = {
    "mx": b"QUIT\r\n", "submission": b"QUIT\r\n", "imap": b"h LOGOUT\r\n", "pop3": b"QUIT\r\n", "sieve": b"LOGOUT\r\n",
}  # fmt: skip
_WEB_QUESTION: Final = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_HTTP: Final = frozenset({"web", "api"})
"""Services that speak HTTP, and are asked first."""
_PROXY_OF_NOBODY: Final = b"PROXY UNKNOWN\r\n"
_HERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
"""Where a client on this machine reaches what listens on all its addresses."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that should answer."""

    service: str
    where: str
    """As the setting says it."""
    host: str
    number: int
    is_tls: bool
    alpn: str = ""
    is_behind_proxy: bool = False
    """Whether the server demands a PROXY header of us."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a port said."""

    port: Port
    is_well: bool
    found: str


def ports_of(settings: Settings) -> tuple[Port, ...]:
    """Give the ports that the chosen services should listen on. Errors: BadSettings.

    Left out are ports with the number 0: which one the system has given, only the server knows.
    """
    from mailstead.net.admission import Admission
    from mailstead.net.endpoint import Endpoint
    from mailstead.wiring.services import ALPN, LISTENING, chosen_services, place

    chosen = chosen_services(settings.server.services)
    wanted = [
        (service, at, is_tls, "")
        for service in chosen
        if service in {*LISTENING, *_HTTP}
        for section in (getattr(settings, service),)
        for is_tls, places in ((False, section.listen), (True, section.listen_tls))
        for at in places
    ]
    wanted += [
        (service, at, True, protocol)
        for at in settings.web.listen_shared
        for service, protocol in (("web", "http/1.1"), *((name, alpn.decode()) for name, alpn in ALPN.items()))
        if service in chosen
    ]
    admission = Admission(proxy_from=settings.limits.proxy_from)
    found = []
    for service, at, is_tls, protocol in wanted:
        endpoint = Endpoint.parse(place(at, settings))
        host = _HERE.get(endpoint.host, endpoint.host)
        # The web and the port that it shares know no PROXY header.
        is_behind_proxy = service in LISTENING and not protocol and _is_proxy(admission.is_proxy, host)
        if endpoint.port:
            found.append(Port(service, at, host, endpoint.port, is_tls, protocol, is_behind_proxy))
    return tuple(found)


def _is_proxy(is_proxy: Callable[[str], bool], host: str) -> bool:
    """Whether the server takes us for a proxy: who connects to an address of this machine comes from it."""
    return is_proxy("127.0.0.1" if host == "localhost" else host)


def ask(port: Port, limit_s: float = LIMIT_S) -> Answer:
    """Connect to a port and judge its greeting. Whatever goes wrong is an answer too."""
    try:
        with socket.create_connection((port.host, port.number), limit_s) as connection:
            if port.is_behind_proxy:
                connection.sendall(_PROXY_OF_NOBODY)
            if port.is_tls:
                with tls_context(port.alpn).wrap_socket(connection) as encrypted:
                    return _greeted(port, encrypted)
            return _greeted(port, connection)
    except TimeoutError:
        return Answer(port, is_well=False, found="no answer in time")
    except ssl.SSLError as error:
        return Answer(port, is_well=False, found=f"no TLS: {error.reason or error}")
    except OSError as error:
        return Answer(port, is_well=False, found=error.strerror or str(error))


def _greeted(port: Port, connection: socket.socket) -> Answer:
    if port.service in _HTTP:
        connection.sendall(_WEB_QUESTION)
    octets = b""
    while b"\n" not in octets and len(octets) < ANSWER_OCTETS_MAX:
        part = connection.recv(ANSWER_OCTETS_MAX)
        if not part:
            break
        octets += part
    line = octets.partition(b"\n")[0].decode("ascii", "replace").strip()
    is_well = bool(_GREETINGS[port.service].match(octets))
    if is_well and port.service in _FAREWELLS:
        connection.sendall(_FAREWELLS[port.service])  # or the log would speak of a client that had gone away
    return Answer(port, is_well, line or "closed without a word")


def tls_context(alpn: str) -> ssl.SSLContext:
    """Give a context that believes everybody: the question is whether this machine answers, not who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


def answers_of(settings: Settings) -> list[Answer]:
    """Ask all ports that should answer, at once. Errors: BadSettings."""
    ports = ports_of(settings)
    # The mx may greet late on purpose.
    limit_s = LIMIT_S + settings.smtp.banner_delay_s
    with ThreadPoolExecutor(max(len(ports), 1)) as threads:
        return list(threads.map(lambda port: ask(port, limit_s), ports))


HEADS: Final = ("SERVICE", "ADDRESS", "TLS", "HEALTH", "ANSWER")


def rows_of(answers: Sequence[Answer]) -> list[tuple[str, ...]]:
    """Give the answers as people read them, below `HEADS`."""
    return [
        (
            each.port.service,
            each.port.where,
            "from the first octet" if each.port.is_tls else "-",
            "well" if each.is_well else "ill",
            each.found,
        )
        for each in answers
    ]


def tell() -> int:
    """Ask as the settings of this machine say, print the answers, and give the exit code."""
    from mailstead.cli.containers import load_here
    from mailstead.cli.errors import FOUND, exit_for
    from mailstead.cli.printing import printable, table
    from mailstead.model.errors import MailsteadError

    try:
        answers = answers_of(load_here(None, os.environ).settings)
    except MailsteadError as error:
        code, advice = exit_for(error)
        print(printable(f"mailstead: {error.public_text}" + (f"\n{advice}" if advice else "")), file=sys.stderr)
        return code
    print(printable(table(HEADS, rows_of(answers))))
    return 0 if all(each.is_well for each in answers) else FOUND
