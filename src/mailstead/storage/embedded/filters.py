"""Scripts, preferences and small facts that run out: what filters keep in the account.

Spec: RFC 5804 §2 (scripts).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import apsw

from mailstead.model.errors import LimitReached, NoSuchScript, PreconditionFailed, ScriptActive, ScriptExists
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX, Filtering, SieveScript, SieveText
from mailstead.storage.embedded import rows
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.transaction import Transaction

PREFERENCES_MAX: Final = 200
PREFERENCE_OCTETS_MAX: Final = 65_536
REMEMBERED_MAX: Final = 10_000
"""For one kind; beyond it what runs out first is forgotten first."""


def scripts(db: apsw.Connection) -> list[SieveScript]:
    """See `AccountStore.scripts`."""
    found = select(db, "SELECT name, length(octets), is_active FROM script ORDER BY name")
    return [SieveScript(name, octets_count, bool(is_active)) for name, octets_count, is_active in found]


def script(db: apsw.Connection, name: str) -> bytes:
    """See `AccountStore.script`."""
    found = select_one(db, "SELECT octets FROM script WHERE name = ?", (name,))
    if found is None:
        raise NoSuchScript(name=name)
    (octets,) = found
    assert isinstance(octets, bytes)
    return octets


def filtering(db: apsw.Connection) -> Filtering:
    """See `AccountStore.filtering`."""
    with rows.one_moment(db):
        active = select_one(db, "SELECT name, octets FROM script WHERE is_active = 1")
        name, octets = active or ("", b"")
        return Filtering(
            script_name=name,
            script=octets,
            scripts=dict(select(db, "SELECT name, octets FROM script")) if b"include" in octets.lower() else {},
            preferences=preferences(db),
            mailboxes=dict(select(db, "SELECT name, special_use FROM mailbox")),
        )


def preferences(db: apsw.Connection) -> dict[str, bytes]:
    """See `AccountStore.preferences`."""
    return dict(select(db, "SELECT key, value FROM preference ORDER BY key"))


def put_script(transaction: Transaction, name: str, octets: bytes) -> None:
    """See `AccountStore.put_script`. Spec: RFC 5804 §2.6; attack row 57."""
    db = transaction.db
    if len(octets) > SCRIPT_OCTETS_MAX:
        raise LimitReached(f"A script has at most {SCRIPT_OCTETS_MAX} octets")
    if not _exists(db, name) and _count(db, "SELECT count(*) FROM script") >= SCRIPTS_MAX:
        raise LimitReached(f"An account has at most {SCRIPTS_MAX} scripts")
    db.execute(
        "INSERT INTO script VALUES (?, 0, ?) ON CONFLICT (name) DO UPDATE SET octets = excluded.octets", (name, octets)
    )


def exchange_script(transaction: Transaction, before: SieveText | None, after: SieveText) -> None:
    """See `AccountStore.exchange_script`."""
    db = transaction.db
    active = select_one(db, "SELECT name, octets FROM script WHERE is_active = 1")
    if active != (None if before is None else (before.name, before.octets)):
        raise PreconditionFailed("The script was changed meanwhile; look at it again")
    if (before is None or after.name != before.name) and _exists(db, after.name):
        raise ScriptExists(name=after.name)
    put_script(transaction, after.name, after.octets)
    activate_script(transaction, after.name)


def delete_script(transaction: Transaction, name: str) -> None:
    """See `AccountStore.delete_script`. Spec: RFC 5804 §2.10."""
    found = select_one(transaction.db, "SELECT is_active FROM script WHERE name = ?", (name,))
    if found is None:
        raise NoSuchScript(name=name)
    if found[0]:
        raise ScriptActive(name=name)
    transaction.db.execute("DELETE FROM script WHERE name = ?", (name,))


def rename_script(transaction: Transaction, name: str, new_name: str) -> None:
    """See `AccountStore.rename_script`. The active script stays active. Spec: RFC 5804 §2.11.1."""
    db = transaction.db
    if not _exists(db, name):
        raise NoSuchScript(name=name)
    if _exists(db, new_name):
        raise ScriptExists(name=new_name)
    db.execute("UPDATE script SET name = ? WHERE name = ?", (new_name, name))


def activate_script(transaction: Transaction, name: str | None) -> None:
    """See `AccountStore.activate_script`. Spec: RFC 5804 §2.8."""
    db = transaction.db
    if name is not None and not _exists(db, name):
        raise NoSuchScript(name=name)
    db.execute("UPDATE script SET is_active = 0 WHERE is_active = 1")
    if name is not None:
        db.execute("UPDATE script SET is_active = 1 WHERE name = ?", (name,))


def set_preferences(transaction: Transaction, values: Mapping[str, bytes | None]) -> None:
    """See `AccountStore.set_preferences`."""
    db = transaction.db
    for key, value in values.items():
        if value is None:
            db.execute("DELETE FROM preference WHERE key = ?", (key,))
            continue
        if len(value) > PREFERENCE_OCTETS_MAX:
            raise LimitReached(f"A setting has at most {PREFERENCE_OCTETS_MAX} octets")
        db.execute("INSERT OR REPLACE INTO preference VALUES (?, ?)", (key, value))
    if _count(db, "SELECT count(*) FROM preference") > PREFERENCES_MAX:
        raise LimitReached(f"An account has at most {PREFERENCES_MAX} settings")


def remember_first(transaction: Transaction, kind: str, key: str, now: datetime, until: datetime) -> bool:
    """See `AccountStore.remember_first`."""
    db = transaction.db
    db.execute("DELETE FROM remembered WHERE kind = ? AND until_s <= ?", (kind, int(now.timestamp())))
    if select_one(db, "SELECT 1 FROM remembered WHERE kind = ? AND key = ?", (kind, key)):
        return False
    db.execute("INSERT INTO remembered VALUES (?, ?, ?)", (kind, key, int(until.timestamp())))
    excess = _count(db, "SELECT count(*) FROM remembered WHERE kind = ?", kind) - REMEMBERED_MAX
    if excess > 0:
        db.execute(
            "DELETE FROM remembered WHERE (kind, key) IN"
            " (SELECT kind, key FROM remembered WHERE kind = ? ORDER BY until_s LIMIT ?)",
            (kind, excess),
        )
    return True


def remembered(db: apsw.Connection, kind: str, now: datetime) -> frozenset[str]:
    """See `AccountStore.remembered`."""
    found = rows.select_packed(
        db, "key", "FROM remembered WHERE kind = ? AND until_s > ?", (kind, int(now.timestamp()))
    )
    return frozenset(key for (key,) in found)


def _exists(db: apsw.Connection, name: str) -> bool:
    return select_one(db, "SELECT 1 FROM script WHERE name = ?", (name,)) is not None


def _count(db: apsw.Connection, sql: str, *parameters: str) -> int:
    (count,) = select_one(db, sql, parameters)
    assert isinstance(count, int)
    return count
