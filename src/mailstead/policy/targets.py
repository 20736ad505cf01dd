"""How the targets of aliases and of forwarding accounts are written.

==================================  ======================================================================
``name@example.net``                an address
``name@[192.0.2.1]``                an address at a host without a name
``*@example.net``, ``example.net``  the same local part in that domain
``mail.example.net:2525``           that host and port, with the recipient's address unchanged
``192.0.2.1``, ``[2001:db8::1]``    that host at port 25, or ``[2001:db8::1]:2525``
``https://example.net/hook``        posted there as JSON
==================================  ======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import HostTarget, Target, WebhookTarget
from mailstead.model.errors import BadAddress, BadTarget

SAME_LOCAL_PART: Final = "*"
"""As the local part of a target: that of the address which was written to."""
URL_CHARACTERS_MAX: Final = 2000
SMTP_PORT: Final = 25
_QUOTED_CHARACTERS_MAX: Final = 80

# host ":" port, the host in brackets if it is an IPv6 address
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/]+):([0-9]{1,5})")
_WORD: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+')


def read_target(text: str, *, port: int = SMTP_PORT) -> Target:
    """Give the target that a text means; `port` is for hosts that name none.

    With another port than 25 a bare domain is a host too, as a port can only belong to one host.
    Errors: BadTarget, with what is wrong.
    """
    text = text.strip()
    if not text:
        raise BadTarget("A target is empty")
    if "://" in text:
        return _webhook(text)
    if "@" in text:
        return _address(text)
    if host := _ip(text.removeprefix("[").removesuffix("]")):
        return HostTarget(host, port)
    if match := _HOST_AND_PORT.fullmatch(text):
        return _host_and_port(text, match[1], int(match[2]))
    domain = _domain(text, text)
    return Address(SAME_LOCAL_PART, domain) if port == SMTP_PORT else HostTarget(domain, port)


def read_targets(text: str) -> tuple[Target, ...]:
    """Give the targets of a text with spaces between them. Errors: BadTarget."""
    return distinct(read_target(word) for word in _WORD.findall(text))


def target_key(target: Target) -> str:
    """Give the form in which two targets that mean the same are the same."""
    return target.key if isinstance(target, Address) else str(target)


def distinct(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Each target once, in order."""
    return tuple({target_key(target): target for target in targets}.values())


def _webhook(text: str) -> WebhookTarget:
    if len(text) > URL_CHARACTERS_MAX:
        raise BadTarget(f"A web address has at most {URL_CHARACTERS_MAX} characters")
    if not text.isascii() or not text.isprintable() or any(character in text for character in ' "<>\\^`{|}'):
        raise BadTarget("A web address has characters that must be written as %XX")
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in {"http", "https"}:
        raise BadTarget(f"A web address begins with https:// or http:// and a host, not {_quoted(text)}")
    if parts.username is not None or parts.fragment:
        raise BadTarget("A web address here has no user name, no password and no #fragment")
    return WebhookTarget(text)


def _address(text: str) -> Address:
    try:
        address = Address.parse(text)
    except BadAddress as error:
        raise BadTarget(f"{_quoted(text)}: {error.public_text}") from None
    if address.domain.startswith("["):
        # RFC 5321 §4.1.3: an IPv6 literal has a tag before it
        if not _ip(address.domain[1:-1].removeprefix("ipv6:")):
            raise BadTarget(f"{_quoted(text)}: between the brackets is no IP address")
        return address
    return Address(address.local_part, _domain(address.domain, text))


def _host_and_port(text: str, host: str, port: int) -> HostTarget:
    if not 1 <= port <= 65535:
        raise BadTarget(f"{_quoted(text)}: a port is between 1 and 65535")
    return HostTarget(_ip(host.removeprefix("[").removesuffix("]")) or _domain(host, text, is_host=True), port)


def _domain(name: str, text: str, *, is_host: bool = False) -> str:
    try:
        domain = normal_domain(name)
    except BadAddress as error:
        raise BadTarget(f"{_quoted(text)}: {error.public_text}") from None
    if domain.rpartition(".")[2].isdigit():
        raise BadTarget(f"{_quoted(text)} is neither an IP address nor a domain")
    if "." not in domain and not is_host and "@" not in text:
        raise BadTarget(
            f"{_quoted(text)} is no target: write name@domain, a full domain, host:port, an IP address or a web address"
        )
    return domain


def _ip(text: str) -> str:
    """Give an IP address in its normal form; empty if it is none."""
    try:
        return str(ip_address(text)) if "%" not in text else ""
    except ValueError:
        return ""


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED_CHARACTERS_MAX else text[: _QUOTED_CHARACTERS_MAX - 1] + "…")
