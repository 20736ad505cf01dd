"""One's own sealed account: seal, unseal, recover. What it means: docs/sealed-accounts.md.

Whoever seals gets the recovery key in the answer, once. If that answer is lost, nothing else is: the password opens the
account and makes another key. Commands: ``mailstead account seal`` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import NotAllowed
from mailstead.model.secret import Secret
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment, Password


def _must_be_true(value: bool) -> bool:
    if not value:
        raise ValueError("Without password and recovery key all mail is lost, and nobody can help: say true")
    return value


class PasswordShown(Model):
    """The main password, once more."""

    password: Password


class SealAsked(PasswordShown):
    """The account is to be sealed."""

    understood: Annotated[bool, AfterValidator(_must_be_true)]
    """True: who loses password and recovery key has lost the mail."""


class Recovery(Model):
    """A new main password, by the recovery key."""

    address: Annotated[str, StringConstraints(max_length=320)]
    recovery_key: Password
    new_password: Password


class SealedShown(Shown):
    """How the account is kept."""

    is_sealed: bool
    is_open: bool
    """The process that answers has its key; of one that is not sealed: false."""
    opened_at: Moment | None
    """Since when; null: it is locked, or not sealed."""
    has_recovery_key: bool
    app_password_count: int
    """App passwords that open it."""
    waiting_count: int
    """Messages that came while it was locked."""
    waiting_octets: int


class RecoveryKeyShown(Shown):
    """A recovery key."""

    recovery_key: str
    """Shown this once: write it down."""


async def show(call: Call) -> Answer:
    """Say how it is kept."""
    found = await call.house.sealed_accounts.get(call.actor, _own(call))
    return Answer(
        SealedShown(
            is_sealed=found.is_sealed,
            is_open=found.is_open,
            opened_at=found.opened_at,
            has_recovery_key=found.has_recovery_key,
            app_password_count=found.app_password_count,
            waiting_count=found.waiting_count,
            waiting_octets=found.waiting_octets,
        )
    )


async def seal(call: Call) -> Answer:
    """Seal it with a new recovery key."""
    return await _with_new_key(call, call.house.sealed_accounts.seal)


async def unseal(call: Call) -> Answer:
    """Let the server open it again."""
    asked: PasswordShown = call.body
    await call.house.sealed_accounts.unseal(call.actor, _own(call), asked.password, call.peer)
    return Answer()


async def renew_recovery_key(call: Call) -> Answer:
    """Make another recovery key."""
    return await _with_new_key(call, call.house.sealed_accounts.replace_recovery_key)


async def recover(call: Call) -> Answer:
    """Set a new password by the recovery key."""
    asked: Recovery = call.body
    address = Address.parse(asked.address)
    await call.house.sealed_accounts.recover(address, asked.recovery_key, asked.new_password, call.peer)
    return Answer()


async def _with_new_key(
    call: Call, verb: Callable[[Actor, Address, Secret, Secret, Peer], Awaitable[object]]
) -> Answer:
    """Do what takes a password and a new recovery key; show the key, this once."""
    asked: PasswordShown = call.body
    key = call.house.sealed_accounts.new_recovery_key()
    await verb(call.actor, _own(call), asked.password, key, call.peer)
    return Answer(RecoveryKeyShown(recovery_key=key.reveal()))


def _own(call: Call) -> Address:
    """Errors: NotAllowed."""
    if call.actor.account_id is None or call.actor.address is None:
        raise NotAllowed
    return call.actor.address


_PATH: Final = "/v1/sealed"
_ours: Final = partial(Endpoint, tag="sealed accounts", is_ours=True, is_idempotent=False)
_own_only: Final = partial(_ours, auth=Auth.ALIAS, right=Right.CALLER)

ENDPOINTS: Final = (
    _own_only(
        "GET",
        _PATH,
        "show-sealed",
        "Whether one's own account is sealed, by what it opens, and what waits for it",
        handler=show,
        shows=SealedShown,
        command="account sealed",
    ),
    _own_only(
        "POST",
        _PATH,
        "seal-account",
        "Let only one's own passwords and a recovery key open the account",
        handler=seal,
        body=SealAsked,
        shows=RecoveryKeyShown,
        status=201,
        description="Nobody can help who has lost password and recovery key. All sessions end, also the one that asks.",
        command="account seal",
    ),
    _own_only(
        "POST",
        f"{_PATH}/unseal",
        "unseal-account",
        "Let the server open the account again; mail that has waited is taken in",
        handler=unseal,
        body=PasswordShown,
        status=204,
        description="All sessions end, also the one that asks.",
        command="account unseal",
    ),
    _own_only(
        "POST",
        f"{_PATH}/recovery-key",
        "renew-recovery-key",
        "Another recovery key; the one before is worth nothing then",
        handler=renew_recovery_key,
        body=PasswordShown,
        shows=RecoveryKeyShown,
        status=201,
        command="account recovery-key",
    ),
    _ours(
        "POST",
        f"{_PATH}/recover",
        "recover-account",
        "A new main password for a sealed account by its recovery key, which stays",
        auth=Auth.NONE,
        right=Right.ANYBODY,
        handler=recover,
        body=Recovery,
        status=204,
        description="A wrong key counts as a wrong password does. All sessions of the account end.",
        command="account recover",
    ),
)
