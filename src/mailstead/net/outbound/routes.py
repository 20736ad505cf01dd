"""Where mail for a destination goes: its mail exchangers in their order, and their addresses.

Spec: RFC 5321 §5.1 (MX, implicit MX, loops), §2.3.5; RFC 7505 (null MX); RFC 3463 (status codes).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from itertools import chain, groupby, zip_longest
from random import Random
from typing import Final

from mailstead.model.errors import DnsUnavailable
from mailstead.model.queue import RemoteReply
from mailstead.net.addresses import is_public
from mailstead.ports.relay import RelayFailed
from mailstead.ports.resolver import Answer, Mx, Resolver

HOSTS_MAX: Final = 10
"""Of more mail exchangers only the most preferred are tried."""

ADDRESSES_PER_HOST_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts of a destination, the most preferred first."""

    hosts: tuple[str, ...]
    is_authentic: bool = False
    """DNSSEC vouches for the host names: for the MX records, or that there are none."""


async def route_of_domain(domain: str, resolver: Resolver, hostname: str, chance: Random) -> Route:
    """Find the mail exchangers of a domain; an address literal stands for itself.

    `hostname` is our own name: it and all that is not preferred to it is left out, or mail would go round in circles.
    Spec: RFC 5321 §5.1, §4.1.3; RFC 7505 §3.
    Errors: RelayFailed: permanent for a domain that is not there, takes no mail or leads to us only; else temporary.
    """
    if domain.startswith("["):
        return Route((_literal(domain),), is_authentic=True)
    try:
        answer = await resolver.mx(domain)
    except DnsUnavailable as error:
        raise _failed("4.4.3", f"MX of {domain}: {error.public_text}") from None
    if not answer.exists:
        raise _failed("5.1.2", f"The domain {domain} does not exist", is_permanent=True)
    if len(answer.records) == 1 and not answer.records[0].exchange:
        raise _failed("5.1.10", f"The domain {domain} takes no mail (null MX)", code=556, is_permanent=True)
    records = [record for record in answer.records if record.exchange]
    if not records:
        # The implicit MX: only where there is no MX at all, and that the domain has addresses is seen later.
        return Route((domain.rstrip("."),), answer.is_authentic)
    return Route(_ordered(domain, records, hostname, chance), answer.is_authentic)


def _ordered(domain: str, records: list[Mx], hostname: str, chance: Random) -> tuple[str, ...]:
    """Sort by preference, equal ones by chance, without ourselves and what stands behind us. Spec: RFC 5321 §5.1."""
    ours = min((record.preference for record in records if record.exchange == hostname.lower()), default=None)
    if ours is not None:
        records = [record for record in records if record.preference < ours]
    if not records:
        raise _failed("5.4.6", f"Mail for {domain} would come back to ourselves", is_permanent=True)
    hosts: list[str] = []
    for _, equals in groupby(sorted(records), lambda record: record.preference):
        names = [record.exchange for record in equals]
        chance.shuffle(names)
        hosts += names
    return tuple(dict.fromkeys(hosts))[:HOSTS_MAX]


async def addresses_of(host: str, resolver: Resolver, ip_version: str, *, allows_private: bool) -> tuple[str, ...]:
    """Give the addresses of a host in the order in which they are tried: IPv6 and IPv4 in turn.

    In turn, so that a host whose IPv6 is out of order is reached by its second address already.
    Spec: RFC 5321 §5.1, §5.2 (IPv6); attack row 37 (private addresses).
    Errors: RelayFailed.
    """
    if is_address(host):
        found, version = [host], str(ip_address(host).version)
        if ip_version not in {"auto", version}:
            raise _failed("5.4.4", f"{host} is not reached by IPv{ip_version}", is_permanent=True)
        is_implicitly_there = True
    else:
        found, is_implicitly_there = await _looked_up(host, resolver, ip_version)
    if not found:
        if not is_implicitly_there:
            raise _failed("5.1.2", f"The host {host} does not exist", host=host, is_permanent=True)
        raise _failed("5.4.4", f"The host {host} has no address", host=host, is_permanent=True)
    usable = tuple(address for address in found if allows_private or is_public(address))
    if not usable:
        raise _failed("5.4.4", f"The host {host} has only private addresses", host=host, is_permanent=True)
    return usable[:ADDRESSES_PER_HOST_MAX]


async def _looked_up(host: str, resolver: Resolver, ip_version: str) -> tuple[list[str], bool]:
    """Ask for both kinds at a time; also whether the name exists. One kind is enough if the other has no answer."""
    asked = [resolver.aaaa(host)] if ip_version != "4" else []
    asked += [resolver.a(host)] if ip_version != "6" else []
    answers = await asyncio.gather(*asked, return_exceptions=True)
    found: list[Answer[str]] = []
    failure: DnsUnavailable | None = None
    for answer in answers:
        if isinstance(answer, DnsUnavailable):
            failure = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.append(answer)
    in_turn = zip_longest(*(answer.records for answer in found))
    addresses = [address for address in chain.from_iterable(in_turn) if address is not None]
    if failure is not None and not addresses:
        raise _failed("4.4.3", f"Addresses of {host}: {failure.public_text}", host=host)
    return addresses, any(answer.exists for answer in found)


def _literal(domain: str) -> str:
    """Give the address of ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]``. Spec: RFC 5321 §4.1.3."""
    text = domain.strip("[]")
    is_ipv6 = text.lower().startswith("ipv6:")
    text = text[5:] if is_ipv6 else text
    if not is_address(text) or isinstance(ip_address(text), IPv6Address) != is_ipv6:
        raise _failed("5.1.2", f"{domain} is not an address literal", is_permanent=True)
    return text


def is_address(text: str) -> bool:
    """Whether a host is given by its IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _failed(enhanced: str, text: str, *, code: int = 0, host: str = "", is_permanent: bool = False) -> RelayFailed:
    return RelayFailed(RemoteReply(code, enhanced, text, host, is_permanent=is_permanent))
