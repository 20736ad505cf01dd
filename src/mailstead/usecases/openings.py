"""Opening accounts: somebody logs in with a name that nobody has, in a domain where that makes an account.

Spec: reference chatmail, section 4.1; attack row 101.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Domain, Verifier
from mailstead.model.envelope import Peer
from mailstead.model.errors import AddressTaken, AuthenticationFailed, MailsteadError, PolicyRefused, TryAgainLater
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.secret import Secret
from mailstead.model.verdict import Decision
from mailstead.policy.openings import TEST_PREFIX, HouseFacts, has_room, may_open
from mailstead.policy.rates import Rates
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.passwords import HashCost, Passwords

OPENED_COST: Final = HashCost(iterations=1, memory_kib=8 * 1024)
"""6.5 ms with the SCRAM keys, where `passwords.MAIN_COST` and its 60,000 rounds take 50 to 95.

Such passwords are made by programs: nine and more characters of chance, which no guesser finds at any price. With the
store an account costs 25 ms of processor time: 2,000 a minute in one process on two busy cores. See docs/adr/0022.
"""
OPENED_SCRAM_ITERATION_COUNT: Final = 4096
"""Spec: RFC 7677 §4, the least."""
_SALT_OCTETS: Final = 16
_HOUR_S: Final = 3600.0
_MEMORY_FILE: Final = Path("/proc/meminfo")

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class OpeningTerms:
    """What holds for all domains of the server."""

    data_dir: Path
    closed_file: str = ""
    """While this file exists, nobody opens an account."""
    per_prefix_hour_max: int = 0
    """Accounts opened from one IPv4 /24 or IPv6 /48 in an hour, by process; 0: any number.

    Each connection counts, also those that find the account which another one of the same client is just opening.
    """
    quota_octets: int | None = None


class Openings:
    """Opens accounts. Of several log-ins at once with one new name, one opens it and the others find it."""

    def __init__(self, storage: Storage, passwords: Passwords, clock: Clock, terms: OpeningTerms) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._passwords = passwords
        self._clock = clock
        self._terms = terms
        self._rates = Rates(_HOUR_S)
        self._making: set[asyncio.Task[tuple[Account, Verifier] | None]] = set()

    async def close(self) -> None:
        """Wait for accounts that are being made."""
        await asyncio.gather(*self._making, return_exceptions=True)

    async def open(self, username: str, password: Secret, peer: Peer) -> tuple[Account, Verifier] | None:
        """Open the account of that name; None: its domain opens none, or somebody else was quicker.

        Errors: AuthenticationFailed with the reason, where name or password cannot be had, or none are opened;
        TryAgainLater where there is no room now, or too many come from one network; of the store.
        """
        domain, address = await self._domain_of(username)
        if domain is None or address is None or not domain.terms.opens_accounts:
            return None
        verdict = may_open(domain.terms, address, password)
        if verdict.decision is not Decision.ALLOW:
            self._reject(verdict.reasons[0], domain, peer)
            raise AuthenticationFailed(verdict.reasons[0])
        if await self._directory.find(address) is not None:
            return None  # an alias, or an account that is switched off: nobody logs in to that
        await self.check_room(domain, peer)
        # A client that hangs up meanwhile must not leave half an account.
        making = asyncio.create_task(self._make(domain, address, password))
        self._making.add(making)
        making.add_done_callback(self._making.discard)
        return await asyncio.shield(making)

    async def check_room(self, domain: Domain, peer: Peer | None = None) -> None:
        """Check that an account could be opened now. Errors: as of `open`."""
        verdict = has_room(domain.terms, await asyncio.to_thread(self._facts))
        if verdict.decision is not Decision.ALLOW:
            self._reject(verdict.reasons[0], domain, peer)
        if verdict.decision is Decision.REFUSE:
            raise AuthenticationFailed(verdict.reasons[0])
        if verdict.decision is not Decision.ALLOW:
            raise TryAgainLater("This server has no room for new accounts just now; please try again later")
        limit = self._terms.per_prefix_hour_max
        if peer is not None and limit and self._rates.count(prefix_of(peer.address), self._clock.monotonic_s()) > limit:
            self._reject("too many from one network", domain, peer)
            raise TryAgainLater("Too many new accounts from your network; please try again later")

    async def _domain_of(self, username: str) -> tuple[Domain | None, Address | None]:
        try:
            address = Address.parse(username.lower())
        except MailsteadError:
            domain_name = username.lower().rpartition("@")[2]
            domain = await self._directory.domain(domain_name)
            if domain is not None and domain.terms.opens_accounts:
                raise AuthenticationFailed("A name here has only the characters a-z 0-9 . _ -") from None
            return None, None
        return await self._directory.domain(address.domain), address

    async def _make(self, domain: Domain, address: Address, password: Secret) -> tuple[Account, Verifier] | None:
        salt = secrets.token_bytes(_SALT_OCTETS)
        try:
            verifier = await self._passwords.make_verifier(password, salt, OPENED_SCRAM_ITERATION_COUNT, OPENED_COST)
        except PolicyRefused as error:
            raise AuthenticationFailed(error.public_text) from None
        quota_octets = domain.terms.account_quota_octets or self._terms.quota_octets
        account = Account(AccountId(secrets.token_hex(8)), address, quota_octets)
        try:
            await self._storage.accounts.create(account.account_id, DEFAULT_MAILBOXES, quota_octets)
            await self._directory.add_account(account, salt, OPENED_SCRAM_ITERATION_COUNT, verifier)
        except MailsteadError as error:
            if await self._directory.account(account.account_id) is None:
                await self._storage.accounts.delete(account.account_id)
            if isinstance(error, AddressTaken):
                return None
            raise
        metrics.OPENINGS.labels("opened").inc()
        is_test = address.local_part.startswith(TEST_PREFIX)
        metrics.count_as_relay("created_accounts", "created_ci_accounts" if is_test else "created_nonci_accounts")
        _log.info("account opened", account_id=account.account_id, domain=domain.name)
        return account, verifier

    def _facts(self) -> HouseFacts:
        terms = self._terms
        load = memory = disk = None
        with suppress(OSError):
            load = os.getloadavg()[0]
        with suppress(OSError, ValueError, IndexError):
            lines = _MEMORY_FILE.read_text("ascii").splitlines()
            memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        with suppress(OSError):
            disk = shutil.disk_usage(terms.data_dir).free
        is_closed = False
        with suppress(OSError):
            is_closed = bool(terms.closed_file) and Path(terms.closed_file).exists()
        return HouseFacts(is_closed, load, memory, disk)

    def _reject(self, reason: str, domain: Domain, peer: Peer | None) -> None:
        metrics.OPENINGS.labels("rejected").inc()
        metrics.count_as_relay("rejected_registrations")
        facts = {} if peer is None or domain.terms.hides_metadata else {"prefix": prefix_of(peer.address)}
        _log.info("registration rejected", reason=reason, domain=domain.name, **facts)


def scram_iteration_count_of(domain: Domain | None, usual: int) -> int:
    """Give what accounts of a domain have, and what unknown names must show, too (attack row 62)."""
    return OPENED_SCRAM_ITERATION_COUNT if domain is not None and domain.terms.opens_accounts else usual


def prefix_of(address: str) -> str:
    """Give the network that one customer has, as a rule: an IPv4 /24, an IPv6 /48."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))
