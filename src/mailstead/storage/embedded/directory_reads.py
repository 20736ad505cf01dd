"""What the directory can be asked: one function per question, run in the reading thread inside one snapshot."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.address import Address
from mailstead.model.directory import (
    CATCH_ALL,
    Account,
    Alias,
    AliasKind,
    AppPassword,
    Credentials,
    DkimKey,
    Domain,
    KeyState,
    Verifier,
)
from mailstead.model.ids import AccountId
from mailstead.ports.storage import CredentialChanges
from mailstead.storage.embedded import directory_turns
from mailstead.storage.embedded.directory_values import address_of, target_of, targets_of, terms_of
from mailstead.storage.embedded.rows import select_packed

ALIAS_STEPS_MAX: Final = 10
"""How far `addresses_of` follows aliases of aliases."""

_ACCOUNT_COLUMNS: Final = (
    "account.account_id, address.text, address.domain, quota_octets, is_enabled, forward_to, keeps_copy, sending_limit,"
    " disabled_code, is_sealed"
)
_ACCOUNT: Final = f"SELECT {_ACCOUNT_COLUMNS} FROM account JOIN address ON address.account_id = account.account_id"
_ALIAS_COLUMNS: Final = (
    "alias.key, address.text, alias.domain, is_enabled, disabled_code, expires_at_s, description, is_masked"
)
_ALIAS: Final = f"SELECT {_ALIAS_COLUMNS} FROM alias JOIN address ON address.key = alias.key"


def data_version(db: apsw.Connection) -> int:
    """Give a number that changes when any other connection commits."""
    # Inside a snapshot it tells the version of that snapshot only once something was read.
    db.execute("SELECT 1 FROM domain LIMIT 1").fetchall()
    version = db.pragma("data_version")
    assert isinstance(version, int)
    return version


def domains(db: apsw.Connection) -> list[Domain]:
    """All domains by name."""
    return [_domain(*row) for row in db.execute("SELECT name, terms FROM domain ORDER BY name")]


def domain(db: apsw.Connection, name: str) -> Domain | None:
    """One domain."""
    row = db.execute("SELECT name, terms FROM domain WHERE name = ?", (name,)).fetchone()
    return _domain(*row) if row else None


def accounts(db: apsw.Connection, domain_name: str | None) -> list[Account]:
    """All accounts, or those of one domain, by address."""
    query = f"{_ACCOUNT} WHERE ?1 IS NULL OR address.domain = ?1 ORDER BY address.domain, address.key"
    return [_account(*row) for row in db.execute(query, (domain_name,))]


def account(db: apsw.Connection, account_id: AccountId) -> Account | None:
    """One account by its key."""
    if account_id.startswith(f"{CATCH_ALL}@"):
        return directory_turns.catch_all_account(db, account_id)
    row = db.execute(f"{_ACCOUNT} WHERE account.account_id = ?", (account_id,)).fetchone()
    return _account(*row) if row else None


def find(db: apsw.Connection, key: str) -> Account | Alias | None:
    """Who has exactly this address; patterns and the catch-all are nobody's address."""
    row = db.execute("SELECT account_id FROM address WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    if row[0]:
        return account(db, row[0])
    found: Any = db.execute(f"{_ALIAS} WHERE alias.key = ? AND kind = ?", (key, AliasKind.EXACT.value)).fetchone()
    return _alias(db, *found) if found else None


def patterns(db: apsw.Connection, domain_name: str) -> list[Alias]:
    """The aliases of a domain that are patterns, in the order of their creation, then its catch-all."""
    query = f"{_ALIAS} WHERE alias.domain = ? AND kind > 0 ORDER BY kind, alias_id"
    rows: list[Any] = db.execute(query, (domain_name,)).fetchall()
    return [_alias(db, *row) for row in rows]


def aliases(db: apsw.Connection, domain_name: str | None) -> list[Alias]:
    """All aliases, or those of one domain, by address."""
    query = f"{_ALIAS} WHERE ?1 IS NULL OR alias.domain = ?1 ORDER BY alias.domain, alias.key"
    rows: list[Any] = db.execute(query, (domain_name,)).fetchall()
    return [_alias(db, *row) for row in rows]


def accounts_by_id(db: apsw.Connection, account_ids: Sequence[str]) -> dict[AccountId, Account]:
    """Those of some accounts that are there."""
    if not account_ids:
        return {}
    found = select_packed(
        db,
        _ACCOUNT_COLUMNS,
        "FROM json_each(?) AS wanted JOIN account ON account.account_id = wanted.value"
        " JOIN address ON address.account_id = account.account_id",
        (msgspec.json.encode(list(account_ids)).decode(),),
    )
    return {AccountId(row[0]): _account(*row) for row in found}


def aliases_by_key(db: apsw.Connection, keys: Sequence[str]) -> dict[str, Alias]:
    """Those of some aliases that are there, by the keys of their addresses."""
    if not keys:
        return {}
    found = select_packed(
        db,
        f"{_ALIAS_COLUMNS}, json((SELECT json_group_array(json_array(target.kind, target.text) ORDER BY position)"
        " FROM alias_target AS target WHERE target.alias_key = alias.key))",
        "FROM json_each(?) AS wanted JOIN alias ON alias.key = wanted.value JOIN address ON address.key = alias.key",
        (msgspec.json.encode(list(keys)).decode(),),
    )
    return {key: _alias_of(targets, *columns) for key, *columns, targets in found}


def unnoted_app_passwords(db: apsw.Connection, app_password_ids: Sequence[int], day: str) -> list[int]:
    """Those of the app passwords whose last use was on an earlier day."""
    rows: Iterable[Any] = db.execute(
        "SELECT app_password_id FROM app_password"
        " WHERE app_password_id IN (SELECT value FROM json_each(?)) AND last_used_on < ?",
        (msgspec.json.encode(list(app_password_ids)).decode(), day),
    )
    return [number for (number,) in rows]


def addresses_of(db: apsw.Connection, account_id: AccountId) -> list[Address]:
    """The main address and every alias that leads only to this account, also through other aliases."""
    row = db.execute("SELECT key, text, domain FROM address WHERE account_id = ?", (account_id,)).fetchone()
    if row is None:
        return []
    mine = {row[0]: address_of(row[1], row[2])}
    newest = [row[0]]
    for _ in range(ALIAS_STEPS_MAX):
        # An alias with one target that is mine is mine. (An alias with several targets belongs to a group.)
        asked, newest = newest, []
        for target in asked:
            rows: list[Any] = db.execute(
                """
                SELECT address.key, address.text, address.domain FROM alias_target
                JOIN address ON address.key = alias_target.alias_key
                JOIN alias ON alias.key = address.key AND alias.kind = 0
                WHERE alias_target.target_key = ? AND alias_target.kind = 'address'
                AND (SELECT count(*) FROM alias_target AS other WHERE other.alias_key = address.key) = 1
                ORDER BY address.key
                """,
                (target,),
            ).fetchall()
            for key, text, domain_name in rows:
                if key not in mine:
                    mine[key] = address_of(text, domain_name)
                    newest.append(key)
    return list(mine.values())


def credentials(db: apsw.Connection, key: str) -> Credentials | None:
    """All verifiers of the enabled account whose main address this is."""
    if key.startswith(f"{CATCH_ALL}@"):
        return directory_turns.catch_all_credentials(db, key.removeprefix(f"{CATCH_ALL}@"))
    row = db.execute(
        f"""
        SELECT scram_salt, scram_iteration_count, argon2id, scram_stored_key, scram_server_key, {_ACCOUNT_COLUMNS}
        FROM address JOIN account ON account.account_id = address.account_id
        WHERE address.key = ? AND is_enabled
        """,
        (key,),
    ).fetchone()
    if row is None:
        return None
    rows: Iterable[Any] = db.execute(
        """
        SELECT app_password_id, label, scopes, created_at_s, networks, expires_at_s, last_used_on,
            argon2id, scram_stored_key, scram_server_key
        FROM app_password WHERE account_id = ? ORDER BY app_password_id
        """,
        (row[5],),
    )
    app_passwords = tuple(
        AppPassword(
            number,
            label,
            frozenset(scopes.split()),
            datetime.fromtimestamp(created, UTC),
            Verifier(*verifier),
            networks=tuple(networks.split()),
            expires_at=None if expires_at_s is None else datetime.fromtimestamp(expires_at_s, UTC),
            last_used_on=last_used_on,
        )
        for number, label, scopes, created, networks, expires_at_s, last_used_on, *verifier in rows
    )
    return Credentials(_account(*row[5:]), row[0], row[1], Verifier(*row[2:5]), app_passwords)


def credential_changes(db: apsw.Connection, since: int) -> CredentialChanges:
    """Whose credentials changed after `since`."""
    query = "SELECT change_id, account_id FROM credential_change WHERE change_id > ?"
    rows: list[Any] = db.execute(query, (since,)).fetchall()
    latest = max((change_id for change_id, _ in rows), default=since)
    return CredentialChanges(latest, frozenset(account_id for _, account_id in rows))


def dkim_keys(db: apsw.Connection, domain_name: str) -> list[DkimKey]:
    """All signing keys of a domain, oldest first."""
    query = """
        SELECT domain, selector, algorithm, private_key, created_at_s, state FROM dkim_key
        WHERE domain = ? ORDER BY created_at_s, selector
        """
    rows: Iterable[Any] = db.execute(query, (domain_name,))
    return [
        DkimKey(name, selector, algorithm, private_key, datetime.fromtimestamp(created_at_s, UTC), KeyState(state))
        for name, selector, algorithm, private_key, created_at_s, state in rows
    ]


def _domain(name: str, terms: str) -> Domain:
    return Domain(name, terms_of(terms))


def _account(
    account_id: str,
    text: str,
    domain_name: str,
    quota_octets: int | None,
    is_enabled: int,
    forward_to: str,
    keeps_copy: int,
    sending_limit: int | None,
    disabled_code: int | None,
    is_sealed: int,
) -> Account:
    return Account(
        AccountId(account_id),
        address_of(text, domain_name),
        quota_octets,
        bool(is_enabled),
        targets_of(forward_to),
        bool(keeps_copy),
        sending_limit,
        disabled_code,
        bool(is_sealed),
    )


def _alias(db: apsw.Connection, key: str, *columns: Any) -> Alias:
    rows: list[Any] = db.execute(
        "SELECT kind, text FROM alias_target WHERE alias_key = ? ORDER BY position", (key,)
    ).fetchall()
    return _alias_of(rows, *columns)


def _alias_of(
    targets: Iterable[tuple[str, str]],
    text: str,
    domain_name: str,
    is_enabled: int,
    disabled_code: int,
    expires_at_s: int | None,
    description: str,
    is_masked: int,
) -> Alias:
    return Alias(
        address_of(text, domain_name),
        tuple(target_of(kind, target) for kind, target in targets),
        bool(is_enabled),
        disabled_code,
        None if expires_at_s is None else datetime.fromtimestamp(expires_at_s, UTC),
        description,
        bool(is_masked),
    )
