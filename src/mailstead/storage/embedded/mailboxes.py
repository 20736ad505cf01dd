"""Mailbox verbs: list, create, delete, rename, subscriptions, annotations.

Spec: RFC 9051 §6.3.4 to §6.3.9, RFC 6154 (special use), RFC 5464 (annotations).
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from collections.abc import Iterable
from typing import Final

import apsw

from mailstead.model.errors import (
    BadMailboxName,
    LimitReached,
    MailboxExists,
    MailboxHasChildren,
    NoSuchMailbox,
    NotAllowed,
)
from mailstead.model.ids import MailboxId, ModSeq, Uid, UidValidity
from mailstead.model.mailbox import DELIMITER, INBOX, SPECIAL_USES, Mailbox, normal_name
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import message_writes, rows
from mailstead.storage.embedded.rows import MAILBOX_COLUMNS, MailboxRow, select, select_one
from mailstead.storage.embedded.transaction import Transaction

MAILBOXES_MAX: Final = 10_000
SUBSCRIPTIONS_MAX: Final = 20_000
ANNOTATIONS_MAX: Final = 100
"""For one mailbox, and for the account itself."""
ANNOTATION_OCTETS_MAX: Final = 65_536


def mailboxes(db: apsw.Connection) -> list[Mailbox]:
    """See `AccountStore.mailboxes`. Names that exist only above others are derived, not stored."""
    with rows.one_moment(db):
        found = [MailboxRow._make(row) for row in select(db, f"SELECT {MAILBOX_COLUMNS} FROM mailbox")]
        subscribed = set(subscriptions(db))
    result = {row.name: row.as_mailbox(is_subscribed=row.name in subscribed) for row in found}
    for row in found:
        for parent in parents_of(row.name):
            if parent not in result:
                result[parent] = _name_only(parent, is_subscribed=parent in subscribed)
    return sorted(result.values(), key=lambda mailbox: (mailbox.name != INBOX, mailbox.name))


def mailbox(db: apsw.Connection, name: str) -> Mailbox:
    """See `AccountStore.mailbox`."""
    with rows.one_moment(db):
        is_subscribed = select_one(db, "SELECT 1 FROM subscription WHERE name = ?", (name,)) is not None
        try:
            return rows.mailbox_by_name(db, name).as_mailbox(is_subscribed=is_subscribed)
        except NoSuchMailbox:
            if _has_children(db, name):
                return _name_only(name, is_subscribed=is_subscribed)
            raise


def create_mailbox(transaction: Transaction, name: str, special_use: str | None) -> Mailbox:
    """See `AccountStore.create_mailbox`. Spec: RFC 9051 §6.3.4; RFC 6154 §3 (one mailbox for each special use here)."""
    name = normal_name(name)
    db = transaction.db
    if _exists(db, name):
        raise MailboxExists(name=name)
    if special_use is not None:
        if special_use not in SPECIAL_USES:
            raise BadMailboxName("No such special use")
        if select_one(db, "SELECT 1 FROM mailbox WHERE special_use = ?", (special_use,)):
            raise MailboxExists("Another mailbox has that special use")
    _create_parents(transaction, name)
    row = _insert(transaction, name, special_use)
    is_subscribed = select_one(db, "SELECT 1 FROM subscription WHERE name = ?", (name,)) is not None
    return row.as_mailbox(is_subscribed=is_subscribed)


def delete_mailbox(transaction: Transaction, name: str) -> None:
    """See `AccountStore.delete_mailbox`. The subscription stays. Spec: RFC 9051 §6.3.5."""
    if name == INBOX:
        raise NotAllowed("INBOX cannot be deleted")
    db = transaction.db
    try:
        row = transaction.mailbox_named(name)
    except NoSuchMailbox:
        if _has_children(db, name):
            raise MailboxHasChildren(name=name) from None
        raise
    message_writes.expunge(transaction, row.mailbox_id, None, only_deleted=False)
    transaction.forget_mailboxes()
    for table in ("mailbox", "expunged", "keyword", "annotation"):
        db.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (row.mailbox_id,))
    account = transaction.account
    transaction.account = account._replace(mailbox_count=account.mailbox_count - 1)
    transaction.next_modseq()


def rename_mailbox(transaction: Transaction, name: str, new_name: str) -> None:
    """See `AccountStore.rename_mailbox`. Spec: RFC 9051 §6.3.6."""
    new_name = normal_name(new_name)
    db = transaction.db
    if _exists(db, new_name) or _has_children(db, new_name):
        raise MailboxExists(name=new_name)
    if new_name.startswith(name + DELIMITER) and name != INBOX:
        raise BadMailboxName("A mailbox cannot be moved below itself")
    if name == INBOX:
        source = transaction.mailbox_named(INBOX)
        create_mailbox(transaction, new_name, None)
        message_writes.move(transaction, source.mailbox_id, UidSet([(1, source.uidnext)]), new_name)
        return
    if not _exists(db, name) and not _has_children(db, name):
        raise NoSuchMailbox(name=name)
    _create_parents(transaction, new_name)
    transaction.forget_mailboxes()
    renamed = select(
        db,
        "SELECT mailbox_id, name FROM mailbox WHERE name = ?1 OR substr(name, 1, length(?2)) = ?2",
        (name, name + DELIMITER),
    )
    for mailbox_id, old in renamed:
        db.execute(
            "UPDATE mailbox SET name = ? WHERE mailbox_id = ?", (normal_name(new_name + old[len(name) :]), mailbox_id)
        )
    transaction.next_modseq()


def subscribe(transaction: Transaction, name: str, *, is_subscribed: bool) -> None:
    """See `AccountStore.subscribe`. Spec: RFC 9051 §6.3.7."""
    name = normal_name(name)
    db = transaction.db
    if not is_subscribed:
        db.execute("DELETE FROM subscription WHERE name = ?", (name,))
        return
    (count,) = select_one(db, "SELECT count(*) FROM subscription")
    if count >= SUBSCRIPTIONS_MAX:
        raise LimitReached(f"An account has at most {SUBSCRIPTIONS_MAX} subscriptions")
    db.execute("INSERT OR IGNORE INTO subscription VALUES (?)", (name,))


def subscriptions(db: apsw.Connection) -> list[str]:
    """See `AccountStore.subscriptions`."""
    return [name for (name,) in select(db, "SELECT name FROM subscription ORDER BY name")]


def annotations(db: apsw.Connection, name: str | None) -> dict[str, bytes]:
    """See `AccountStore.annotations`. Spec: RFC 5464 §4.2."""
    with rows.one_moment(db):
        mailbox_id = 0 if name is None else rows.mailbox_by_name(db, name).mailbox_id
        return dict(
            select(db, "SELECT entry, value FROM annotation WHERE mailbox_id = ? ORDER BY entry", (mailbox_id,))
        )


def annotation_marks(db: apsw.Connection) -> dict[tuple[MailboxId, str], int]:
    """See `AccountStore.annotation_marks`."""
    annotations = db.execute("SELECT mailbox_id, entry, value FROM annotation")
    return {(MailboxId(mailbox_id), entry): hash(value) for mailbox_id, entry, value in annotations}


def set_annotations(transaction: Transaction, name: str | None, entries: dict[str, bytes | None]) -> None:
    """See `AccountStore.set_annotations`. Spec: RFC 5464 §4.3."""
    db = transaction.db
    mailbox_id = 0 if name is None else transaction.mailbox_named(name).mailbox_id
    for entry, value in entries.items():
        if value is None:
            db.execute("DELETE FROM annotation WHERE mailbox_id = ? AND entry = ?", (mailbox_id, entry))
            continue
        if len(value) > ANNOTATION_OCTETS_MAX:
            raise LimitReached(f"An annotation has at most {ANNOTATION_OCTETS_MAX} octets")
        db.execute("INSERT OR REPLACE INTO annotation VALUES (?, ?, ?)", (mailbox_id, entry, value))
    (count,) = select_one(db, "SELECT count(*) FROM annotation WHERE mailbox_id = ?", (mailbox_id,))
    if count > ANNOTATIONS_MAX:
        raise LimitReached(f"A mailbox has at most {ANNOTATIONS_MAX} annotations")


def parents_of(name: str) -> Iterable[str]:
    """Yield the names above a name, the highest first."""
    levels = name.split(DELIMITER)
    for depth in range(1, len(levels)):
        yield DELIMITER.join(levels[:depth])


def _name_only(name: str, *, is_subscribed: bool) -> Mailbox:
    return Mailbox(
        mailbox_id=MailboxId(0),
        name=name,
        uidvalidity=UidValidity(0),
        uidnext=Uid(1),
        highestmodseq=ModSeq(1),
        message_count=0,
        unseen_count=0,
        deleted_count=0,
        size_octets=0,
        is_subscribed=is_subscribed,
        is_selectable=False,
    )


def _exists(db: apsw.Connection, name: str) -> bool:
    return select_one(db, "SELECT 1 FROM mailbox WHERE name = ?", (name,)) is not None


def _has_children(db: apsw.Connection, name: str) -> bool:
    # The characters behind DELIMITER ("/") in order begin with "0": a range of the name index.
    return (
        select_one(
            db,
            "SELECT 1 FROM mailbox WHERE name > ? AND name < ? LIMIT 1",
            (name + DELIMITER, name + chr(ord(DELIMITER) + 1)),
        )
        is not None
    )


def _create_parents(transaction: Transaction, name: str) -> None:
    for parent in parents_of(name):
        if not _exists(transaction.db, parent):
            _insert(transaction, parent, None)


def _insert(transaction: Transaction, name: str, special_use: str | None) -> MailboxRow:
    account = transaction.account
    if account.mailbox_count >= MAILBOXES_MAX:
        raise LimitReached(f"An account has at most {MAILBOXES_MAX} mailboxes")
    transaction.account = account._replace(mailbox_count=account.mailbox_count + 1)
    transaction.db.execute(
        "INSERT INTO mailbox (name, special_use, uidvalidity, uidnext, highestmodseq, message_count, unseen_count,"
        " deleted_count, size_octets) VALUES (?, ?, ?, 1, ?, 0, 0, 0, 0)",
        (name, special_use, transaction.next_uidvalidity(), transaction.next_modseq()),
    )
    return transaction.mailbox_named(name)
