"""Which IP addresses belong to the public Internet; and host names that are addresses in disguise.

Spec: RFC 6890 (special-purpose registries); RFC 4291 §2.5.5 (IPv4 within IPv6); RFC 6052 §2.1 (NAT64); RFC 3056 (6to4);
RFC 4380 (Teredo).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# What the standard library of some Python versions takes for global.
_SPECIAL_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays, given up
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All that has been given out so far; whatever lies outside is local, multicast, or has another meaning."""
_SPECIAL_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_6TO4: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether packets to an IP address leave for the public Internet; False for a text that is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_ipv4(ip) if isinstance(ip, IPv4Address) else _is_public_ipv6(ip)


def _is_public_ipv4(ip: IPv4Address) -> bool:
    return ip.is_global and not any(ip in network for network in _SPECIAL_IPV4)


def _is_public_ipv6(ip: IPv6Address) -> bool:
    """An address that holds an IPv4 address is as public as that one."""
    if ip.scope_id is not None:
        return False
    if ip.ipv4_mapped is not None:
        return _is_public_ipv4(ip.ipv4_mapped)
    if ip in _NAT64:
        return _is_public_ipv4(IPv4Address(ip.packed[12:]))
    if ip in _6TO4:
        return _is_public_ipv4(IPv4Address(ip.packed[2:6]))
    return ip in _GLOBAL_UNICAST and ip.is_global and not any(ip in network for network in _SPECIAL_IPV6)


#   The last label is a number, decimal, octal or hexadecimal: inet_aton and browsers read such a host as an address.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE | re.DOTALL)


def is_disguised(host: str) -> bool:
    """Whether a host looks like a name, but some would read it as an address.

    Such are ``2130706433``, ``0x7f.1`` and ``0177.0.0.1``; four plain decimal numbers are no disguise. As no top-level
    domain is a number, there is nothing to lose.
    """
    if not _ENDS_IN_NUMBER.fullmatch(host):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
