"""iprev: whether the name of a client's address leads back to that address.

Spec: RFC 8601 §3.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from mailstead.model.authentication import IprevResult, Result
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Resolver

NAMES_MAX: Final = 10
"""Whoever owns the address chooses the names; so many are looked up."""


async def check(resolver: Resolver, client_address: str) -> IprevResult:
    """Look the client's names up, and their addresses.

    Spec: RFC 8601 §3; §2.7.3 (permerror: there is no name at all).
    """
    client = client_ip(client_address)
    if client is None:
        return IprevResult(Result.NONE)
    told = str(client)
    try:
        names = (await resolver.ptr(told)).records[:NAMES_MAX]
    except DnsUnavailable:
        return IprevResult(Result.TEMPERROR, address=told)
    if not names:
        return IprevResult(Result.PERMERROR, address=told)
    result = Result.FAIL
    for name in names:
        try:
            if await leads_to(resolver, name, client):
                return IprevResult(Result.PASS, name, told)
        except DnsUnavailable:
            result = Result.TEMPERROR
    return IprevResult(result, address=told)


address_of: Final = lru_cache(maxsize=4096)(ip_address)
"""Those that send mail send more of it, and each is read several times for each message."""


def client_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Read a client's address; one of IPv4 inside IPv6 is IPv4. None if it is no address.

    Spec: RFC 7208 §5 (IPv4-mapped), RFC 4291 §2.5.5.2.
    """
    try:
        address = address_of(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


async def leads_to(resolver: Resolver, name: str, client: IPv4Address | IPv6Address) -> bool:
    """Whether a name has the client's address among its own of that kind. Errors: DnsUnavailable."""
    ask = resolver.a if client.version == 4 else resolver.aaaa
    return any(address_of(address) == client for address in (await ask(name)).records)
