"""Where an account's owner has mail sent on to: by addresses that have shown that they want it.

An address elsewhere gets a code by mail, which the owner types in: a slip of the pen would send all mail to a stranger,
and nobody fills another's mailbox. Whoever has shown it once need not do so again
(`AddressProfile.verified_recipients`). Addresses of our own domains need no code: writing to them asks nobody either.
That owners may forward at all is the domain's term `owners_forward`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import AuthenticationFailed, LimitReached, NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.policy.targets import target_key
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import FORWARD_TARGETS_MAX, Accounts
from mailstead.usecases.house_mail import HouseMail

LIFE: Final = timedelta(hours=24)
"""Of a code."""
TRIES_MAX: Final = 5
CODES_PER_DAY_MAX: Final = 5
"""Of one owner, and to one address by all owners: the mail with a code is no way to fill a mailbox."""
VERIFIED_MAX: Final = 100
_DIGITS: Final = 8
_KIND: Final = "forwarding codes"
_SENT: Final = "forwarding codes sent"
_TRIED: Final = "forwarding codes tried"
_DAY: Final = timedelta(days=1)
_WRONG: Final = "That is not the code that was sent, or it is too old: have a new one sent"


class _Waiting(msgspec.Struct, array_like=True):
    target: str
    code_hash: bytes
    until_s: int


@dataclass(frozen=True, slots=True)
class OwnForwardingShown:
    """Where mail of an account is sent on to."""

    is_allowed: bool
    """Whether the domain lets its accounts' owners say so."""
    targets: tuple[str, ...]
    keeps_copy: bool
    waiting: str
    """The address that was sent a code; empty: none."""
    may_add: bool
    """Whether there is room for one more."""


class OwnForwarding:
    """Every verb begins with an actor, whose own account alone is reached. Errors of all: NotAllowed, NoSuchAccount."""

    def __init__(self, storage: Storage, accounts: Accounts, mail: HouseMail, clock: Clock) -> None:
        self._directory = storage.directory
        self._people = storage.people
        self._memory = storage.memory
        self._accounts = accounts
        self._mail = mail
        self._clock = clock

    async def get(self, actor: Actor) -> OwnForwardingShown:
        """As it is now."""
        account = await self._account(actor)
        waiting = await self._waiting(account)
        return OwnForwardingShown(
            await self._is_allowed(actor, account),
            tuple(map(str, account.forward_to)),
            account.keeps_copy,
            waiting.target if waiting is not None else "",
            len(account.forward_to) < FORWARD_TARGETS_MAX,
        )

    async def ask(self, actor: Actor, target: Address) -> bool:
        """Send mail on to an address, too; gives whether a code was sent to it first, which `confirm` takes.

        Errors: NotAllowed, where the domain does not let owners forward; PolicyRefused, for one's own address and one
        that is there already; NoSuchAddress, for one in our domains that is nobody's; LimitReached.
        """
        account = await self._allowed(actor)
        if target.key in {account.address.key, *(target_key(each) for each in account.forward_to)}:
            raise PolicyRefused("Mail goes there already")
        if len(account.forward_to) >= FORWARD_TARGETS_MAX:
            raise LimitReached(f"An account forwards to at most {FORWARD_TARGETS_MAX} targets")
        if await self._directory.domain(target.domain) is not None or target.key in await self._verified(account):
            await self._add(actor, account, target)
            return False
        await self._send_code(account, target)
        return True

    async def confirm(self, actor: Actor, code: Secret) -> None:
        """Take the code that was sent. Errors: AuthenticationFailed; NotAllowed; LimitReached, after too many."""
        account = await self._allowed(actor)
        waiting, now = await self._waiting(account), self._clock.now()
        if waiting is None:
            raise AuthenticationFailed(_WRONG)
        tries = await self._memory.count(_TRIED, {account.account_id: 1}, now, now + LIFE)
        if tries[account.account_id] > TRIES_MAX:
            await self._forget(account)
            raise LimitReached("That was tried too often: have a new code sent")
        if not compare_digest(_hash(waiting.target, code), waiting.code_hash):
            raise AuthenticationFailed(_WRONG)
        target = Address.parse(waiting.target)
        await self._add(actor, account, target)
        await self._forget(account)
        address = account.address
        entry = await self._people.address_entry_of_account(account.account_id)
        if entry is not None:
            verified = tuple(dict.fromkeys((*entry.profile.verified_recipients, target.key)))[-VERIFIED_MAX:]
            profile = replace(entry.profile, verified_recipients=verified)
            await self._people.set_address_profile(address.domain, address.local_part, profile)

    async def withdraw(self, actor: Actor) -> None:
        """Forget the address that was sent a code."""
        await self._forget(await self._account(actor))

    async def remove(self, actor: Actor, target: str) -> None:
        """Send no more on to an address. Errors: NotAllowed; PolicyRefused, where it is none."""
        account = await self._allowed(actor)
        left = tuple(each for each in account.forward_to if str(each) != target)
        if len(left) == len(account.forward_to):
            raise PolicyRefused("Mail does not go there")
        await self._accounts.set_forwarding(actor, account.address, left, keeps_copy=account.keeps_copy)

    async def keep_copy(self, actor: Actor, *, keeps_copy: bool) -> None:
        """Say whether what is sent on stays here, too; with nowhere to send to it always does. Errors: NotAllowed."""
        account = await self._allowed(actor)
        await self._accounts.set_forwarding(actor, account.address, account.forward_to, keeps_copy=keeps_copy)

    # inside

    async def _account(self, actor: Actor) -> Account:
        if actor.account_id is None or actor.app_password_id is not None or actor.token_id is not None:
            raise NotAllowed
        account = await self._directory.account(actor.account_id)
        if account is None:
            raise NoSuchAccount
        return account

    async def _is_allowed(self, actor: Actor, account: Account) -> bool:
        domain = await self._directory.domain(account.address.domain)
        return actor.administers(account.address.domain) or (domain is not None and domain.terms.owners_forward)

    async def _allowed(self, actor: Actor) -> Account:
        account = await self._account(actor)
        if not await self._is_allowed(actor, account):
            raise NotAllowed("The owners of this domain's accounts do not forward them; ask its administrator")
        return account

    async def _verified(self, account: Account) -> frozenset[str]:
        entry = await self._people.address_entry_of_account(account.account_id)
        return frozenset(entry.profile.verified_recipients if entry is not None else ())

    async def _add(self, actor: Actor, account: Account, target: Address) -> None:
        targets = (*account.forward_to, target)
        await self._accounts.set_forwarding(actor, account.address, targets, keeps_copy=account.keeps_copy)

    async def _send_code(self, account: Account, target: Address) -> None:
        now = self._clock.now()
        counted = [f"by {account.account_id}", f"to {sha256(target.key.encode()).hexdigest()}"]
        sums = await self._memory.count(_SENT, dict.fromkeys(counted, 1), now, now + _DAY)
        if max(sums.values()) > CODES_PER_DAY_MAX:
            raise LimitReached("Too many codes were sent today; please try again tomorrow")
        code, until = Secret(f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"), now + LIFE
        waiting = _Waiting(str(target), _hash(str(target), code), int(until.timestamp()))
        await self._memory.forget(_TRIED, [account.account_id])
        await self._memory.remember(_KIND, {account.account_id: msgspec.msgpack.encode(waiting)}, until)
        text = (
            f"The owner of {account.address} would like to have the mail that comes there sent on to you. If that is "
            f"you, or you want it, this is the code:\n\n    {code.reveal()}\n\n"
            f"It is good until {until:%Y-%m-%d %H:%M} UTC. If you do not know what this is about, there is nothing to "
            "do: without the code nothing is sent.\n"
        )
        await self._mail.send(account.address.domain, target, f"Code for mail of {account.address}", text)

    async def _waiting(self, account: Account) -> _Waiting | None:
        found = await self._memory.recall(_KIND, [account.account_id], self._clock.now())
        octets = found.get(account.account_id)
        return None if octets is None else msgspec.msgpack.decode(octets, type=_Waiting)

    async def _forget(self, account: Account) -> None:
        await self._memory.forget(_KIND, [account.account_id])
        await self._memory.forget(_TRIED, [account.account_id])


def _hash(target: str, code: Secret) -> bytes:
    return sha256(f"{target} {''.join(code.reveal().split())}".encode()).digest()
