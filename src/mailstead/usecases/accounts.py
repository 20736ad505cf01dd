"""Accounts: log in, create, remove, passwords, forwarding."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from hmac import digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, AppPassword, Credentials, Domain, Target, Verifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AddressTaken,
    AuthenticationFailed,
    BadAddress,
    LimitReached,
    MailsteadError,
    NoSuchAccount,
    NoSuchAddress,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
    TlsTooOld,
    TooManyFailures,
)
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.secret import Secret
from mailstead.model.verdict import Decision
from mailstead.policy.failures import Failures, Judgement
from mailstead.policy.names import may_be_given, without_detail
from mailstead.policy.targets import SAME_LOCAL_PART, distinct
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.openings import Openings, scram_iteration_count_of
from mailstead.usecases.passwords import (
    Passwords,
    fingerprint,
    foreign_verifier,
    is_foreign,
    is_same,
    new_app_password,
)
from mailstead.usecases.revocations import Revocations

SERVICES: Final = frozenset({"imap", "smtp", "pop3", "sieve", "dav"})
"""What a log-in is for, and what an app password may be limited to."""
SCRAM_SALT_OCTETS: Final = 16
SCRAM_ITERATION_COUNT: Final = 60_000
"""Spec: RFC 7677 §4 wants at least 4096. More makes stolen verifiers harder; Cyrus SASL's client takes up to 65536."""
_OLD_TLS: Final = "TLSv1.2"
"""The only version before 1.3 that is spoken at all (`net.tls`)."""
LABEL_CHARACTERS_MAX: Final = 100
FORWARD_TARGETS_MAX: Final = 10
"""Targets that one account may forward to."""

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class ScramLookup:
    """What SCRAM needs to know of a user, existing or not; goes back to `Accounts.scram_finish`."""

    salt: bytes
    iteration_count: int
    verifiers: tuple[Verifier, ...] = field(repr=False)
    username: str
    peer: Peer
    service: str


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """An app password and its text, which is shown this once."""

    app_password: AppPassword
    secret: Secret


class Accounts:
    """Who may come in, and the life of accounts.

    `decoy_key` makes the salt that SCRAM shows for unknown users: the same in all processes and after a restart, or
    unknown users would be those whose salt changes. `sleep` is how a slowed log-in waits.
    """

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        *,
        failures: Failures | None = None,
        passwords: Passwords | None = None,
        decoy_key: bytes | None = None,
        scram_iteration_count: int = SCRAM_ITERATION_COUNT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        openings: Openings | None = None,
        last_log_ins: LastLogIns | None = None,
    ) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._clock = clock
        self._failures = failures or Failures()
        self._passwords = passwords or Passwords(clock)
        self._decoy_key = decoy_key or secrets.token_bytes(32)
        self._scram_iteration_count = scram_iteration_count
        self._sleep = sleep
        self._openings = openings
        self._last_log_ins = last_log_ins
        self._revocations = Revocations(self._directory, bus)

    async def close(self) -> None:
        """End threads and tasks."""
        await self._revocations.close()
        if self._openings is not None:
            await self._openings.close()
        if self._last_log_ins is not None:
            await self._last_log_ins.close()
        await asyncio.get_running_loop().run_in_executor(None, self._passwords.close)

    # coming in

    async def log_in(self, username: str, secret: Secret, peer: Peer, service: str) -> Actor:
        """Give the actor whose full main address and password these are.

        Where the domain opens accounts by logging in, an unknown one may come into being (`usecases.openings`).

        Errors: AuthenticationFailed, one and the same for a wrong password, an unknown or disabled account, an alias
        and an app password for another service, after the same work, but with the reason where an account was not
        opened; TlsTooOld where the domain asks for a newer version; TooManyFailures; TryAgainLater.
        """
        await self._check_tls(username, peer)
        judgement = self._judged(username, peer, service)
        if judgement.slowed_s:
            await self._sleep(judgement.slowed_s)
        credentials = await self._credentials(username)
        if credentials is None and self._openings is not None:
            try:
                opened = await self._openings.open(username, secret, peer)
            except AuthenticationFailed:
                await self._failed(username, peer, service)
                raise
            if opened is not None:
                credentials = await self._credentials(username)
                return await self._decided(username, peer, service, credentials, opened[1])
            credentials = await self._credentials(username)
        verifier = await self._passwords.matching(
            secret, credentials, before_check=lambda: self._raise_if_refused(username, peer, service)
        )
        if credentials is not None and verifier is not None and is_foreign(verifier):
            credentials, verifier = await self._rehashed(credentials, verifier, secret)
        return await self._decided(username, peer, service, credentials, verifier)

    async def _rehashed(
        self, credentials: Credentials, foreign: Verifier, secret: Secret
    ) -> tuple[Credentials | None, Verifier | None]:
        """Replace another system's hash by ours, now that the password is known.

        Whoever comes second, to another log-in or to a new password, is checked against what the first one left.
        """
        account = credentials.account
        verifier = await self._passwords.make_adopted_verifier(
            secret, credentials.scram_salt, credentials.scram_iteration_count
        )
        if verifier is None:
            return credentials, foreign
        is_ours = await self._directory.replace_password(account.account_id, foreign, verifier)
        found = await self._directory.credentials(account.address)
        return found, verifier if is_ours else await self._passwords.matching(secret, found)

    async def scram_start(self, username: str, peer: Peer, service: str) -> ScramLookup:
        """Give salt, iteration count and verifiers; for an unknown user a salt that is always the same (attack row 62).

        Spec: RFC 5802 §5.1; §9 has the advice on unknown users.
        Errors: TlsTooOld, TooManyFailures.
        """
        await self._check_tls(username, peer)
        judgement = self._judged(username, peer, service)
        if judgement.slowed_s:
            await self._sleep(judgement.slowed_s)
        iteration_count = scram_iteration_count_of(await self._domain(username), self._scram_iteration_count)
        credentials = await self._credentials(username)
        if credentials is None:
            salt = digest(self._decoy_key, username.casefold().encode("utf-8", "replace"), "sha256")[:SCRAM_SALT_OCTETS]
            return ScramLookup(salt, iteration_count, (), username, peer, service)
        return ScramLookup(
            credentials.scram_salt,
            credentials.scram_iteration_count,
            tuple(_verifiers(credentials)),
            username,
            peer,
            service,
        )

    async def scram_finish(self, lookup: ScramLookup, verifier: Verifier | None) -> Actor:
        """Give the actor whose proof fitted `verifier`; None says that none fitted. Spec: RFC 5802 §3.

        Errors: as `log_in`; also when the password was changed during the exchange.
        """
        credentials = await self._credentials(lookup.username)
        return await self._decided(lookup.username, lookup.peer, lookup.service, credentials, verifier)

    # log-ins that other use cases check, and count here: one counter over all ways in (attack row 61)

    async def begin_attempt(self, username: str, peer: Peer, service: str) -> None:
        """Judge an attempt before its secret is looked at; it may be made to wait. Errors: TooManyFailures."""
        judgement = self._judged(username, peer, service)
        if judgement.slowed_s:
            await self._sleep(judgement.slowed_s)

    def check_attempt(self, username: str, peer: Peer, service: str) -> None:
        """Judge it again, after waiting for others. Errors: TooManyFailures."""
        self._judged(username, peer, service)

    async def attempt_failed(self, username: str, peer: Peer, service: str) -> None:
        """Count a wrong secret."""
        await self._failed(username, peer, service)

    def attempt_succeeded(self, username: str, peer: Peer, service: str) -> None:
        """Count a right one."""
        self._failures.succeeded(peer.address, username, self._clock.monotonic_s())
        metrics.LOG_INS.labels(service, "ok").inc()

    def watch_revocations(self, actor: Actor, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `callback` once, on the event loop, when the password that the actor came in with is changed or removed.

        In any process, within seconds (attack row 64); until the context is left. Enter it right after the log-in:
        a change since is noticed too.
        """
        return self._revocations.watch(actor, callback)

    # the life of accounts

    async def create(
        self, actor: Actor, address: Address, password: Secret, quota_octets: int | None = None
    ) -> Account:
        """Make an account with its store and the usual mailboxes.

        The store comes first, then the address: whoever finds the account finds its store. Of two creations at once the
        loser removes its store (promise 8); a crash between leaves at most a store that nobody knows of.

        Errors: NotAllowed, NoSuchDomain, AddressTaken, PolicyRefused (reserved name, bad password).
        """
        actor.must_be_admin()
        verdict = may_be_given(address)
        if verdict.decision is not Decision.ALLOW:
            raise PolicyRefused(verdict.reasons[0], address=address.key)
        if await self._directory.domain(address.domain) is None:
            raise NoSuchDomain(domain=address.domain)
        if await self._directory.find(address) is not None:  # spares the work; the store decides below
            raise AddressTaken(address=address.key)
        salt = secrets.token_bytes(SCRAM_SALT_OCTETS)
        verifier = await self._passwords.make_verifier(password, salt, self._scram_iteration_count)
        account = Account(AccountId(secrets.token_hex(8)), address, quota_octets)
        await self._add(account, salt, self._scram_iteration_count, verifier)
        return account

    async def _add(self, account: Account, salt: bytes, iteration_count: int, verifier: Verifier) -> None:
        try:
            await self._storage.accounts.create(account.account_id, DEFAULT_MAILBOXES, account.quota_octets)
            await self._directory.add_account(account, salt, iteration_count, verifier)
        except MailsteadError:
            # an error of the disk may hide that the address was taken after all: then the store must stay
            if await self._directory.account(account.account_id) is None:
                await self._storage.accounts.delete(account.account_id)
            raise

    async def adopt(
        self,
        actor: Actor,
        address: Address,
        hashed: str,
        quota_octets: int | None = None,
        *,
        is_enabled: bool = True,
    ) -> Account:
        """Make an account whose password another system has hashed; the first log-in replaces the hash by ours.

        Errors: as `create`; PolicyRefused for a hash that cannot be checked.
        """
        actor.must_be_admin()
        verifier = foreign_verifier(hashed)
        domain = await self._directory.domain(address.domain)
        if domain is None:
            raise NoSuchDomain(domain=address.domain)
        if await self._directory.find(address) is not None:
            raise AddressTaken(address=address.key)
        account = Account(AccountId(secrets.token_hex(8)), address, quota_octets, is_enabled)
        iteration_count = scram_iteration_count_of(domain, self._scram_iteration_count)
        await self._add(account, secrets.token_bytes(SCRAM_SALT_OCTETS), iteration_count, verifier)
        return account

    async def bring_back(self, actor: Actor, credentials: Credentials) -> Account:
        """Make an account anew that a backup speaks of, with its main password. Errors: as `create`."""
        actor.must_be_admin()
        then = credentials.account
        if await self._directory.domain(then.address.domain) is None:
            raise NoSuchDomain(domain=then.address.domain)
        if credentials.password is None:
            raise NoSuchAccount(address=then.address.key)
        account = replace(then, account_id=AccountId(secrets.token_hex(8)))
        await self._add(account, credentials.scram_salt, credentials.scram_iteration_count, credentials.password)
        return account

    async def remove(self, actor: Actor, address: Address) -> None:
        """Remove an account and all its mail for good. Errors: NotAllowed, NoSuchAccount."""
        actor.must_be_admin()
        account = await self._account(address)
        await self._directory.remove_account(account.account_id)
        await self._storage.accounts.delete(account.account_id)
        if self._last_log_ins is not None:
            await self._last_log_ins.forget(account.account_id)

    async def list(self, actor: Actor, domain: str | None = None) -> list[Account]:
        """All accounts, or those of one domain, by address. Errors: NotAllowed."""
        actor.must_be_admin()
        return await self._directory.accounts(domain)

    async def set_quota(self, actor: Actor, address: Address, quota_octets: int | None) -> None:
        """Set or lift (None) the limit of an account. Errors: NotAllowed, NoSuchAccount."""
        actor.must_be_admin()
        account = await self._account(address)
        await self._directory.set_quota(account.account_id, quota_octets)
        await self._storage.accounts.set_quota(account.account_id, quota_octets)

    async def set_forwarding(
        self, actor: Actor, address: Address, targets: Sequence[Target], *, keeps_copy: bool
    ) -> Account:
        """Send on what comes for an account; without targets it is kept, as before.

        Errors: NotAllowed, NoSuchAccount; LimitReached for too many targets; NoSuchAddress for one in our domains that
        is nobody's.
        """
        actor.must_be_admin()
        account = await self._account(address)
        forward_to = distinct(targets)
        if len(forward_to) > FORWARD_TARGETS_MAX:
            raise LimitReached(f"An account forwards to at most {FORWARD_TARGETS_MAX} targets")
        await self._check_forwarding(forward_to)
        keeps_copy = keeps_copy or not forward_to
        await self._directory.set_forwarding(account.account_id, forward_to, keeps_copy=keeps_copy)
        return replace(account, forward_to=forward_to, keeps_copy=keeps_copy)

    async def set_sending_limit(self, actor: Actor, address: Address, sending_limit: int | None) -> None:
        """Limit the recipients per day; None: the server's setting. Errors: NotAllowed, NoSuchAccount."""
        actor.must_be_admin()
        account = await self._account(address)
        await self._directory.set_sending_limit(account.account_id, sending_limit)

    async def set_password(self, actor: Actor, address: Address, password: Secret) -> None:
        """Replace the main password; sessions that came in with the old one end, app passwords stay.

        Errors: NotAllowed, NoSuchAccount, PolicyRefused.
        """
        account, credentials = await self._own_credentials(actor, address)
        # App passwords can answer SCRAM only while the salt stays; without any, a new one is better.
        if credentials and credentials.app_passwords:
            salt, iteration_count = credentials.scram_salt, credentials.scram_iteration_count
        else:
            salt, iteration_count = secrets.token_bytes(SCRAM_SALT_OCTETS), self._scram_iteration_count
        verifier = await self._passwords.make_verifier(password, salt, iteration_count)
        await self._directory.set_password(account.account_id, salt, iteration_count, verifier)

    async def add_app_password(
        self, actor: Actor, address: Address, label: str, scopes: frozenset[str] = frozenset()
    ) -> NewAppPassword:
        """Make a further password of 130 bits for one client; its text is given this once.

        Errors: NotAllowed, NoSuchAccount, LimitReached, PolicyRefused (label or scopes).
        """
        account, credentials = await self._own_credentials(actor, address)
        if credentials is None:
            raise NoSuchAccount(account_id=account.account_id)
        if not label.strip() or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
            raise PolicyRefused(f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters")
        if not scopes <= SERVICES:
            raise PolicyRefused(f"Scopes are among {', '.join(sorted(SERVICES))}")
        secret = new_app_password()
        verifier = await self._passwords.make_app_verifier(
            secret, credentials.scram_salt, credentials.scram_iteration_count
        )
        made = await self._directory.add_app_password(account.account_id, label, scopes, verifier)
        return NewAppPassword(made, secret)

    async def list_app_passwords(self, actor: Actor, address: Address) -> tuple[AppPassword, ...]:
        """All app passwords of an account. Errors: NotAllowed, NoSuchAccount."""
        _, credentials = await self._own_credentials(actor, address)
        return credentials.app_passwords if credentials else ()

    async def remove_app_password(self, actor: Actor, address: Address, app_password_id: int) -> None:
        """Remove an app password; its sessions end. Errors: NotAllowed, NoSuchAccount."""
        account, _ = await self._own_credentials(actor, address)
        await self._directory.remove_app_password(account.account_id, app_password_id)

    # inside

    async def _account(self, address: Address) -> Account:
        found = await self._directory.find(address)
        if not isinstance(found, Account):
            raise NoSuchAccount(address=address.key)
        return found

    async def _check_forwarding(self, targets: Sequence[Target]) -> None:
        """Errors: NoSuchAddress, for a slip of the pen in one of our own domains."""
        for target in targets:
            if not isinstance(target, Address) or target.local_part == SAME_LOCAL_PART:
                continue
            domain = await self._directory.domain(target.domain)
            if domain is None or domain.terms.uses_dns_rules or await self._directory.patterns(target.domain):
                continue
            if await self._directory.find(without_detail(target) or target) or await self._directory.find(target):
                continue
            raise NoSuchAddress(f"Nobody here has the address {target}", address=target.key)

    async def _own_credentials(self, actor: Actor, address: Address) -> tuple[Account, Credentials | None]:
        """Give account and credentials, to an administrator or to the account that came in with its main password."""
        if not actor.is_admin and (
            actor.account_id is None
            or actor.app_password_id is not None
            or actor.address is None
            or actor.address.key != address.key
        ):
            raise NotAllowed
        account = await self._account(address)
        return account, await self._directory.credentials(account.address)

    async def _credentials(self, username: str) -> Credentials | None:
        try:
            address = Address.parse(username)
        except BadAddress:
            return None
        return await self._directory.credentials(address)

    async def _domain(self, username: str) -> Domain | None:
        """Give the domain of a name, whether it is anybody's or not."""
        try:
            return await self._directory.domain(Address.parse(username).domain)
        except BadAddress:
            return await self._directory.domain(username.rpartition("@")[2].lower())

    async def _check_tls(self, username: str, peer: Peer) -> None:
        """Check the version of TLS, which was agreed on before anybody knew the domain. Errors: TlsTooOld."""
        if peer.tls_version != _OLD_TLS:
            return  # and clear text is a matter of the wire: nobody is offered to log in there
        domain = await self._domain(username)
        if domain is not None and domain.terms.client_tls_version_min == "1.3":
            raise TlsTooOld(domain=domain.name)

    def _judged(self, username: str, peer: Peer, service: str) -> Judgement:
        judgement = self._failures.judge(peer.address, username, self._clock.monotonic_s())
        if judgement.refused_s:
            metrics.LOG_INS.labels(service, "refused").inc()
            raise TooManyFailures(peer=peer.address, service=service, refused_s=round(judgement.refused_s, 1))
        return judgement

    def _raise_if_refused(self, username: str, peer: Peer, service: str) -> None:
        self._judged(username, peer, service)

    async def _decided(
        self, username: str, peer: Peer, service: str, credentials: Credentials | None, verifier: Verifier | None
    ) -> Actor:
        """Count the outcome and give the actor. Errors: AuthenticationFailed."""
        actor = _actor(credentials, verifier) if credentials and verifier else None
        if actor is None or (actor.scopes and service not in actor.scopes):
            raise AuthenticationFailed(**await self._failed(username, peer, service))
        self._failures.succeeded(peer.address, username, self._clock.monotonic_s())
        if self._last_log_ins is not None and actor.account_id is not None:
            self._last_log_ins.note(actor.account_id)
        metrics.LOG_INS.labels(service, "ok").inc()
        return actor

    async def _failed(self, username: str, peer: Peer, service: str) -> dict[str, str]:
        """Count a failure, and write it to the log; give what errors may say of it there (attack row 104)."""
        self._failures.failed(peer.address, username, self._clock.monotonic_s())  # first: the next guess may be waiting
        metrics.LOG_INS.labels(service, "failed").inc()
        domain = await self._domain(username)
        if domain is not None and domain.terms.hides_metadata:
            _log.info("log-in failed", service=service, domain=domain.name)
            return {"service": service}
        _log.info("log-in failed", service=service, peer=peer.address, username=username[:320])
        return {"service": service, "peer": peer.address}


def _actor(credentials: Credentials, verifier: Verifier) -> Actor | None:
    """Give the actor for a verifier that the account has (still)."""
    account = credentials.account
    mark = fingerprint(verifier)
    if credentials.password and is_same(credentials.password, verifier):
        return Actor(account.account_id, account.address, fingerprint=mark)
    for app_password in credentials.app_passwords:
        if is_same(app_password.verifier, verifier):
            return Actor(
                account.account_id,
                account.address,
                app_password_id=app_password.app_password_id,
                scopes=app_password.scopes,
                fingerprint=mark,
            )
    return None


def _verifiers(credentials: Credentials) -> list[Verifier]:
    verifiers = [app_password.verifier for app_password in credentials.app_passwords]
    if credentials.password:
        verifiers.append(credentials.password)
    return verifiers
