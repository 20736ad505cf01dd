"""Sealing accounts: from then on only their owners' passwords, and a recovery key, open what is in them.

A crash at any moment leaves an account that opens by its password. Its order: the directory calls it sealed and takes a
verifier without SCRAM keys; then the key file changes, in one step. What was cut short is told by `mailstead check`,
and done again.

Whoever loses all passwords and the recovery key has lost the mail. Nobody can help, so each step says it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Credentials, Verifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.people import owner_of
from mailstead.model.secret import Secret
from mailstead.ports.sealed import WrapKind
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import SCRAM_ITERATION_COUNT, SCRAM_SALT_OCTETS, Accounts
from mailstead.usecases.audit import Audit
from mailstead.usecases.factors import SecondFactors
from mailstead.usecases.passwords import APP_PASSWORD_ALPHABET, Passwords, is_foreign, is_unset
from mailstead.usecases.sealed_merging import SealedMerging
from mailstead.usecases.unlocking import Unlocking, plain_letters

RECOVERY_GROUPS: Final = 8
RECOVERY_GROUP_LETTERS: Final = 5
"""40 letters of 32: 200 bits."""
_NO_KEY: Final = "That is not a recovery key: it has 8 groups of 5 letters and digits"
_NOT_SEALED: Final = "This account is not sealed"


@dataclass(frozen=True, slots=True)
class Sealing:
    """How an account is kept."""

    is_sealed: bool
    is_open: bool
    """In this process."""
    has_recovery_key: bool
    app_password_count: int
    """App passwords that open it; others of its app passwords do once they were used while it was open."""
    waiting_count: int
    waiting_octets: int
    opened_at: datetime | None
    """Since when this process has it open."""


class SealedAccounts:
    """Seals, unseals, recovers. All of it takes a secret of the account, whoever asks."""

    def __init__(
        self,
        storage: Storage,
        accounts: Accounts,
        passwords: Passwords,
        unlocking: Unlocking,
        merging: SealedMerging,
        audit: Audit,
        second_factors: SecondFactors,
    ) -> None:
        self._storage = storage
        self._directory = storage.directory
        self._sealed = storage.sealed
        self._accounts = accounts
        self._passwords = passwords
        self._unlocking = unlocking
        self._merging = merging
        self._audit = audit
        self._second_factors = second_factors

    @staticmethod
    def new_recovery_key() -> Secret:
        """Make a recovery key by chance. Show it, and let it be written down, before anything is sealed with it."""
        letters = ["".join(secrets.choice(APP_PASSWORD_ALPHABET) for _ in range(RECOVERY_GROUP_LETTERS))
                   for _ in range(RECOVERY_GROUPS)]  # fmt: skip
        return Secret("-".join(letters))

    async def begin(self, actor: Actor, address: Address) -> Secret:
        """Make a recovery key for an account, to be shown and written down before `seal` or `replace_recovery_key`.

        Errors: those of both that can be known before the password, so that nobody writes down a key for nothing.
        """
        await self._account(actor, address)
        await self._must_be_strong(actor)
        return self.new_recovery_key()

    @staticmethod
    def is_written_down(recovery_key: Secret, number: int, text: Secret) -> bool:
        """Whether somebody who types the group of that number (from 1) has the key before him."""
        groups = recovery_key.reveal().split("-")
        return 1 <= number <= len(groups) and plain_letters(text) == plain_letters(Secret(groups[number - 1]))

    async def open(self, actor: Actor, address: Address, password: Secret, peer: Peer) -> None:
        """Open an account for who came in without its password, by a passkey or another provider. Errors: as `seal`."""
        await self._proven(actor, address, password, peer)

    async def get(self, actor: Actor, address: Address) -> Sealing:
        """Say how an account is kept. Errors: NotAllowed, NoSuchAccount."""
        account = await self._account(actor, address)
        wrappings = await self._sealed.wrappings(account.account_id)
        waiting = (await self._sealed.waiting_counts()).get(account.account_id)
        return Sealing(
            account.is_sealed,
            self._sealed.is_open(account.account_id),
            any(each.kind is WrapKind.RECOVERY for each in wrappings),
            len({each.mark for each in wrappings if each.kind in {WrapKind.APP, WrapKind.APP_SCRAM}}),
            waiting.message_count if waiting else 0,
            waiting.size_octets if waiting else 0,
            self._unlocking.opened_at(account.account_id),
        )

    async def seal(self, actor: Actor, address: Address, password: Secret, recovery_key: Secret, peer: Peer) -> None:
        """Seal an account with its main password and a recovery key.

        Sessions end and log in anew. App passwords go on; each opens the account once it was used while it was open.
        Errors: AuthenticationFailed, TooManyFailures (password); FactorNeeded, in a session with a second factor that
        was not shown lately; PolicyRefused, where it cannot be sealed; NotAllowed, NoSuchAccount, TryAgainLater.
        """
        _check_recovery_key(recovery_key)
        account, credentials, main = await self._proven(actor, address, password, peer)
        if account.is_sealed and await self._sealed.wrappings(account.account_id):
            raise PolicyRefused("This account is sealed already")
        if is_foreign(main) or is_unset(main):
            raise PolicyRefused("Set a password first: this account has none of ours")
        verifier = await self._passwords.make_sealed_verifier(
            password, credentials.scram_salt, credentials.scram_iteration_count
        )
        ways = [
            await self._unlocking.password_wrapping(verifier, password),
            self._unlocking.recovery_wrapping(recovery_key),
        ]
        await self._sealed.seal(account.account_id, verifier, ways)
        self._note(actor, "account.seal", account)
        await self._unlocking.attend(account)

    async def unseal(self, actor: Actor, address: Address, password: Secret, peer: Peer) -> None:
        """Let the server open the account again. Mail that has waited is taken in.

        Errors: as `seal`.
        """
        account, credentials, _ = await self._proven(actor, address, password, peer)
        if not account.is_sealed:
            raise PolicyRefused(_NOT_SEALED)
        await self._merging.merge(account)
        verifier = await self._passwords.make_verifier(
            password, credentials.scram_salt, credentials.scram_iteration_count
        )
        await self._sealed.unseal(account.account_id, verifier)
        await self._unlocking.lock(account.account_id)  # nothing is locked by it any more: it is only looked after
        self._note(actor, "account.unseal", account)
        await self._merging.merge(account)

    async def replace_recovery_key(
        self, actor: Actor, address: Address, password: Secret, recovery_key: Secret, peer: Peer
    ) -> None:
        """Let another recovery key take the place of the one there is. Errors: as `seal`."""
        _check_recovery_key(recovery_key)
        account, _, _ = await self._proven(actor, address, password, peer)
        if not account.is_sealed:
            raise PolicyRefused(_NOT_SEALED)
        await self._sealed.add_wrappings(account.account_id, [self._unlocking.recovery_wrapping(recovery_key)])
        self._note(actor, "account.recovery-key", account)

    async def recover(self, address: Address, recovery_key: Secret, new: Secret, peer: Peer) -> None:
        """Set a new main password with the recovery key, which stays. Nobody need be logged in.

        The new password is hashed first, for everybody: how long it takes tells nobody who is here and sealed (attack
        row 62), and who tries many keys at once waits in the same row as those who try passwords.

        Errors: AuthenticationFailed, one and the same for a wrong key, an account that is not sealed or not there;
        TooManyFailures; TryAgainLater; PolicyRefused for the new password.
        """
        username = str(address)
        await self._accounts.begin_attempt(username, peer, "web")
        verifier = await self._passwords.make_sealed_verifier(
            new, secrets.token_bytes(SCRAM_SALT_OCTETS), SCRAM_ITERATION_COUNT
        )
        self._accounts.check_attempt(username, peer, "web")
        credentials = await self._directory.credentials(address)
        is_proven = (
            credentials is not None
            and credentials.account.is_sealed
            and await self._unlocking.prove(credentials.account, recovery_key, WrapKind.RECOVERY)
        )
        if credentials is None or credentials.password is None or not is_proven:
            await self._accounts.attempt_failed(username, peer, "web")
            raise AuthenticationFailed
        self._accounts.attempt_succeeded(username, peer, "web")
        account = credentials.account
        await self._unlocking.change_password(credentials, verifier, new)
        self._note(Actor(account.account_id, account.address, peer=peer.address), "account.recover", account)

    # inside

    async def _account(self, actor: Actor, address: Address) -> Account:
        """Give an account that is the actor's, or his to look after. Errors: NotAllowed, NoSuchAccount."""
        if actor.account_id is None or actor.address is None or actor.address.key != address.key:
            return await self._accounts.managed(actor, address)
        account = await self._directory.account(actor.account_id)
        if account is None or account.address.key != address.key:
            raise NoSuchAccount(address=address.key)
        if actor.app_password_id is not None:
            raise NotAllowed
        return account

    async def _proven(
        self, actor: Actor, address: Address, password: Secret, peer: Peer
    ) -> tuple[Account, Credentials, Verifier]:
        """Check the main password by a log-in, which opens the account. Errors: as `seal`."""
        account = await self._account(actor, address)
        await self._must_be_strong(actor)
        came = await self._accounts.log_in(str(account.address), password, peer, "web")
        if came.app_password_id is not None or came.account_id != account.account_id:
            raise AuthenticationFailed("The main password is needed, not an app password")
        credentials = await self._directory.credentials(account.address)
        if credentials is None or credentials.password is None:
            raise NoSuchAccount(address=address.key)
        return credentials.account, credentials, credentials.password

    async def _must_be_strong(self, actor: Actor) -> None:
        """Errors: FactorNeeded."""
        if actor.session_id is not None:  # who comes without one, by a password alone, has no second factor
            owner = owner_of(actor.user_id, actor.account_id)
            await self._second_factors.must_be_shown(owner, actor.strong_at)

    def _note(self, actor: Actor, verb: str, account: Account) -> None:
        self._audit.note(actor, verb, account.address.key, account.address.domain)


def _check_recovery_key(recovery_key: Secret) -> None:
    letters = plain_letters(recovery_key)
    if len(letters) != RECOVERY_GROUPS * RECOVERY_GROUP_LETTERS or not set(letters) <= set(APP_PASSWORD_ALPHABET):
        raise PolicyRefused(_NO_KEY)
