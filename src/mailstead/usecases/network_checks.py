"""How the network sees this machine: whether mail may leave it, by which name and reputation others know it.

Asked are the resolver, and whoever is named; nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from mailstead.mailauth import iprev
from mailstead.model.authentication import Result
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.probes import ProbeFailed, Probes
from mailstead.ports.resolver import Resolver


class NetworkChecks:
    """Each gives one finding, and raises nothing."""

    def __init__(self, resolver: Resolver, probes: Probes) -> None:
        self._resolver = resolver
        self._probes = probes

    async def port_25(self, target: str) -> Diagnosis:
        """Whether mail may leave, tried at a mail exchanger (``host`` or ``host:port``); empty: nobody is asked."""
        name = "port 25 outward"
        if not target:
            advice = "Set doctor.port_25_target to a mail exchanger that you may ask, and it is tried."
            return Diagnosis(name, Health.SKIPPED, "no server is named to try it at", "", advice)
        host, port = _host_and_port(target)
        advice = "Many providers close it: ask yours to open it, or send through a relay (relay.smarthost)."
        try:
            greeting = await self._probes.port_25(host, port)
        except ProbeFailed as error:
            return Diagnosis(name, Health.ERROR, f"{target}: {error}", "greets with 220", advice)
        if not greeting.startswith("220"):
            return Diagnosis(name, Health.WARNING, f"{target}: {greeting[:100]!a}", "greets with 220", advice)
        return Diagnosis(name, Health.OK, f"{target} answers")

    async def reverse_name(self, address: str, hostname: str) -> Diagnosis:
        """Whether forward and reverse names of an address agree. Spec: RFC 8601 §3 (iprev)."""
        name = f"reverse name {address}"
        expected = f"{address} <-> {hostname}"
        advice = f"Ask your hosting provider to set the reverse name (PTR) of {address} to {hostname}."
        found = await iprev.check(self._resolver, address)
        if found.result is Result.PASS and found.name == hostname:
            return Diagnosis(name, Health.OK, expected)
        if found.result is Result.PASS:
            return Diagnosis(name, Health.WARNING, f"{address} <-> {found.name}", expected, advice)
        if found.result is Result.TEMPERROR:
            advice = "See what is said about the resolver."
            return Diagnosis(name, Health.WARNING, "the DNS does not answer", expected, advice)
        said = "there is none" if found.result is Result.PERMERROR else "it leads to another address"
        return Diagnosis(name, Health.ERROR, said, expected, f"{advice} Many refuse mail until then.")

    async def blocklists(self, addresses: Sequence[str], lists: Sequence[str]) -> Diagnosis:
        """Whether our own addresses are on the lists that we ask about others. Spec: RFC 5782 §2."""
        zones = [entry.partition("=")[0].strip().strip(".") for entry in lists]
        if not zones:
            return Diagnosis("block lists", Health.SKIPPED, "none is set (policy.dns_blocklists)")
        if not addresses:
            return Diagnosis("block lists", Health.SKIPPED, "this machine does not know its public address")
        listed: list[str] = []
        silent: list[str] = []
        for address in addresses:
            reverse = ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
            for zone in zones:
                try:
                    answer = await self._resolver.a(f"{reverse}.{zone}")
                except DnsUnavailable:
                    silent.append(zone)
                    continue
                # RFC 5782 §2.1: an entry is an address of 127.0.0.0/8; others are error messages.
                if any(each.startswith("127.") and not each.startswith("127.255.255.") for each in answer.records):
                    listed.append(f"{address} on {zone}")
        if listed:
            advice = "See the list's own page why, end the cause, then ask to be taken off."
            return Diagnosis("block lists", Health.ERROR, ", ".join(listed), "on none", advice)
        if silent:
            found = f"{', '.join(dict.fromkeys(silent))} did not answer"
            return Diagnosis("block lists", Health.WARNING, found, "on none", "Try again later, or remove the list.")
        return Diagnosis("block lists", Health.OK, f"on none of {', '.join(zones)}")


def _host_and_port(target: str) -> tuple[str, int]:
    host, colon, port = target.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return target.strip("[]"), 25
