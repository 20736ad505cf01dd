"""Accounts and aliases that turn into each other, accounts that are switched off, and passwords of catch-alls.

Functions as in `directory_writes` and `directory_reads`, run in the directory's threads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import apsw

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL, Account, Alias, AppPassword, Credentials, Verifier
from mailstead.model.errors import (
    AddressTaken,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    NoSuchKey,
    NotAllowed,
    TryAgainLater,
)
from mailstead.model.ids import AccountId
from mailstead.model.people import CatchAllPassword, ObjectId
from mailstead.storage.embedded import directory_writes
from mailstead.storage.embedded.directory_values import text_of
from mailstead.storage.embedded.profile_writes import (
    forget_account_log_in,
    keeping_an_administrator,
    note_rights_change_of_user,
    touch_account,
)

CATCH_ALL_PASSWORDS_MAX: Final = 10
"""Of a domain: those that somebody thought of cost a whole hash each at a log-in."""
_SMTP: Final = frozenset({"smtp"})

_PASSWORD: Final = "SELECT password_id, domain, description, created_at_s, is_chosen FROM catch_all_password"  # noqa: S105


def set_enabled(db: apsw.Connection, account_id: AccountId, is_enabled: bool, disabled_code: int | None) -> None:
    """Errors: NoSuchAccount."""
    with keeping_an_administrator(db):
        db.execute(
            "UPDATE account SET is_enabled = ?, disabled_code = ? WHERE account_id = ?",
            (int(is_enabled), disabled_code, account_id),
        )
        if not db.changes():
            raise NoSuchAccount(account_id=account_id)
    touch_account(db, account_id)
    directory_writes.note_credential_change(db, account_id)
    note_rights_change_of_user(db, account_id)


def turn_into_account(
    db: apsw.Connection, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Errors: NoSuchAlias, also when the address is an account already."""
    key = account.address.key
    directory_writes.insert_account(db, account, scram_salt, scram_iteration_count, password)
    db.execute("UPDATE address SET account_id = ? WHERE key = ? AND account_id IS NULL", (account.account_id, key))
    if not db.changes():
        raise NoSuchAlias(address=key)
    db.execute("DELETE FROM alias_target WHERE alias_key = ?", (key,))
    db.execute("DELETE FROM alias WHERE key = ?", (key,))
    touch_account(db, account.account_id)


def turn_into_alias(db: apsw.Connection, account_id: AccountId, alias: Alias) -> None:
    """Errors: NoSuchAccount, NotAllowed."""
    (is_user,) = db.execute("SELECT count(*) FROM user WHERE account_id = ?", (account_id,)).fetchall()[0]
    if is_user:
        raise NotAllowed("That account administers: its user needs a password of its own first")
    # The account's address, and with it the profile, would go with the account; so it is let go of first.
    db.execute("UPDATE address SET account_id = NULL WHERE account_id = ? AND key = ?", (account_id, alias.address.key))
    if not db.changes():
        raise NoSuchAccount(account_id=account_id)
    forget_account_log_in(db, account_id)
    db.execute("DELETE FROM account WHERE account_id = ?", (account_id,))
    directory_writes.note_credential_change(db, account_id)
    directory_writes.insert_alias(db, alias)


def rename_alias(db: apsw.Connection, address: Address, alias: Alias) -> None:
    """Errors: NoSuchAlias, AddressTaken."""
    old, new = address.key, alias.address.key
    db.execute("PRAGMA defer_foreign_keys = ON")  # until this unit of work ends
    try:
        db.execute(
            "UPDATE address SET key = ?, text = ? WHERE key = ? AND account_id IS NULL",
            (new, text_of(alias.address), old),
        )
    except apsw.ConstraintError:
        raise AddressTaken(address=new) from None
    if not db.changes():
        raise NoSuchAlias(address=old)
    db.execute("UPDATE alias SET key = ?, kind = ? WHERE key = ?", (new, alias.kind.value, old))
    db.execute("UPDATE alias_target SET alias_key = ? WHERE alias_key = ?", (new, old))
    local_part = new.rpartition("@")[0]
    db.execute("UPDATE address_profile SET key = ?, local_part = ? WHERE key = ?", (new, local_part, old))
    directory_writes.replace_alias(db, alias)


def catch_all_passwords(db: apsw.Connection, domain: str) -> list[CatchAllPassword]:
    """By creation."""
    rows: list[Any] = db.execute(
        f"{_PASSWORD} WHERE domain = ? ORDER BY created_at_s, password_id", (domain,)
    ).fetchall()
    return [
        CatchAllPassword(ObjectId(number), name, description, datetime.fromtimestamp(created_at_s, UTC), bool(chosen))
        for number, name, description, created_at_s, chosen in rows
    ]


def add_catch_all_password(
    db: apsw.Connection,
    password: CatchAllPassword,
    scram_salt: bytes,
    scram_iteration_count: int,
    verifier: Verifier,
) -> None:
    """Errors: NoSuchDomain, LimitReached, TryAgainLater."""
    rows: list[Any] = db.execute(
        "SELECT scram_salt, scram_iteration_count FROM catch_all_password WHERE domain = ?", (password.domain,)
    ).fetchall()
    if len(rows) >= CATCH_ALL_PASSWORDS_MAX:
        raise LimitReached(f"A catch-all has at most {CATCH_ALL_PASSWORDS_MAX} passwords; remove one first")
    if rows and tuple(rows[0]) != (scram_salt, scram_iteration_count):
        raise TryAgainLater
    try:
        db.execute(
            "INSERT INTO catch_all_password VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                password.password_id,
                password.domain,
                password.description,
                int(password.created_at.timestamp()),
                int(password.is_chosen),
                scram_salt,
                scram_iteration_count,
                verifier.argon2id,
                verifier.scram_stored_key,
                verifier.scram_server_key,
            ),
        )
    except apsw.ConstraintError:
        raise NoSuchDomain(domain=password.domain) from None


def remove_catch_all_password(db: apsw.Connection, domain: str, password_id: ObjectId) -> None:
    """Errors: NoSuchKey."""
    db.execute("DELETE FROM catch_all_password WHERE domain = ? AND password_id = ?", (domain, password_id))
    if not db.changes():
        raise NoSuchKey("The catch-all has no such password", domain=domain)
    directory_writes.note_credential_change(db, catch_all_id(domain))


def catch_all_account(db: apsw.Connection, account_id: AccountId) -> Account | None:
    """Give what stands for a domain's catch-all where an account is asked for; None where it has no password."""
    domain = account_id.removeprefix(f"{CATCH_ALL}@")
    (count,) = db.execute("SELECT count(*) FROM catch_all_password WHERE domain = ?", (domain,)).fetchall()[0]
    return Account(account_id, Address(CATCH_ALL, domain)) if count else None


def catch_all_credentials(db: apsw.Connection, domain: str) -> Credentials | None:
    """Give the passwords of a domain's catch-all, each for submission only; None where it has none."""
    rows: list[Any] = db.execute(
        """
        SELECT description, created_at_s, is_chosen, scram_salt, scram_iteration_count,
            argon2id, scram_stored_key, scram_server_key
        FROM catch_all_password WHERE domain = ? ORDER BY created_at_s, password_id
        """,
        (domain,),
    ).fetchall()
    if not rows:
        return None
    passwords = tuple(
        AppPassword(
            -1 - number,
            row[0],
            _SMTP,
            datetime.fromtimestamp(row[1], UTC),
            Verifier(*row[5:]),
            is_chosen=bool(row[2]),
        )
        for number, row in enumerate(rows)
    )
    return Credentials(
        Account(catch_all_id(domain), Address(CATCH_ALL, domain)), rows[0][3], rows[0][4], None, passwords
    )


def catch_all_id(domain: str) -> AccountId:
    """Give what stands for the domain's catch-all where an account's key does: ``*@domain``."""
    return AccountId(f"{CATCH_ALL}@{domain}")
