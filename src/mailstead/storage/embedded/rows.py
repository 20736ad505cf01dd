"""Rows of an account file as values, and small questions that several verbs ask."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from mailstead.model.errors import NoSuchAccount, NoSuchMailbox
from mailstead.model.flags import DELETED, SEEN, SYSTEM_FLAGS, Flags
from mailstead.model.ids import EmailId, MailboxId, ModSeq, ThreadId, Uid, UidValidity
from mailstead.model.mailbox import Mailbox
from mailstead.model.uidset import UidSet

Parameters = Sequence[int | str | bytes | None] | Mapping[str, int | str]

BIT_OF: Final = {flag: 1 << position for position, flag in enumerate(SYSTEM_FLAGS)}
SEEN_BIT: Final = BIT_OF[SEEN]
DELETED_BIT: Final = BIT_OF[DELETED]


def select(db: apsw.Connection, sql: str, parameters: Parameters = ()) -> list[Any]:
    """Give all rows of a statement, as tuples whose types the statement decides."""
    return db.execute(sql, parameters).fetchall()


def select_one(db: apsw.Connection, sql: str, parameters: Parameters = ()) -> Any:
    """Give the first row of a statement, or None."""
    return db.execute(sql, parameters).fetchone()


def select_packed(
    db: apsw.Connection, columns: str, rest: str, parameters: Parameters = (), order: str = ""
) -> list[Any]:
    """Give all rows of numbers and texts, packed by SQLite into one.

    A connection lets go of the interpreter lock for each row it steps to, and beside a busy event loop each taking back
    may wait for a turn: 10,000 rows took seconds (docs/adr/0006). Packed, there is one step.
    """
    (packed,) = select_one(db, f"SELECT json_group_array(json_array({columns}) {order}) {rest}", parameters)
    return msgspec.json.decode(packed)  # type: ignore[no-any-return] # as the columns are


class AccountRow(NamedTuple):
    """The counters of the account, in the order of `ACCOUNT_COLUMNS`."""

    modseq: int
    size_octets: int
    message_count: int
    mailbox_count: int
    quota_octets: int | None
    quota_messages: int | None
    last_uidvalidity: int
    next_content_id: int
    indexed_to: int
    thread_salt: bytes
    is_deleted: int
    dav_octets: int
    had_defaults: int


ACCOUNT_COLUMNS: Final = ", ".join(AccountRow._fields)


class MailboxRow(NamedTuple):
    """A row of the mailbox table, in the order of `MAILBOX_COLUMNS`."""

    mailbox_id: int
    name: str
    special_use: str | None
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    message_count: int
    unseen_count: int
    deleted_count: int
    size_octets: int
    first_unseen_uid: int | None

    def as_mailbox(self, *, is_subscribed: bool) -> Mailbox:
        """Give it as the house knows it."""
        return Mailbox(
            mailbox_id=MailboxId(self.mailbox_id),
            name=self.name,
            uidvalidity=UidValidity(self.uidvalidity),
            uidnext=Uid(self.uidnext),
            highestmodseq=ModSeq(self.highestmodseq),
            message_count=self.message_count,
            unseen_count=self.unseen_count,
            deleted_count=self.deleted_count,
            size_octets=self.size_octets,
            special_use=self.special_use,
            is_subscribed=is_subscribed,
        )


MAILBOX_COLUMNS: Final = ", ".join(MailboxRow._fields)


@contextmanager
def one_moment(db: apsw.Connection) -> Iterator[None]:
    """Let all reads inside see one moment of the store (promise 6)."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:  # an interrupted statement may have ended it
            db.execute("COMMIT")


def account_row(db: apsw.Connection) -> AccountRow:
    """Read the account's counters. Errors: NoSuchAccount, when it was deleted by another process."""
    row = select_one(db, f"SELECT {ACCOUNT_COLUMNS} FROM account")
    account = AccountRow._make(row)
    if account.is_deleted:
        raise NoSuchAccount
    return account


def mailbox_by_name(db: apsw.Connection, name: str) -> MailboxRow:
    """Read a mailbox row. Errors: NoSuchMailbox."""
    row = select_one(db, f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE name = ?", (name,))
    if row is None:
        raise NoSuchMailbox(name=name)
    return MailboxRow._make(row)


def mailbox_by_id(db: apsw.Connection, mailbox_id: int) -> MailboxRow:
    """Read a mailbox row. Errors: NoSuchMailbox."""
    row = select_one(
        db,
        f"SELECT {MAILBOX_COLUMNS} FROM mailbox WHERE mailbox_id = ?",
        (mailbox_id,),
    )
    if row is None:
        raise NoSuchMailbox(mailbox_id=mailbox_id)
    return MailboxRow._make(row)


def email_id_of(content_id: int) -> EmailId:
    """Spec: RFC 8474 §5.1. Copies share their content, hence the id."""
    return EmailId(f"M{content_id}")


def thread_id_of(thread_no: int) -> ThreadId:
    """Spec: RFC 8474 §5.2."""
    return ThreadId(f"T{thread_no}")


@lru_cache(maxsize=4096)
def flags_of(bits: int, keywords: str) -> Flags:
    """Give the flags that a message row holds. Few combinations are in use, so they are made once."""
    system = [flag for flag, bit in BIT_OF.items() if bits & bit]
    return frozenset(system + keywords.split())


@lru_cache(maxsize=4096)
def row_flags(flags: Flags) -> tuple[int, str]:
    """Give the two columns for a set of flags."""
    bits = sum(BIT_OF.get(flag, 0) for flag in flags)
    return bits, " ".join(sorted(flag for flag in flags if flag not in BIT_OF))


def runs_json(uids: UidSet) -> str:
    """Give a set of UIDs for use with `IN_RUNS`."""
    return json.dumps(uids.runs)


IN_RUNS: Final = (
    "json_each(?) AS run CROSS JOIN message AS m"
    " ON m.mailbox_id = ? AND m.uid BETWEEN (run.value ->> 0) AND (run.value ->> 1)"
)
"""FROM clause for the messages of a mailbox in a set of UIDs: parameters are the set's runs and the mailbox.

One statement for any number of runs; a run costs one descent of the tree, whatever its length (attack row 47). CROSS
JOIN keeps the order of the runs, hence of the UIDs, without sorting.
"""
