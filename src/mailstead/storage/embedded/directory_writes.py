"""What the directory can be told: one function per unit of work, run in the writing thread inside its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from mailstead.model.address import Address
from mailstead.model.directory import (
    Account,
    Alias,
    AppPassword,
    DkimKey,
    Domain,
    DomainTerms,
    KeyState,
    Target,
    Verifier,
)
from mailstead.model.errors import (
    AccountLocked,
    AddressTaken,
    DomainExists,
    DomainInUse,
    LimitReached,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    NoSuchKey,
)
from mailstead.model.ids import AccountId
from mailstead.policy.targets import target_key
from mailstead.storage.embedded.directory_values import json_of_targets, json_of_terms, row_of, text_of
from mailstead.storage.embedded.profile_writes import (
    describe,
    forget_account_log_in,
    keeping_an_administrator,
    make_address_profile,
    make_domain_profile,
    touch_account,
    touch_domain,
)

APP_PASSWORDS_MAX: Final = 25
"""App passwords per account; each costs time at a log-in with a wrong one."""


def add_domain(db: apsw.Connection, domain: Domain) -> None:
    """Insert if absent. Errors: DomainExists."""
    try:
        db.execute("INSERT INTO domain (name, terms) VALUES (?, ?)", (domain.name, json_of_terms(domain.terms)))
    except apsw.ConstraintError:
        raise DomainExists(domain=domain.name) from None
    make_domain_profile(db, domain.name)


def remove_domain(db: apsw.Connection, name: str) -> None:
    """Errors: NoSuchDomain, DomainInUse."""
    try:
        db.execute("DELETE FROM domain WHERE name = ?", (name,))
    except apsw.ConstraintError:  # an address refers to it
        raise DomainInUse(domain=name) from None
    _must_have_changed(db, NoSuchDomain(domain=name))


def set_terms(db: apsw.Connection, name: str, terms: DomainTerms) -> None:
    """Errors: NoSuchDomain."""
    db.execute("UPDATE domain SET terms = ? WHERE name = ?", (json_of_terms(terms), name))
    _must_have_changed(db, NoSuchDomain(domain=name))
    touch_domain(db, name)


def add_account(
    db: apsw.Connection, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Insert if absent; the address's primary key decides. Errors: AddressTaken, NoSuchDomain."""
    insert_account(db, account, scram_salt, scram_iteration_count, password)
    _take_address(db, account.address, account.account_id)


def insert_account(
    db: apsw.Connection, account: Account, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Write the account, without its address."""
    db.execute(
        """
        INSERT INTO account (account_id, quota_octets, is_enabled, forward_to, keeps_copy, sending_limit, disabled_code,
            scram_salt, scram_iteration_count, argon2id, scram_stored_key, scram_server_key)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            account.account_id,
            account.quota_octets,
            int(account.is_enabled),
            json_of_targets(account.forward_to),
            int(account.keeps_copy),
            account.sending_limit,
            account.disabled_code,
            scram_salt,
            scram_iteration_count,
            *_columns(password),
        ),
    )


def remove_account(db: apsw.Connection, account_id: AccountId) -> None:
    """Address, app passwords, second factors and the user that it is go with it.

    Errors: NoSuchAccount; NotAllowed, if the last administrator of the server would go.
    """
    with keeping_an_administrator(db):
        forget_account_log_in(db, account_id)
        db.execute("DELETE FROM account WHERE account_id = ?", (account_id,))
        _must_have_changed(db, NoSuchAccount(account_id=account_id))
    note_credential_change(db, account_id)


def set_quota(db: apsw.Connection, account_id: AccountId, quota_octets: int | None) -> None:
    """Errors: NoSuchAccount."""
    db.execute("UPDATE account SET quota_octets = ? WHERE account_id = ?", (quota_octets, account_id))
    _must_have_changed(db, NoSuchAccount(account_id=account_id))
    touch_account(db, account_id)


def set_forwarding(db: apsw.Connection, account_id: AccountId, forward_to: Sequence[Target], keeps_copy: bool) -> None:
    """Errors: NoSuchAccount."""
    db.execute(
        "UPDATE account SET forward_to = ?, keeps_copy = ? WHERE account_id = ?",
        (json_of_targets(forward_to), int(keeps_copy), account_id),
    )
    _must_have_changed(db, NoSuchAccount(account_id=account_id))
    touch_account(db, account_id)


def set_sending_limit(db: apsw.Connection, account_id: AccountId, sending_limit: int | None) -> None:
    """Errors: NoSuchAccount."""
    db.execute("UPDATE account SET sending_limit = ? WHERE account_id = ?", (sending_limit, account_id))
    _must_have_changed(db, NoSuchAccount(account_id=account_id))
    touch_account(db, account_id)


def add_alias(db: apsw.Connection, alias: Alias) -> None:
    """Insert if absent. Errors: AddressTaken, NoSuchDomain."""
    _take_address(db, alias.address, None)
    insert_alias(db, alias)


def insert_alias(db: apsw.Connection, alias: Alias) -> None:
    """Write what an alias has beside its address."""
    db.execute(
        """
        INSERT INTO alias (is_enabled, disabled_code, expires_at_s, description, is_masked, key, domain, kind)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (*_attributes(alias), alias.address.key, alias.address.domain, alias.kind.value),
    )
    _add_targets(db, alias)
    describe(db, alias.address.key, alias.description)


def replace_alias(db: apsw.Connection, alias: Alias) -> None:
    """Change all but the address. Errors: NoSuchAlias."""
    key = alias.address.key
    db.execute(
        """
        UPDATE alias SET is_enabled = ?, disabled_code = ?, expires_at_s = ?, description = ?, is_masked = ?
        WHERE key = ?
        """,
        (*_attributes(alias), key),
    )
    _must_have_changed(db, NoSuchAlias(address=key))
    db.execute("DELETE FROM alias_target WHERE alias_key = ?", (key,))
    _add_targets(db, alias)
    describe(db, key, alias.description)


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
    note_credential_change(db, account_id)


def set_unsealed_password(
    db: apsw.Connection, account_id: AccountId, scram_salt: bytes, scram_iteration_count: int, password: Verifier
) -> None:
    """Errors: NoSuchAccount; AccountLocked, if it has been sealed: nothing would open it by that password."""
    if db.execute("SELECT 1 FROM account WHERE account_id = ? AND is_sealed", (account_id,)).fetchone():
        raise AccountLocked("The account is sealed: its password is changed with the old one", account_id=account_id)
    set_password(db, account_id, scram_salt, scram_iteration_count, password)


def replace_password(db: apsw.Connection, account_id: AccountId, old: Verifier, new: Verifier) -> bool:
    """Compare and set: of several at once, one wins. Give whether it was this one."""
    db.execute(
        """
        UPDATE account SET argon2id = ?, scram_stored_key = ?, scram_server_key = ?
        WHERE account_id = ? AND argon2id = ? AND scram_stored_key = ? AND scram_server_key = ?
        """,
        (*_columns(new), account_id, *_columns(old)),
    )
    if not db.changes():
        return False
    note_credential_change(db, account_id)
    return True


def add_app_password(db: apsw.Connection, account_id: AccountId, app_password: AppPassword) -> int:
    """Give the number under which it can be removed. Errors: NoSuchAccount, LimitReached."""
    (count,) = _one(db, "SELECT count(*) FROM app_password WHERE account_id = ?", account_id)
    if count >= APP_PASSWORDS_MAX:
        raise LimitReached(f"An account has at most {APP_PASSWORDS_MAX} app passwords; remove one first")
    try:
        db.execute(
            """
            INSERT INTO app_password
                (account_id, label, scopes, created_at_s, networks, expires_at_s,
                argon2id, scram_stored_key, scram_server_key)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (
                account_id,
                app_password.label,
                " ".join(sorted(app_password.scopes)),
                int(app_password.created_at.timestamp()),
                " ".join(app_password.networks),
                None if app_password.expires_at is None else int(app_password.expires_at.timestamp()),
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
    note_credential_change(db, account_id)


def note_app_password_use(db: apsw.Connection, app_password_ids: Sequence[int], day: str) -> None:
    """Write the day of the last use."""
    db.executemany(
        "UPDATE app_password SET last_used_on = ?1 WHERE app_password_id = ?2 AND last_used_on < ?1",
        [(day, number) for number in app_password_ids],
    )


def add_dkim_keys(db: apsw.Connection, keys: Sequence[DkimKey]) -> None:
    """Add all or none. Errors: NoSuchDomain; AddressTaken, when the domain has such a selector."""
    for key in keys:
        _must_have_domain(db, key.domain)
        try:
            db.execute(
                "INSERT INTO dkim_key VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key.domain,
                    key.selector,
                    key.algorithm,
                    key.private_key,
                    int(key.created_at.timestamp()),
                    key.state.value,
                ),
            )
        except apsw.ConstraintError:
            raise AddressTaken(
                f"{key.domain} has a key {key.selector} already", domain=key.domain, selector=key.selector
            ) from None


def set_dkim_states(db: apsw.Connection, domain: str, states: Mapping[str, KeyState]) -> None:
    """Change the states of keys by selector, all at once. Errors: NoSuchKey."""
    for selector, state in states.items():
        db.execute("UPDATE dkim_key SET state = ? WHERE domain = ? AND selector = ?", (state.value, domain, selector))
        _must_have_changed(db, NoSuchKey(domain=domain, selector=selector))


def remove_dkim_key(db: apsw.Connection, domain: str, selector: str) -> None:
    """Errors: NoSuchKey."""
    db.execute("DELETE FROM dkim_key WHERE domain = ? AND selector = ?", (domain, selector))
    _must_have_changed(db, NoSuchKey(domain=domain, selector=selector))


def _attributes(alias: Alias) -> tuple[int, int, int | None, str, int]:
    expires_at_s = None if alias.expires_at is None else int(alias.expires_at.timestamp())
    return int(alias.is_enabled), alias.disabled_code, expires_at_s, alias.description, int(alias.is_masked)


def _add_targets(db: apsw.Connection, alias: Alias) -> None:
    db.executemany(
        "INSERT INTO alias_target (alias_key, position, target_key, kind, text) VALUES (?, ?, ?, ?, ?)",
        [
            (alias.address.key, position, target_key(target), *row_of(target))
            for position, target in enumerate(alias.targets)
        ],
    )


def _must_have_domain(db: apsw.Connection, name: str) -> None:
    (is_ours,) = _one(db, "SELECT count(*) FROM domain WHERE name = ?", name)
    if not is_ours:
        raise NoSuchDomain(domain=name)


def _take_address(db: apsw.Connection, address: Address, account_id: AccountId | None) -> None:
    _must_have_domain(db, address.domain)
    try:
        db.execute(
            "INSERT INTO address VALUES (?, ?, ?, ?)", (address.key, address.domain, text_of(address), account_id)
        )
    except apsw.ConstraintError:
        raise AddressTaken(address=address.key) from None
    make_address_profile(db, address)


def note_credential_change(db: apsw.Connection, account_id: AccountId) -> None:
    """Tell those who hold sessions of the account to look again."""
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
