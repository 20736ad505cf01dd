"""What the directory can be told: one function per unit of work, run in the writing thread inside its transaction."""

from __future__ import annotations

from typing import Any, Final

import apsw

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AppPassword, Domain, Verifier
from mailstead.model.errors import (
    AddressTaken,
    DomainExists,
    DomainInUse,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
)
from mailstead.model.ids import AccountId

APP_PASSWORDS_MAX: Final = 25
"""App passwords per account; each costs time at a log-in with a wrong one."""


def add_domain(db: apsw.Connection, domain: Domain) -> None:
    """Insert if absent. Errors: DomainExists."""
    catch_all = str(domain.catch_all) if domain.catch_all else None
    try:
        db.execute("INSERT INTO domain VALUES (?, ?)", (domain.name, catch_all))
    except apsw.ConstraintError:
        raise DomainExists(domain=domain.name) from None


def remove_domain(db: apsw.Connection, name: str) -> None:
    """Errors: NoSuchDomain, DomainInUse."""
    try:
        db.execute("DELETE FROM domain WHERE name = ?", (name,))
    except apsw.ConstraintError:  # an address refers to it
        raise DomainInUse(domain=name) from None
    _must_have_changed(db, NoSuchDomain(domain=name))


def set_catch_all(db: apsw.Connection, name: str, target: Address | None) -> None:
    """Errors: NoSuchDomain."""
    db.execute("UPDATE domain SET catch_all = ? WHERE name = ?", (str(target) if target else None, name))
    _must_have_changed(db, NoSuchDomain(domain=name))


def add_account(
    db: apsw.Connection, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Insert if absent; the address's primary key decides. Errors: AddressTaken, NoSuchDomain."""
    db.execute(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account.account_id,
            account.quota_octets,
            int(account.is_enabled),
            scram_salt,
            scram_iteration_count,
            *_columns(password),
        ),
    )
    _take_address(db, account.address, account.account_id)


def remove_account(db: apsw.Connection, account_id: AccountId) -> None:
    """Address and app passwords go with it. Errors: NoSuchAccount."""
    db.execute("DELETE FROM account WHERE account_id = ?", (account_id,))
    _must_have_changed(db, NoSuchAccount(account_id=account_id))
    _note_credential_change(db, account_id)


def set_quota(db: apsw.Connection, account_id: AccountId, quota_octets: int | None) -> None:
    """Errors: NoSuchAccount."""
    db.execute("UPDATE account SET quota_octets = ? WHERE account_id = ?", (quota_octets, account_id))
    _must_have_changed(db, NoSuchAccount(account_id=account_id))


def add_alias(db: apsw.Connection, alias: Alias) -> None:
    """Insert if absent. Errors: AddressTaken, NoSuchDomain."""
    _take_address(db, alias.address, None)
    db.executemany(
        "INSERT INTO alias_target VALUES (?, ?, ?, ?)",
        [(alias.address.key, position, target.key, str(target)) for position, target in enumerate(alias.targets)],
    )


def remove_alias(db: apsw.Connection, key: str) -> None:
    """Errors: NoSuchAlias, also when an account has the address."""
    db.execute("DELETE FROM address WHERE key = ? AND account_id IS NULL", (key,))
    _must_have_changed(db, NoSuchAlias(address=key))


def set_password(
    db: apsw.Connection, account_id: AccountId, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Errors: NoSuchAccount."""
    db.execute(
        """
        UPDATE account SET scram_salt = ?, scram_iteration_count = ?,
            argon2id = ?, scram_stored_key = ?, scram_server_key = ?
        WHERE account_id = ?
        """,
        (scram_salt, scram_iteration_count, *_columns(password), account_id),
    )
    _must_have_changed(db, NoSuchAccount(account_id=account_id))
    _note_credential_change(db, account_id)


def add_app_password(db: apsw.Connection, account_id: AccountId, app_password: AppPassword) -> int:
    """Give the number under which it can be removed. Errors: NoSuchAccount, LimitReached."""
    (count,) = _one(db, "SELECT count(*) FROM app_password WHERE account_id = ?", account_id)
    if count >= APP_PASSWORDS_MAX:
        raise LimitReached(f"An account has at most {APP_PASSWORDS_MAX} app passwords; remove one first")
    try:
        db.execute(
            "INSERT INTO app_password VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
            (
                account_id,
                app_password.label,
                " ".join(sorted(app_password.scopes)),
                int(app_password.created_at.timestamp()),
                *_columns(app_password.verifier),
            ),
        )
    except apsw.ConstraintError:
        raise NoSuchAccount(account_id=account_id) from None
    return db.last_insert_rowid()


def remove_app_password(db: apsw.Connection, account_id: AccountId, app_password_id: int) -> None:
    """Remove it if the account has it. Errors: NoSuchAccount."""
    (count,) = _one(db, "SELECT count(*) FROM account WHERE account_id = ?", account_id)
    if not count:
        raise NoSuchAccount(account_id=account_id)
    db.execute("DELETE FROM app_password WHERE app_password_id = ? AND account_id = ?", (app_password_id, account_id))
    _note_credential_change(db, account_id)


def _take_address(db: apsw.Connection, address: Address, account_id: AccountId | None) -> None:
    (is_ours,) = _one(db, "SELECT count(*) FROM domain WHERE name = ?", address.domain)
    if not is_ours:
        raise NoSuchDomain(domain=address.domain)
    try:
        db.execute("INSERT INTO address VALUES (?, ?, ?, ?)", (address.key, address.domain, str(address), account_id))
    except apsw.ConstraintError:
        raise AddressTaken(address=address.key) from None


def _note_credential_change(db: apsw.Connection, account_id: AccountId) -> None:
    db.execute("INSERT INTO credential_change VALUES (NULL, ?)", (account_id,))


def _columns(verifier: Verifier) -> tuple[str, bytes, bytes]:
    return verifier.argon2id, verifier.scram_stored_key, verifier.scram_server_key


def _must_have_changed(db: apsw.Connection, error: Exception) -> None:
    if not db.changes():
        raise error


def _one(db: apsw.Connection, query: str, *arguments: str) -> tuple[Any, ...]:
    row = db.execute(query, arguments).fetchone()
    assert row is not None
    return tuple(row)
