"""Accounts: log in, create, remove, passwords, forwarding."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, AppPassword, Credentials, Domain, Target, Verifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AddressTaken,
    AppPasswordNeeded,
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
from mailstead.model.people import owner_of
from mailstead.model.secret import Secret
from mailstead.model.verdict import Decision
from mailstead.policy.failures import Failures, Judgement
from mailstead.policy.names import may_be_given, without_detail
from mailstead.policy.targets import SAME_LOCAL_PART, distinct
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.app_passwords import (
    AppPasswordUses,
    Refusals,
    checked_end,
    checked_label,
    checked_networks,
    checked_scopes,
    refusal,
)
from mailstead.usecases.audit import Audit
from mailstead.usecases.factors import SecondFactors
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
from mailstead.usecases.rehashing import Rehashing
from mailstead.usecases.revocations import Revocations
from mailstead.usecases.rights import Rights
from mailstead.usecases.unlocking import Unlocking

SCRAM_SALT_OCTETS: Final = 16
SCRAM_ITERATION_COUNT: Final = 60_000
"""Spec: RFC 7677 §4 wants at least 4096. More makes stolen verifiers harder; Cyrus SASL's client takes up to 65536."""
WEB: Final = "web"
"""The service of people, who are asked for a second factor after the main password; all others are for programs."""
_OLD_TLS: Final = "TLSv1.2"
"""The only version before 1.3 that is spoken at all (`net.tls`)."""
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
        audit: Audit | None = None,
        quota_octets: int | None = None,
        sending_limit: int | None = None,
        second_factors: SecondFactors | None = None,
        unlocking: Unlocking | None = None,
    ) -> None:
        """`quota_octets`, `sending_limit`: the server's settings, above which only its administrators go."""
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
        self._audit = audit or Audit(storage, clock)
        self._has_own_audit: Final = audit is None
        self._rights = Rights(storage, quota_octets=quota_octets)
        self._sending_limit = sending_limit
        self._second_factors = second_factors or SecondFactors(storage, clock, self._failures)
        self._uses = AppPasswordUses(self._directory, clock)
        self._has_own_unlocking: Final = unlocking is None
        self._unlocking = unlocking or Unlocking(storage, bus, clock, self._passwords)
        self._rehashing = Rehashing(self._directory, self._passwords)
        self._refusals = Refusals(self._audit, clock)
        self._revocations = Revocations(storage, bus, clock)

    async def close(self) -> None:
        """End threads and tasks."""
        await self._revocations.close()
        if self._has_own_unlocking:
            await self._unlocking.close()
        await self._uses.close()
        await self._rehashing.close()
        if self._has_own_audit:
            await self._audit.close()
        if self._openings is not None:
            await self._openings.close()
        if self._last_log_ins is not None:
            await self._last_log_ins.close()
        await asyncio.get_running_loop().run_in_executor(None, self._passwords.close)

    # coming in

    async def log_in(self, username: str, secret: Secret, peer: Peer, service: str) -> Actor:
        """Give the actor whose full main address and password these are.

        Where the domain opens accounts by logging in, an unknown one may come into being (`usecases.openings`).

        With a second factor, the main password is good for the web only, where the factor is asked for next; mail
        programs have app passwords (attack row 95). These cannot be guessed, so they are taken even where somebody
        guesses from the same network.

        Errors: AuthenticationFailed, one and the same for a wrong password, an unknown or disabled account, an alias
        and an app password for another service, network or time, after the same work, but with the reason where an
        account was not opened; AppPasswordNeeded, which looks the same outside; TlsTooOld where the domain asks for a
        newer version; TooManyFailures; TryAgainLater.
        """
        await self._check_tls(username, peer)
        judgement = self._failures.judge(peer.address, username, self._clock.monotonic_s())
        if judgement.refused_s:
            return await self._in_by_app_password(username, secret, peer, service)
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
            secret,
            credentials,
            before_check=lambda: self._raise_if_refused(username, peer, service),
            # A main password that does not let in must not be told by a quick answer the next time.
            remembers_main=not await self._needs_app_password(credentials, service),
        )
        if credentials is not None and verifier is not None and is_foreign(verifier):
            credentials, verifier = await self._rehashed(credentials, verifier, secret)
        actor = await self._decided(username, peer, service, credentials, verifier)
        if credentials is not None and verifier is not None:
            if actor.app_password_id is None:
                self._rehashing.plan(credentials, verifier, secret)
            await self._unlocking.come_in(credentials, verifier, secret)
        return actor

    async def _in_by_app_password(self, username: str, secret: Secret, peer: Peer, service: str) -> Actor:
        """Let in who has an app password, though the network or the pair is refused; the counts stay as they are.

        Errors: TooManyFailures, TryAgainLater.
        """
        credentials = await self._credentials(username)
        verifier = await self._passwords.matching_app(secret, credentials)
        actor, app_password = _actor(credentials, verifier) if credentials and verifier else (None, None)
        if actor is None or app_password is None or refusal(app_password, peer, service, self._clock.now()):
            raise self._refused(username, peer, service)
        if credentials is not None and verifier is not None:
            await self._unlocking.come_in(credentials, verifier, secret)
        return self._came_in(actor, app_password, service)

    async def _needs_app_password(self, credentials: Credentials | None, service: str) -> bool:
        """Whether the main password is not enough for a service; nobody's is looked up as everybody's."""
        if service == WEB:
            return False
        account_id = credentials.account.account_id if credentials is not None else AccountId("")
        return await self._second_factors.needed(owner_of(None, account_id))

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
        Errors: TlsTooOld. Whether there were too many failures is said at the end, as an app password may be proven.
        """
        await self._check_tls(username, peer)
        judgement = self._failures.judge(peer.address, username, self._clock.monotonic_s())
        if judgement.slowed_s and not judgement.refused_s:
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

    async def scram_finish(self, lookup: ScramLookup, verifier: Verifier | None, client_key: bytes = b"") -> Actor:
        """Give the actor whose proof fitted `verifier`; None says that none fitted. Spec: RFC 5802 §3.

        `client_key`: what was proven; it opens the account, if that is sealed.

        Errors: as `log_in`; also when the password was changed during the exchange.
        """
        credentials = await self._credentials(lookup.username)
        judgement = self._failures.judge(lookup.peer.address, lookup.username, self._clock.monotonic_s())
        if judgement.refused_s:
            actor, app_password = _actor(credentials, verifier) if credentials and verifier else (None, None)
            if actor is None or app_password is None:
                raise self._refused(lookup.username, lookup.peer, lookup.service)
            if refusal(app_password, lookup.peer, lookup.service, self._clock.now()):
                raise self._refused(lookup.username, lookup.peer, lookup.service)
            came_in = self._came_in(actor, app_password, lookup.service)
        else:
            came_in = await self._decided(lookup.username, lookup.peer, lookup.service, credentials, verifier)
        if credentials is not None and verifier is not None:
            await self._unlocking.come_in(credentials, verifier, client_key=client_key)
        return came_in

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
        a change since is noticed too. A sealed account stays open as long.
        """
        return self._watched(actor, callback)

    @contextmanager
    def _watched(self, actor: Actor, callback: Callable[[], None]) -> Iterator[None]:
        account_id = actor.account_id or AccountId("")
        with self._revocations.watch(actor, callback), self._unlocking.holding(account_id):
            yield

    # the life of accounts

    async def create(
        self, actor: Actor, address: Address, password: Secret, quota_octets: int | None = None
    ) -> Account:
        """Make an account with its store and the usual mailboxes.

        The store comes first, then the address: whoever finds the account finds its store. Of two creations at once the
        loser removes its store (promise 8); a crash between leaves at most a store that nobody knows of.

        A member of the domain who makes one owns it; the quota is bounded for all but administrators of the server.

        Errors: NoSuchDomain, AddressTaken, LimitReached (quota), PolicyRefused (reserved name, bad password).
        """
        await self._rights.must_add(actor, address)
        verdict = may_be_given(address)
        if verdict.decision is not Decision.ALLOW:
            raise PolicyRefused(verdict.reasons[0], address=address.key)
        if await self._directory.domain(address.domain) is None:
            raise NoSuchDomain(domain=address.domain)
        if await self._directory.find(address) is not None:  # spares the work; the store decides below
            raise AddressTaken(address=address.key)
        quota_octets = await self._rights.bounded_quota(actor, address.domain, quota_octets)
        salt = secrets.token_bytes(SCRAM_SALT_OCTETS)
        verifier = await self._passwords.make_verifier(password, salt, self._scram_iteration_count)
        account = Account(AccountId(secrets.token_hex(8)), address, quota_octets)
        await self._add(account, salt, self._scram_iteration_count, verifier)
        await self._rights.make_own(actor, address)
        self._note(actor, "account.add", account)
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
        self._note(actor, "account.add", account)
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
        self._note(actor, "account.add", account)
        return account

    async def remove(self, actor: Actor, address: Address) -> None:
        """Remove an account and all its mail for good. Errors: NotAllowed (it administers), NoSuchAccount."""
        account = await self.managed(actor, address)
        await self._directory.remove_account(account.account_id)
        await self._unlocking.lock(account.account_id)
        await self._storage.accounts.delete(account.account_id)
        await self._storage.sealed.forget(account.account_id)
        if self._last_log_ins is not None:
            await self._last_log_ins.forget(account.account_id)
        self._note(actor, "account.remove", account)

    async def list(self, actor: Actor, domain: str | None = None) -> list[Account]:
        """All accounts, or those of one domain, by address, as far as they are the actor's to look after.

        Errors: NotAllowed, for who is no user; NoSuchDomain.
        """
        if actor.is_admin:
            return await self._directory.accounts(domain)
        if actor.user_id is None:
            raise NotAllowed
        if domain is not None:
            actor.must_be_member(domain)
        found: list[Account] = []
        for name in sorted(actor.groups) if domain is None else [domain]:
            accounts = await self._directory.accounts(name)
            own = None if actor.administers(name) else await self._rights.own_keys(actor, name)
            found += [account for account in accounts if own is None or account.address.key in own]
        return found

    async def set_enabled(self, actor: Actor, address: Address, *, is_enabled: bool) -> None:
        """Let an account log in and receive, or not; all that it has open ends within seconds (attack row 64).

        Errors: NotAllowed (it is one's own and another's to look after, or administers more; the last administrator of
        the server), NoSuchAccount.
        """
        account = await self.managed(actor, address)
        await self._directory.set_enabled(account.account_id, is_enabled=is_enabled, disabled_code=None)
        self._note(actor, "account.enable" if is_enabled else "account.disable", account)

    async def set_quota(self, actor: Actor, address: Address, quota_octets: int | None) -> None:
        """Set or lift (None) the limit of an account; only administrators of the server go above what is usual.

        Errors: NotAllowed, NoSuchAccount, LimitReached.
        """
        account = await self.managed(actor, address)
        quota_octets = await self._rights.bounded_quota(actor, address.domain, quota_octets)
        await self._directory.set_quota(account.account_id, quota_octets)
        await self._storage.accounts.set_quota(account.account_id, quota_octets)
        self._note(actor, "account.quota", account, octets=str(quota_octets or "none"))

    async def set_forwarding(
        self, actor: Actor, address: Address, targets: Sequence[Target], *, keeps_copy: bool
    ) -> Account:
        """Send on what comes for an account; without targets it is kept, as before.

        Its owner may, if the domain's term `owners_forward` says so.

        Errors: NotAllowed, NoSuchAccount; LimitReached for too many targets; NoSuchAddress for one in our domains that
        is nobody's.
        """
        account = await self._managed_or_own(actor, address)
        if not await self._rights.may_manage(actor, address):
            domain = await self._directory.domain(address.domain)
            if domain is None or not domain.terms.owners_forward:
                raise NotAllowed("The owners of this domain's accounts do not forward them; ask its administrator")
        forward_to = distinct(targets)
        if len(forward_to) > FORWARD_TARGETS_MAX:
            raise LimitReached(f"An account forwards to at most {FORWARD_TARGETS_MAX} targets")
        await self._check_forwarding(forward_to)
        keeps_copy = keeps_copy or not forward_to
        await self._directory.set_forwarding(account.account_id, forward_to, keeps_copy=keeps_copy)
        self._note(actor, "account.forwarding", account, targets=" ".join(map(str, forward_to)))
        return replace(account, forward_to=forward_to, keeps_copy=keeps_copy)

    async def set_sending_limit(self, actor: Actor, address: Address, sending_limit: int | None) -> None:
        """Limit the recipients per day; None: the server's setting, above which only its administrators go.

        Errors: NotAllowed, NoSuchAccount, LimitReached.
        """
        account = await self.managed(actor, address)
        most = self._sending_limit
        if not actor.is_admin and most is not None and sending_limit is not None and sending_limit > most:
            raise LimitReached(f"An account writes to at most {most} recipients per day")
        await self._directory.set_sending_limit(account.account_id, sending_limit)
        self._note(actor, "account.sending-limit", account, count=str(sending_limit))

    async def set_password(self, actor: Actor, address: Address, password: Secret, old: Secret | None = None) -> None:
        """Replace the main password; sessions that came in with the old one end, app passwords stay.

        Of a sealed account only its owner does, who has come in with the old one or shows it here.

        Errors: NotAllowed, also of a sealed account without its password; NoSuchAccount, PolicyRefused; AccountLocked.
        """
        account, credentials = await self._own_credentials(actor, address)
        if account.is_sealed:
            await self._unlocking.set_password(actor, credentials, password, old)
            self._note(actor, "account.password", account)
            return
        # App passwords can answer SCRAM only while the salt stays; without any, a new one is better.
        if credentials and credentials.app_passwords:
            salt, iteration_count = credentials.scram_salt, credentials.scram_iteration_count
        else:
            salt, iteration_count = secrets.token_bytes(SCRAM_SALT_OCTETS), self._scram_iteration_count
        verifier = await self._passwords.make_verifier(password, salt, iteration_count)
        await self._directory.set_password(account.account_id, salt, iteration_count, verifier)
        self._note(actor, "account.password", account)

    async def add_app_password(
        self,
        actor: Actor,
        address: Address,
        label: str,
        scopes: frozenset[str] = frozenset(),
        *,
        networks: Sequence[str] = (),
        expires_at: datetime | None = None,
        password: Secret | None = None,
    ) -> NewAppPassword:
        """Make a further password of 130 bits for one client; its text is given this once.

        `password`: the main one, which a sealed account needs from who has not come in with it.

        Errors: NotAllowed, NoSuchAccount, LimitReached, PolicyRefused (label, scopes, networks or end).
        """
        account, credentials = await self._own_credentials(actor, address)
        if credentials is None:
            raise NoSuchAccount(account_id=account.account_id)
        label, scopes = checked_label(label), checked_scopes(scopes)
        checked, end = checked_networks(networks), checked_end(expires_at, self._clock.now())
        secret = new_app_password()
        verifier = await self._passwords.make_app_verifier(
            secret, credentials.scram_salt, credentials.scram_iteration_count
        )
        if account.is_sealed:
            credentials = await self._unlocking.as_owner(actor, credentials, password)
            await self._unlocking.add_app(credentials, verifier, secret)
        made = await self._directory.add_app_password(
            account.account_id, label, scopes, verifier, networks=checked, expires_at=end
        )
        self._note(actor, "app-password.add", account, label=label, scopes=" ".join(sorted(scopes)))
        return NewAppPassword(made, secret)

    async def list_app_passwords(self, actor: Actor, address: Address) -> tuple[AppPassword, ...]:
        """All app passwords of an account. Errors: NotAllowed, NoSuchAccount."""
        _, credentials = await self._own_credentials(actor, address)
        return credentials.app_passwords if credentials else ()

    async def remove_app_password(self, actor: Actor, address: Address, app_password_id: int) -> None:
        """Remove an app password; its sessions end. Errors: NotAllowed, NoSuchAccount."""
        account, credentials = await self._own_credentials(actor, address)
        await self._directory.remove_app_password(account.account_id, app_password_id)
        if account.is_sealed and credentials is not None:
            gone = [each.verifier for each in credentials.app_passwords if each.app_password_id == app_password_id]
            await self._unlocking.forget(account, gone)
        self._note(actor, "app-password.remove", account, id=str(app_password_id))

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

    async def managed(self, actor: Actor, address: Address) -> Account:
        """Give an account that is the actor's to look after.

        Errors: NoSuchAccount, for others' and for none; NotAllowed, when it administers more than the actor does, or is
        his own and another's to look after.
        """
        is_own = actor.account_id is not None and actor.address is not None and actor.address.key == address.key
        await self._rights.must_manage(actor, address, NotAllowed() if is_own else NoSuchAccount(address=address.key))
        account = await self._account(address)
        await self._rights.must_outrank(actor, account)
        return account

    async def _managed_or_own(self, actor: Actor, address: Address) -> Account:
        """Give the actor's own account, too, if he came in with its main password. Errors: as `managed`."""
        if actor.account_id is None or actor.address is None or actor.address.key != address.key:
            return await self.managed(actor, address)
        if actor.app_password_id is not None:
            raise NotAllowed
        account = await self._account(address)
        if account.account_id != actor.account_id:  # another one has got the address since
            raise NoSuchAccount(address=address.key)
        return account

    async def _own_credentials(self, actor: Actor, address: Address) -> tuple[Account, Credentials | None]:
        """Give account and credentials, to who looks after it or is it. Errors: as `managed`.

        Not to a token of the user who is the account: whoever has it would be in past the second factor (row 95).
        """
        account = await self._managed_or_own(actor, address)
        if actor.token_id is not None:
            user = await self._storage.people.user_of_account(account.account_id)
            if user is not None and user.user_id == actor.user_id:
                raise NotAllowed("A token does not change how its own user logs in")
        return account, await self._directory.credentials(account.address)

    def _note(self, actor: Actor, verb: str, account: Account, **details: str) -> None:
        self._audit.note(actor, verb, account.address.key, account.address.domain, **details)

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
            raise self._refused(username, peer, service)
        return judgement

    def _refused(self, username: str, peer: Peer, service: str) -> TooManyFailures:
        """Give what is raised for who has to wait, and count it."""
        judgement = self._failures.judge(peer.address, username, self._clock.monotonic_s())
        metrics.LOG_INS.labels(service, "refused").inc()
        return TooManyFailures(peer=peer.address, service=service, refused_s=round(judgement.refused_s, 1))

    def _raise_if_refused(self, username: str, peer: Peer, service: str) -> None:
        self._judged(username, peer, service)

    async def _decided(
        self, username: str, peer: Peer, service: str, credentials: Credentials | None, verifier: Verifier | None
    ) -> Actor:
        """Count the outcome and give the actor. Errors: AuthenticationFailed."""
        actor, app_password = _actor(credentials, verifier) if credentials and verifier else (None, None)
        if actor is None:
            raise AuthenticationFailed(**await self._failed(username, peer, service))
        if app_password is not None:
            reason = refusal(app_password, peer, service, self._clock.now())
            if reason:
                raise AuthenticationFailed(**await self._failed(username, peer, service, reason, actor))
        elif await self._needs_app_password(credentials, service):
            # Counted as any wrong password, or guessers would know a right one by not being slowed.
            raise AppPasswordNeeded(**await self._failed(username, peer, service, "app password needed", actor))
        self._failures.succeeded(peer.address, username, self._clock.monotonic_s())
        return self._came_in(actor, app_password, service)

    def _came_in(self, actor: Actor, app_password: AppPassword | None, service: str) -> Actor:
        """Note what is noted of a log-in."""
        if app_password is not None and not app_password.is_chosen:
            self._uses.note(app_password)
        if self._last_log_ins is not None and actor.account_id is not None:
            self._last_log_ins.note(actor.account_id)
        metrics.LOG_INS.labels(service, "ok").inc()
        return actor

    async def _failed(
        self, username: str, peer: Peer, service: str, reason: str = "wrong", actor: Actor | None = None
    ) -> dict[str, str]:
        """Count a failure, and write it to the log; give what errors may say of it there (attack row 104).

        `actor`: whose password was right, but not good for that; the owner reads so in the audit log.
        """
        self._failures.failed(peer.address, username, self._clock.monotonic_s())  # first: the next guess may be waiting
        metrics.LOG_INS.labels(service, "failed").inc()
        domain = await self._domain(username)
        if domain is not None and domain.terms.hides_metadata:
            _log.info("log-in failed", service=service, domain=domain.name, reason=reason)
            self._audit.note_failed_log_in(domain.name, "", service, domain.name)
            return {"service": service}
        _log.info("log-in failed", service=service, peer=peer.address, username=username[:320], reason=reason)
        if actor is not None:
            self._refusals.tell(actor, peer, service, reason)
        self._audit.note_failed_log_in(username, peer.address, service, "" if domain is None else domain.name)
        return {"service": service, "peer": peer.address}


def _actor(credentials: Credentials, verifier: Verifier) -> tuple[Actor | None, AppPassword | None]:
    """Give the actor for a verifier that the account has (still), and whose app password it is."""
    account = credentials.account
    mark = fingerprint(verifier)
    if credentials.password and is_same(credentials.password, verifier):
        return Actor(account.account_id, account.address, fingerprint=mark), None
    for app_password in credentials.app_passwords:
        if is_same(app_password.verifier, verifier):
            actor = Actor(
                account.account_id,
                account.address,
                app_password_id=app_password.app_password_id,
                scopes=app_password.scopes,
                fingerprint=mark,
            )
            return actor, app_password
    return None, None


def _verifiers(credentials: Credentials) -> list[Verifier]:
    verifiers = [app_password.verifier for app_password in credentials.app_passwords]
    if credentials.password:
        verifiers.append(credentials.password)
    return verifiers
