"""Mail to others over SMTP: finds the servers of a destination and opens a session with the first that will talk.

Theory of operation. The hosts come from `routes`, what each of them needs from `security`; their addresses are tried
one after the other, by `opening`, in the manners that the protection allows. Each refusal is kept, and if nobody will
talk the most telling one is given. Addresses that could not be reached lately are tried last, so that a dead first host
costs its time limit once and not for every session. What was learned about TLS is noted for TLS-RPT, once per
connection.

Spec: RFC 5321 §5.1; RFC 8460 §4.3.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from random import Random, SystemRandom
from typing import Final

from mailstead.config.settings import Relay as RelaySettings
from mailstead.mailauth.mta_sts import MtaSts, Policy
from mailstead.mailauth.tlsrpt import TlsOutcome, TlsOutcomes
from mailstead.model.errors import TryAgainLater
from mailstead.model.queue import Destination, DestinationKind, RemoteReply
from mailstead.net.outbound.conversation import TimeLimits
from mailstead.net.outbound.mxdeliv import MxdelivSession, SmtpHosts, SmtpSearch
from mailstead.net.outbound.opening import Opener, Target
from mailstead.net.outbound.routes import Route, addresses_of, route_of_domain
from mailstead.net.outbound.security import (
    CLEAR_DOMAINS,
    HostRefused,
    Manner,
    Protection,
    TlsRefused,
    has_no_certificate,
    protection_of_host,
    protection_of_smarthost,
)
from mailstead.net.outbound.session import SmtpSession
from mailstead.ports.clock import Clock
from mailstead.ports.relay import RelayFailed, RelaySession, RelayTerms, Smarthost
from mailstead.ports.resolver import Resolver
from mailstead.ports.web import WebClient

ADDRESSES_MAX: Final = 20
"""How many addresses of one destination are tried."""

UNREACHED_REMEMBERED_S: Final = 300.0
UNREACHED_REMEMBERED_MAX: Final = 10_000


@dataclass(slots=True)
class _Attempt:
    """One search for a server that will talk."""

    destination: Destination
    terms: RelayTerms
    started_s: float
    route: Route
    port: int
    smarthost: Smarthost | None = None
    policy: Policy | None = None
    tried_count: int = 0
    refusals: list[HostRefused] = field(default_factory=list)
    postponed: list[Target] = field(default_factory=list)
    """Addresses that are tried last."""


class SmtpRelay:
    """Implements `ports.relay.Relay`."""

    def __init__(
        self,
        resolver: Resolver,
        mta_sts: MtaSts,
        outcomes: TlsOutcomes,
        hostname: str,
        settings: RelaySettings,
        clock: Clock,
        *,
        limits: TimeLimits | None = None,
        chance: Random | None = None,
        web: WebClient | None = None,
    ) -> None:
        """Without `web` nothing goes over HTTPS."""
        self._resolver = resolver
        self._mta_sts = mta_sts
        self._outcomes = outcomes
        self._hostname = hostname
        self._settings = settings
        self._clock = clock
        self._limits = limits or TimeLimits()
        self._chance = chance or SystemRandom()
        self._opener = Opener(hostname, settings.ca_file, self._limits)
        self._unreached: OrderedDict[str, float] = OrderedDict()
        self._web = web
        self._smtp_hosts = SmtpHosts(clock)

    async def open(self, destination: Destination, terms: RelayTerms) -> RelaySession:
        """Connect to a DOMAIN, HOST or SMARTHOST destination, or make ready to post to it.

        Spec: RFC 5321 §5.1; reference chatmail, section 5.8.
        Errors: RelayFailed, permanent only if every host has said so.
        """
        if self._posts_to(destination, terms) and self._web is not None:
            route = await route_of_domain(destination.name, self._resolver, self._hostname, self._chance)
            if any(host not in self._smtp_hosts for host in route.hosts):
                return MxdelivSession(
                    self._web,
                    route.hosts,
                    self._settings.https_port,
                    partial(self._begin_search, destination, terms),
                    self._smtp_hosts,
                    verifies=not has_no_certificate(destination.name),
                )
        return await self._open_smtp(destination, terms)

    def _posts_to(self, destination: Destination, terms: RelayTerms) -> bool:
        is_domain = destination.kind is DestinationKind.DOMAIN and destination.name not in CLEAR_DOMAINS
        return is_domain and terms.uses_mxdeliv and not terms.require_tls

    async def _open_smtp(self, destination: Destination, terms: RelayTerms) -> SmtpSession:
        attempt = await self._begin(destination, terms)
        for host in attempt.route.hosts:
            if (session := await self._open_at(attempt, host)) is not None:
                return session
        return await self._open_last(attempt)

    async def _begin_search(self, destination: Destination, terms: RelayTerms) -> SmtpSearch:
        attempt = await self._begin(destination, terms)
        return SmtpSearch(partial(self._open_at, attempt), partial(self._open_last, attempt))

    async def _open_at(self, attempt: _Attempt, host: str) -> SmtpSession | None:
        """Try the addresses of one host; those that were unreached lately are left for the end."""
        for target in await self._targets(attempt, host):
            if self._was_unreached(target.address):
                attempt.postponed.append(target)
            elif (session := await self._try_target(attempt, target)) is not None:
                return session
        return None

    async def _open_last(self, attempt: _Attempt) -> SmtpSession:
        """Errors: RelayFailed."""
        for target in attempt.postponed:
            if (session := await self._try_target(attempt, target)) is not None:
                return session
        raise RelayFailed(_most_telling(attempt.refusals))

    # --- whom to try

    async def _begin(self, destination: Destination, terms: RelayTerms) -> _Attempt:
        """Find the hosts, and what the domain promises about them. Errors: RelayFailed."""
        started_s = self._clock.monotonic_s()
        if destination.kind is DestinationKind.SMARTHOST:
            smarthost = terms.smarthost or self._house_smarthost(destination)
            route = Route((smarthost.host,), is_authentic=True)
            return _Attempt(destination, terms, started_s, route, smarthost.port, smarthost)
        if destination.kind is DestinationKind.HOST:
            route = Route((destination.name,), is_authentic=True)
            return _Attempt(destination, terms, started_s, route, destination.port)
        route = await route_of_domain(destination.name, self._resolver, self._hostname, self._chance)
        attempt = _Attempt(destination, terms, started_s, route, self._settings.port)
        await self._look_up_policy(attempt)
        return attempt

    async def _targets(self, attempt: _Attempt, host: str) -> list[Target]:
        """Give the addresses of a host with what it needs; none, and a refusal more, if it cannot be tried at all."""
        terms, settings = attempt.terms, self._settings
        ip_version = terms.ip_version if terms.ip_version != "auto" else settings.ip_version
        # A smarthost is chosen by an administrator of ours, and often stands in the same network.
        allows_private = settings.allows_private_addresses or attempt.smarthost is not None
        try:
            if attempt.smarthost is not None:
                protection = protection_of_smarthost(attempt.smarthost, terms)
            else:
                protection = await self._protection(attempt, host)
            addresses = await addresses_of(host, self._resolver, ip_version, allows_private=allows_private)
        except RelayFailed as failure:
            attempt.refusals.append(HostRefused(failure.reply))
            return []
        except HostRefused as refusal:
            attempt.refusals.append(refusal)
            return []
        sources = {4: terms.source_ipv4 or settings.source_ipv4, 6: terms.source_ipv6 or settings.source_ipv6}
        return [
            Target(host, address, attempt.port, protection, sources[ip_address(address).version], attempt.smarthost)
            for address in addresses
        ]

    async def _protection(self, attempt: _Attempt, host: str) -> Protection:
        """Errors: TlsRefused, noted already."""
        policy = attempt.policy
        try:
            return await protection_of_host(
                host,
                attempt.port,
                self._resolver,
                attempt.terms,
                next_hop=attempt.destination.name,
                is_authentic=attempt.route.is_authentic,
                policy=policy,
            )
        except TlsRefused as refusal:
            is_dane = refusal.result_type == "dnssec-invalid"
            lines = policy.lines if policy is not None and not is_dane else ()
            unusable = Protection((), "tlsa" if is_dane else "sts", tuple(lines))
            self._note(attempt, Target(host, "", attempt.port, unusable), refusal)
            raise

    async def _look_up_policy(self, attempt: _Attempt) -> None:
        """Fetch the MTA-STS policy of the domain.

        Spec: RFC 8461 §5; §3.3 (that none can be fetched is no reason to wait).
        Errors: RelayFailed, temporary: our own memory of policies cannot be read, and there may be one.
        """
        domain, terms = attempt.destination.name, attempt.terms
        if domain.startswith("[") or (terms.requires_verified_tls and not terms.require_tls):
            return  # where everybody must have a certificate, no policy can ask for more
        if terms.tls_optional and not terms.require_tls:
            return
        try:
            result = await self._mta_sts.policy_for(domain)
        except TryAgainLater as error:
            raise RelayFailed(RemoteReply(0, "4.3.0", f"MTA-STS policy of {domain}: {error.public_text}")) from None
        attempt.policy = result.policy
        if result.failure:
            lines = result.policy.lines if result.policy is not None else ()
            self._outcomes.note(TlsOutcome(domain, "sts", tuple(lines), "", "", "", result.failure, ""))

    def _house_smarthost(self, destination: Destination) -> Smarthost:
        """The relay of the settings, for a destination that names it. The log-in is never said to another host."""
        settings = self._settings
        if settings.smarthost != f"{destination.name}:{destination.port}":
            return Smarthost(destination.name, destination.port)
        return Smarthost(
            destination.name,
            destination.port,
            settings.smarthost_username,
            settings.smarthost_password,
            settings.smarthost_security,
        )

    # --- trying

    async def _try_target(self, attempt: _Attempt, target: Target) -> SmtpSession | None:
        """Try one address, unless that was enough already; a refusal is kept."""
        is_late = self._clock.monotonic_s() - attempt.started_s > self._limits.opening_s
        if attempt.refusals and (is_late or attempt.tried_count >= ADDRESSES_MAX):
            return None
        attempt.tried_count += 1
        try:
            return await self._open_target(attempt, target)
        except HostRefused as refusal:
            attempt.refusals.append(refusal)
            if refusal.is_unreached:
                self._note_unreached(target.address)
            return None

    async def _open_target(self, attempt: _Attempt, target: Target) -> SmtpSession:
        """Try one address in the manners that its protection allows; the first of them is what is noted.

        Errors: HostRefused.
        """
        manners = target.protection.manners
        first_refusal: TlsRefused | None = None
        for manner in manners:
            try:
                opened = await self._opener.open(target, manner, may_be_clear=Manner.CLEAR in manners)
            except TlsRefused as refusal:
                if first_refusal is None:
                    first_refusal = refusal
                    self._note(attempt, target, refusal, refusal.sending_address)
                continue
            if first_refusal is None and manner is not Manner.CLEAR:
                self._note(attempt, target, opened.tls_refusal, opened.sending_address)
            return opened.session
        assert first_refusal is not None
        raise first_refusal

    def _note(self, attempt: _Attempt, target: Target, refusal: TlsRefused | None, sending_address: str = "") -> None:
        """Note for TLS-RPT what a connection has shown; only domains have such reports. Spec: RFC 8460 §4.3."""
        if attempt.destination.kind is not DestinationKind.DOMAIN or attempt.destination.name.startswith("["):
            return
        self._outcomes.note(
            TlsOutcome(
                domain=attempt.destination.name,
                policy_type=target.protection.policy_type,
                policy_lines=target.protection.policy_lines,
                mx_host=target.host,
                receiving_ip=target.address,
                sending_ip=sending_address,
                result_type=refusal.result_type if refusal is not None else "success",
                detail=refusal.reply.text if refusal is not None else "",
            )
        )

    # --- memory of what could not be reached

    def _was_unreached(self, address: str) -> bool:
        at_s = self._unreached.get(address)
        return at_s is not None and self._clock.monotonic_s() - at_s < UNREACHED_REMEMBERED_S

    def _note_unreached(self, address: str) -> None:
        self._unreached.pop(address, None)
        self._unreached[address] = self._clock.monotonic_s()
        if len(self._unreached) > UNREACHED_REMEMBERED_MAX:
            self._unreached.popitem(last=False)


def _most_telling(refusals: list[HostRefused]) -> RemoteReply:
    """Choose the refusal that the author or an administrator should read.

    As long as one is temporary, so is the whole. What a server has said, or its TLS, tells more than that nobody was
    there.
    """
    replies = [refusal.reply for refusal in refusals]
    replies = [reply for reply in replies if not reply.is_permanent] or replies

    def rank(reply: RemoteReply) -> int:
        if reply.enhanced[2:].startswith("7."):
            return 0
        return 1 if reply.code else 2 if reply.address else 3

    return min(replies, key=rank)
