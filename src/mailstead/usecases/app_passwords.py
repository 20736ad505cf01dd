"""What an app password may be used for, until when and from where; and the day of its last use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from ipaddress import ip_address, ip_network
from typing import Final

from mailstead.model.directory import AppPassword
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Directory
from mailstead.telemetry import log
from mailstead.usecases.audit import Audit

SERVICES: Final = frozenset({"imap", "smtp", "pop3", "sieve", "dav", "api"})
"""What an app password may be limited to. The web is none of it: people log in there."""
LABEL_CHARACTERS_MAX: Final = 100
TOLD_MAX: Final = 10_000
"""Refused mail programs remembered as told of, so that each is told of once a day."""
NETWORKS_MAX: Final = 20

_log = log.get("accounts")


def checked_label(label: str) -> str:
    """Errors: PolicyRefused."""
    if not label.strip() or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        raise PolicyRefused(f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters")
    return label


def checked_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Errors: PolicyRefused."""
    if not scopes <= SERVICES:
        raise PolicyRefused(f"Scopes are among {', '.join(sorted(SERVICES))}")
    return scopes


def checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Give networks in their normal form; an address alone is a network of one. Errors: PolicyRefused."""
    if len(networks) > NETWORKS_MAX:
        raise PolicyRefused(f"There can be {NETWORKS_MAX} networks")
    try:
        return tuple(dict.fromkeys(str(ip_network(text.strip(), strict=False)) for text in networks))
    except ValueError:
        raise PolicyRefused("A network is written 192.0.2.0/24 or 2001:db8::/32") from None


def checked_end(expires_at: datetime | None, now: datetime) -> datetime | None:
    """Errors: PolicyRefused for a moment that is over."""
    if expires_at is not None and expires_at <= now:
        raise PolicyRefused("It would run out before it was used")
    return expires_at


def refusal(app_password: AppPassword, peer: Peer, service: str, now: datetime) -> str:
    """Give why an app password that is right is not taken; empty: it is."""
    if service not in SERVICES or (app_password.scopes and service not in app_password.scopes):
        return "app password for another service"
    if app_password.expires_at is not None and now >= app_password.expires_at:
        return "app password has run out"
    if app_password.networks and not is_within(peer.address, app_password.networks):
        return "app password from another network"
    return ""


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an IP address (an IPv4 one inside IPv6 as IPv4) is in one of the networks."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in ip_network(network) for network in networks)


class AppPasswordUses:
    """Notes the day of the last use: once a day and password by each process, behind the log-in."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._noted: set[int] = set()
        self._noted_on: date | None = None
        self._waiting: set[int] = set()
        self._writing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Write what still waits."""
        while self._writing is not None and not self._writing.done():
            await asyncio.gather(self._writing, return_exceptions=True)

    def note(self, app_password: AppPassword) -> None:
        """Note a use. Fails never."""
        today, number = self._clock.now().date(), app_password.app_password_id
        if self._noted_on != today:
            self._noted.clear()
            self._noted_on = today
        if number in self._noted or app_password.last_used_on == today.isoformat():
            return
        self._noted.add(number)
        self._waiting.add(number)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:  # what comes meanwhile is written together
            numbers, self._waiting = self._waiting, set()
            day = self._clock.now().date().isoformat()
            try:
                await self._directory.note_app_password_use(sorted(numbers), day)
            except MailsteadError as error:
                self._noted -= numbers  # the next log-in tries again
                _log.warning("uses of app passwords were not noted", error=error.public_text)


class Refusals:
    """Tells owners why a mail program was refused that had a right password: once a day, protocol and reason."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._told: set[tuple[AccountId | None, str, str]] = set()
        self._told_on: date | None = None

    def tell(self, actor: Actor, peer: Peer, service: str, reason: str) -> None:
        """Note a refusal in the audit log, where the owner reads it."""
        today = self._clock.now().date()
        if self._told_on != today or len(self._told) >= TOLD_MAX:
            self._told_on = today
            self._told.clear()
        told = (actor.account_id, service, reason)
        if told not in self._told and actor.address is not None:
            self._told.add(told)
            key, domain = actor.address.key, actor.address.domain
            self._audit.note(actor, "log-in.refused", key, domain, peer=peer.address, service=service, reason=reason)
