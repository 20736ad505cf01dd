"""Before a set-up: can this machine be a mail server, and what would be in the way? Nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.ports.machine import Machine, MachineFacts
from mailstead.usecases.network_checks import NetworkChecks

MIB: Final = 2**20
GIB: Final = 2**30
MEMORY_OCTETS_MIN: Final = 240 * MIB
"""Below it nothing starts reliably (a machine of 256 MiB tells a little less)."""
MEMORY_OCTETS_GOOD: Final = 480 * MIB
DISK_OCTETS_MIN: Final = GIB
DISK_OCTETS_GOOD: Final = 10 * GIB
ARCHITECTURES: Final = ("x86_64", "amd64", "aarch64", "arm64")


@dataclass(frozen=True, slots=True)
class PreflightTerms:
    """What is to be set up."""

    hostname: str
    addresses: tuple[str, ...]
    """Public addresses of the machine."""
    ports: tuple[int, ...]
    """That the services will listen on."""
    port_25_target: str
    dns_blocklists: tuple[str, ...]


class Preflight:
    """Looks at a machine for the one who is about to set up."""

    def __init__(self, machine: Machine, network: NetworkChecks, terms: PreflightTerms) -> None:
        self._machine = machine
        self._network = network
        self._terms = terms

    async def examine(self) -> list[Diagnosis]:
        """Look at everything; errors are told as findings."""
        terms, network = self._terms, self._network
        checks = (
            self._ports(),
            network.port_25(terms.port_25_target),
            network.blocklists(terms.addresses, terms.dns_blocklists),
            *(network.reverse_name(address, terms.hostname) for address in terms.addresses),
        )
        facts, (ports, outward, listed, *names) = await asyncio.gather(self._machine.facts(), asyncio.gather(*checks))
        return [*_of_machine(facts), ports, outward, _addresses(terms.addresses), *names, listed]

    async def _ports(self) -> Diagnosis:
        name, wanted = "ports", self._terms.ports
        if not wanted:
            return Diagnosis(name, Health.SKIPPED, "no service listens for others")
        expected = f"{', '.join(map(str, wanted))} are free"
        taken = await self._machine.taken_ports(wanted)
        if not taken:
            return Diagnosis(name, Health.OK, expected)
        if any(line.startswith(f"220 {self._terms.hostname} ") for line in taken.values()):
            return Diagnosis(name, Health.OK, f"{self._terms.hostname} answers on them already, from an earlier set-up")
        found = ", ".join(f"{port} ({ascii(line[:60])[1:-1]})" if line else str(port) for port, line in taken.items())
        advice = "Stop what listens there (`ss -tlnp` shows it), or leave the service out (server.services)."
        return Diagnosis(name, Health.ERROR, f"something listens on {found} already", expected, advice)


def _of_machine(facts: MachineFacts) -> Sequence[Diagnosis]:
    is_known = facts.architecture.lower() in ARCHITECTURES
    cpu = Diagnosis(
        "cpu",
        Health.OK if is_known else Health.WARNING,
        f"{facts.cpu_count} x {facts.architecture}",
        "" if is_known else "x86_64 or aarch64",
        "" if is_known else "There are images and wheels for x86_64 and aarch64 only; others are built by hand.",
    )
    memory = facts.memory_octets
    return (
        cpu,
        _sized("memory", memory, MEMORY_OCTETS_MIN, MEMORY_OCTETS_GOOD, "Take a machine with 512 MiB or more.")
        if memory
        else Diagnosis("memory", Health.SKIPPED, "the system does not tell"),
        _sized(
            "disk",
            facts.disk_free_octets,
            DISK_OCTETS_MIN,
            DISK_OCTETS_GOOD,
            "All mail lies on this disk: make room, or take a larger one.",
        ),
    )


def _sized(name: str, octets: int, least: int, good: int, advice: str) -> Diagnosis:
    free = " free" if name == "disk" else ""
    found = f"{octets / GIB:.1f} GiB{free}"
    if octets >= good:
        return Diagnosis(name, Health.OK, found)
    status = Health.WARNING if octets >= least else Health.ERROR
    return Diagnosis(name, status, found, f"{good / GIB:.1f} GiB{free} or more", advice)


def _addresses(addresses: Sequence[str]) -> Diagnosis:
    name = "addresses"
    if not addresses:
        advice = (
            "Behind NAT, name the public address (--address) and let the router send the ports here; without one, no "
            "mail can come."
        )
        return Diagnosis(name, Health.ERROR, "this machine has no public address", "a public IPv4 address", advice)
    if not any(ip_address(address).version == 4 for address in addresses):
        advice = "Many servers send mail by IPv4 only: get an IPv4 address, too."
        return Diagnosis(name, Health.WARNING, ", ".join(addresses), "a public IPv4 address", advice)
    return Diagnosis(name, Health.OK, ", ".join(addresses))
