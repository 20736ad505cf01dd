"""Rows that go with domains, addresses and accounts: profiles that the API tells, and how their people log in.

Run inside the directory's units of work. Triggers would do it, but are switched off for all our files (attack row 74).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from mailstead.model.address import Address
from mailstead.model.errors import NotAllowed
from mailstead.model.ids import AccountId
from mailstead.model.people import owner_of
from mailstead.storage.embedded.rows import select_one


def make_domain_profile(db: apsw.Connection, name: str) -> None:
    """A new domain gets an object id."""
    db.execute(
        "INSERT INTO domain_profile (name, object_id, created_at_s, updated_at_s)"
        " VALUES (?, lower(hex(randomblob(12))), unixepoch(), unixepoch())",
        (name,),
    )


def touch_domain(db: apsw.Connection, name: str) -> None:
    """A domain was changed now."""
    db.execute("UPDATE domain_profile SET updated_at_s = unixepoch() WHERE name = ?", (name,))


def make_address_profile(db: apsw.Connection, address: Address) -> None:
    """A new address gets an object id."""
    local_part = address.key.rpartition("@")[0]
    db.execute(
        "INSERT INTO address_profile (key, domain, local_part, object_id, created_at_s, updated_at_s)"
        " VALUES (?, ?, ?, lower(hex(randomblob(12))), unixepoch(), unixepoch())",
        (address.key, address.domain, local_part),
    )


def touch_account(db: apsw.Connection, account_id: AccountId) -> None:
    """An account was changed now."""
    db.execute(
        "UPDATE address_profile SET updated_at_s = unixepoch()"
        " WHERE key = (SELECT key FROM address WHERE account_id = ?)",
        (account_id,),
    )


def describe(db: apsw.Connection, key: str, description: str) -> None:
    """Make an address be found by its description, which was changed now."""
    db.execute(
        "UPDATE address_profile SET description_text = ?, updated_at_s = unixepoch() WHERE key = ?",
        (description.casefold(), key),
    )


def forget_log_in(db: apsw.Connection, owner: str) -> None:
    """Remove second factors, sessions, links and preferences of somebody who goes (`model.people.owner_of`)."""
    for table in ("factor", "web_session", "oidc_link", "owner_preference"):
        db.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,))  # noqa: S608  # our own words
    note_rights_change(db, owner)


def note_rights_change(db: apsw.Connection, owner: str) -> None:
    """Tell those who hold something open for an owner (`model.people.owner_of`) to look again (attack row 64)."""
    db.execute("INSERT INTO credential_change VALUES (NULL, ?)", (owner.removeprefix("a:"),))


def note_rights_change_of_user(db: apsw.Connection, account_id: AccountId) -> None:
    """Tell those who hold something open for the user that an account is, if it is one."""
    row = select_one(db, "SELECT user_id FROM user WHERE account_id = ?", (account_id,))
    if row is not None:
        note_rights_change(db, owner_of(row[0], None))


def forget_account_log_in(db: apsw.Connection, account_id: AccountId) -> None:
    """Remove those of an account that goes, and of the user that it is."""
    forget_log_in(db, owner_of(None, account_id))
    row = select_one(db, "SELECT user_id FROM user WHERE account_id = ?", (account_id,))
    if row is not None:
        forget_log_in(db, owner_of(row[0], None))


@contextmanager
def keeping_an_administrator(db: apsw.Connection) -> Iterator[None]:
    """Refuse a change after which nobody could administer the server any more. Errors: NotAllowed."""
    had_one = _has_administrator(db)
    yield
    if had_one and not _has_administrator(db):
        raise NotAllowed("The server would be left without an administrator; make another one first")


def _has_administrator(db: apsw.Connection) -> bool:
    found = select_one(
        db,
        "SELECT 1 FROM user LEFT JOIN account ON account.account_id = user.account_id"
        " WHERE user.is_admin AND user.is_enabled AND coalesce(account.is_enabled, 1) LIMIT 1",
    )
    return found is not None
