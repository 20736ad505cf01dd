"""What the directory can be asked: one function per question, run in the reading thread inside one snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import apsw

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AppPassword, Credentials, Domain, Verifier
from mailstead.model.ids import AccountId
from mailstead.ports.storage import CredentialChanges

ALIAS_STEPS_MAX: Final = 10
"""How far `addresses_of` follows aliases of aliases."""

_ACCOUNT: Final = """
SELECT account.account_id, address.text, account.quota_octets, account.is_enabled
FROM account JOIN address ON address.account_id = account.account_id
"""


def data_version(db: apsw.Connection) -> int:
    """Give a number that changes when any other connection commits."""
    # Inside a snapshot it tells the version of that snapshot only once something was read.
    db.execute("SELECT 1 FROM domain LIMIT 1").fetchall()
    version = db.pragma("data_version")
    assert isinstance(version, int)
    return version


def domains(db: apsw.Connection) -> list[Domain]:
    """All domains by name."""
    return [_domain(*row) for row in db.execute("SELECT name, catch_all FROM domain ORDER BY name")]


def domain(db: apsw.Connection, name: str) -> Domain | None:
    """One domain."""
    row = db.execute("SELECT name, catch_all FROM domain WHERE name = ?", (name,)).fetchone()
    return _domain(*row) if row else None


def accounts(db: apsw.Connection, domain_name: str | None) -> list[Account]:
    """All accounts, or those of one domain, by address."""
    query = f"{_ACCOUNT} WHERE ?1 IS NULL OR address.domain = ?1 ORDER BY address.domain, address.key"
    return [_account(*row) for row in db.execute(query, (domain_name,))]


def account(db: apsw.Connection, account_id: AccountId) -> Account | None:
    """One account by its key."""
    row = db.execute(f"{_ACCOUNT} WHERE account.account_id = ?", (account_id,)).fetchone()
    return _account(*row) if row else None


def find(db: apsw.Connection, key: str) -> Account | Alias | None:
    """Who has exactly this address."""
    row = db.execute("SELECT text, account_id FROM address WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    text, account_id = row
    return account(db, account_id) if account_id else _alias(db, key, text)


def aliases(db: apsw.Connection, domain_name: str | None) -> list[Alias]:
    """All aliases, or those of one domain, by address."""
    query = (
        "SELECT key, text FROM address WHERE account_id IS NULL AND (?1 IS NULL OR domain = ?1) ORDER BY domain, key"
    )
    rows: list[Any] = db.execute(query, (domain_name,)).fetchall()
    return [_alias(db, key, text) for key, text in rows]


def addresses_of(db: apsw.Connection, account_id: AccountId) -> list[Address]:
    """The main address and every alias that leads only to this account, also through other aliases."""
    row = db.execute("SELECT key, text FROM address WHERE account_id = ?", (account_id,)).fetchone()
    if row is None:
        return []
    mine = {row[0]: Address.parse(row[1])}
    newest = [row[0]]
    for _ in range(ALIAS_STEPS_MAX):
        # An alias with one target that is mine is mine. (An alias with several targets belongs to a group.)
        asked, newest = newest, []
        for target in asked:
            rows: list[Any] = db.execute(
                """
                SELECT address.key, address.text FROM alias_target JOIN address ON address.key = alias_target.alias_key
                WHERE alias_target.target_key = ?
                AND (SELECT count(*) FROM alias_target AS other WHERE other.alias_key = address.key) = 1
                ORDER BY address.key
                """,
                (target,),
            ).fetchall()
            for key, text in rows:
                if key not in mine:
                    mine[key] = Address.parse(text)
                    newest.append(key)
    return list(mine.values())


def credentials(db: apsw.Connection, key: str) -> Credentials | None:
    """All verifiers of the enabled account whose main address this is."""
    row = db.execute(
        """
        SELECT account.account_id, address.text, quota_octets, is_enabled,
            scram_salt, scram_iteration_count, argon2id, scram_stored_key, scram_server_key
        FROM address JOIN account ON account.account_id = address.account_id
        WHERE address.key = ? AND is_enabled
        """,
        (key,),
    ).fetchone()
    if row is None:
        return None
    rows: Iterable[Any] = db.execute(
        """
        SELECT app_password_id, label, scopes, created_at_s, argon2id, scram_stored_key, scram_server_key
        FROM app_password WHERE account_id = ? ORDER BY app_password_id
        """,
        (row[0],),
    )
    app_passwords = tuple(
        AppPassword(number, label, frozenset(scopes.split()), datetime.fromtimestamp(created, UTC), Verifier(*verifier))
        for number, label, scopes, created, *verifier in rows
    )
    return Credentials(_account(*row[:4]), row[4], row[5], Verifier(*row[6:]), app_passwords)


def credential_changes(db: apsw.Connection, since: int) -> CredentialChanges:
    """Whose credentials changed after `since`."""
    query = "SELECT change_id, account_id FROM credential_change WHERE change_id > ?"
    rows: list[Any] = db.execute(query, (since,)).fetchall()
    latest = max((change_id for change_id, _ in rows), default=since)
    return CredentialChanges(latest, frozenset(account_id for _, account_id in rows))


def _domain(name: str, catch_all: str | None) -> Domain:
    return Domain(name, Address.parse(catch_all) if catch_all else None)


def _account(account_id: str, address: str, quota_octets: int | None, is_enabled: int) -> Account:
    return Account(AccountId(account_id), Address.parse(address), quota_octets, bool(is_enabled))


def _alias(db: apsw.Connection, key: str, text: str) -> Alias:
    rows = db.execute("SELECT text FROM alias_target WHERE alias_key = ? ORDER BY position", (key,))
    return Alias(Address.parse(text), tuple(Address.parse(target) for (target,) in rows))
