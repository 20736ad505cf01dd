"""Who looks at a machine before anything is set up on it."""

from __future__ import annotations

from mailstead.config.settings import Settings
from mailstead.net.dns import DnsResolver
from mailstead.net.machine import ThisMachine
from mailstead.ports.clock import SystemClock
from mailstead.usecases.network_checks import NetworkChecks
from mailstead.usecases.preflight import Preflight, PreflightTerms
from mailstead.wiring.doctor import make_probes


def make_preflight(
    settings: Settings, hostname: str, addresses: tuple[str, ...], port_25_target: str, dns_blocklists: tuple[str, ...]
) -> Preflight:
    """Give who looks at the machine that `settings` are for."""
    return Preflight(
        ThisMachine(settings.server.data_dir),
        NetworkChecks(DnsResolver(settings.dns, SystemClock()), make_probes(settings)),
        PreflightTerms(hostname, addresses, served_ports(settings), port_25_target, dns_blocklists),
    )


def served_ports(settings: Settings) -> tuple[int, ...]:
    """Give the TCP ports that strangers are to reach: those that the chosen services listen on, loopback aside."""
    from mailstead.net.endpoint import Endpoint
    from mailstead.wiring.offers import listening

    places = [each.where for each in listening(settings)]
    if "web" in settings.server.services:
        places += settings.web.listen_shared
    endpoints = [Endpoint.parse(where) for where in places]
    loopback = ("localhost", "::1", "127.")
    return tuple(sorted({each.port for each in endpoints if each.port and not each.host.startswith(loopback)}))
