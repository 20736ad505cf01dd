"""The gateway that a container has on its machine's bridge: as a client, it stands for somebody whom we cannot see.

Strangers come through a bridge with their own address. Where something on the machine passes them on (Docker's proxy
for IPv6, rootless engines), they all come from the gateway, which by itself never sends mail. Spec: attack row 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

_HAS_GATEWAY: Final = 0x2
"""RTF_GATEWAY of Linux's route.h."""
_IPV4_FIELDS: Final = 4
_IPV6_FIELDS: Final = 10


def bridge_gateways(proc: Path = Path("/proc"), system: Path = Path("/sys")) -> frozenset[str]:
    """Give the default gateways that are reached through one end of a pair whose other end is on the machine.

    That is what containers have. On a machine's own network, and in a container that uses it, there are none.
    """
    return frozenset(gateway for device, gateway in _default_routes(proc) if _is_pair(system / "class/net" / device))


def _default_routes(proc: Path) -> Iterator[tuple[str, str]]:
    """Give device and gateway of each default route. A table that is not there (IPv6 switched off) has none."""
    with suppress(OSError):
        for line in (proc / "net/route").read_text().splitlines()[1:]:
            device, target, gateway, flags = line.split()[:_IPV4_FIELDS]
            if not int(target, 16) and int(flags, 16) & _HAS_GATEWAY:
                yield device, str(IPv4Address(bytes.fromhex(gateway)[::-1]))
    with suppress(OSError):
        for line in (proc / "net/ipv6_route").read_text().splitlines():
            target, length, _, _, gateway, _, _, _, flags, device = line.split()[:_IPV6_FIELDS]
            if not int(target, 16) and not int(length, 16) and int(flags, 16) & _HAS_GATEWAY:
                yield device, str(IPv6Address(bytes.fromhex(gateway)))


def _is_pair(device: Path) -> bool:
    """Whether a network device is one end of a pair (veth); VLANs and macvlans say what they are."""
    try:
        number, other = (int((device / name).read_text()) for name in ("ifindex", "iflink"))
        kind = (device / "uevent").read_text()
    except (OSError, ValueError):
        return False
    return number != other and "DEVTYPE=" not in kind
