"""Mail that waits for locked accounts, in one encrypted file; each message is sealed to its account's public key.

Beside what is sealed a row says for whom it is, how large, and in which order it came: what quota and merging need. To
take it in, the account's store notes the record's id in the same transaction, and only then the row goes; so a crash in
between takes nothing in twice. Ids are made by chance: they stay apart, whichever of the files comes from a backup.

Spec: RFC 7748 (X25519), RFC 5869 (HKDF), RFC 8439 (ChaCha20-Poly1305).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailstead.model.errors import BadMailboxName, LimitReached, MailboxExists, NoSuchMailbox, OverQuota
from mailstead.model.flags import SYSTEM_FLAGS
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import Octets
from mailstead.ports.sealed import Filed, Waiting
from mailstead.storage.embedded import filters, mailboxes, message_writes
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.side_file import SideTransaction
from mailstead.storage.embedded.transaction import Transaction

PUBLIC_KEY_OCTETS: Final = 32
REMEMBERED: Final = "sealed mail"
REMEMBERED_FOR: Final = timedelta(days=400)
"""How long an account knows what it took in: a backup may hold the account as it was after, the mail as before."""
RECORDS_MAX: Final = 200
"""Of what waits so many at most are read together."""

_FACTS: Final = struct.Struct("!I")

VERSION_1: Final = """
CREATE TABLE mail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which it came
    record_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    size_octets INTEGER NOT NULL,              -- of the message
    octets BLOB NOT NULL                       -- sealed
) STRICT;
CREATE INDEX mail_by_account ON mail (account_id, number, size_octets);

-- How much the stores of locked accounts hold.
CREATE TABLE usage (
    account_id TEXT NOT NULL PRIMARY KEY,
    size_octets INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""


# sealing


def sealed(public_key: bytes, account_id: AccountId, record_id: str, facts: bytes, octets: Octets) -> bytes:
    """Seal a message to an account: only the private key opens it, not even we do who have sealed it."""
    ours = X25519PrivateKey.generate()
    shown = ours.public_key().public_bytes_raw()
    cipher = _cipher(ours.exchange(X25519PublicKey.from_public_bytes(public_key)), shown, public_key)
    plain = b"".join((_FACTS.pack(len(facts)), facts, octets))
    # The key is used for this one message, so the nonce may be anything.
    return shown + cipher.encrypt(bytes(12), plain, _label(account_id, record_id))


def unsealed(
    private_key: X25519PrivateKey, account_id: AccountId, record_id: str, octets: bytes
) -> tuple[bytes, bytes]:
    """Give facts and octets of a message. Errors: InvalidTag."""
    shown = octets[:PUBLIC_KEY_OCTETS]
    try:
        secret = private_key.exchange(X25519PublicKey.from_public_bytes(shown))
    except ValueError:  # cut short, or a point of low order (RFC 7748 §6.1)
        raise InvalidTag from None
    cipher = _cipher(secret, shown, private_key.public_key().public_bytes_raw())
    plain = cipher.decrypt(bytes(12), octets[PUBLIC_KEY_OCTETS:], _label(account_id, record_id))
    end = _FACTS.size + _FACTS.unpack_from(plain)[0]
    return plain[_FACTS.size : end], plain[end:]


def _cipher(secret: bytes, shown: bytes, public_key: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, salt=shown + public_key, info=b"mailstead sealed mail 1").derive(secret))


def _label(account_id: AccountId, record_id: str) -> bytes:
    return f"{account_id}\n{record_id}\n".encode()


# the file of what waits


def put(
    transaction: SideTransaction,
    account_id: AccountId,
    record_id: str,
    size_octets: int,
    octets: bytes,
    quota_octets: int | None,
) -> None:
    """Keep a sealed message. Errors: OverQuota; under the same lock as the row, so no race can overshoot (row 72)."""
    check_room(transaction.db, account_id, size_octets, quota_octets)
    transaction.db.execute(
        "INSERT INTO mail (record_id, account_id, size_octets, octets) VALUES (?, ?, ?, ?)",
        (record_id, account_id, size_octets, octets),
    )


def check_room(db: apsw.Connection, account_id: AccountId, size_octets: int, quota_octets: int | None) -> None:
    """Errors: OverQuota."""
    if quota_octets is None:
        return
    (waiting,) = select_one(db, "SELECT ifnull(sum(size_octets), 0) FROM mail WHERE account_id = ?", (account_id,))
    noted = select_one(db, "SELECT size_octets FROM usage WHERE account_id = ?", (account_id,))
    if waiting + (noted[0] if noted else 0) + size_octets > quota_octets:
        raise OverQuota


def note_usage(transaction: SideTransaction, account_id: AccountId, size_octets: int) -> None:
    """See `Sealed.note_usage`."""
    transaction.db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?)", (account_id, size_octets))


def some(db: apsw.Connection, account_id: AccountId, after: int, octets_max: int) -> list[tuple[int, str, bytes]]:
    """Give number, id and sealed octets of what came next after a number."""
    found: list[tuple[int, str, bytes]] = []
    size = 0
    numbers = select(
        db,
        "SELECT number, size_octets FROM mail WHERE account_id = ? AND number > ? ORDER BY number LIMIT ?",
        (account_id, after, RECORDS_MAX),
    )
    for number, size_octets in numbers:
        size += size_octets
        if found and size > octets_max:
            break
        row = select_one(db, "SELECT record_id, octets FROM mail WHERE number = ?", (number,))
        if row is not None:
            found.append((number, *row))
    return found


def counts(db: apsw.Connection) -> dict[AccountId, Waiting]:
    """See `Sealed.waiting_counts`."""
    rows = select(db, "SELECT account_id, count(*), sum(size_octets) FROM mail GROUP BY account_id")
    return {AccountId(account_id): Waiting(count, size) for account_id, count, size in rows}


def remove(transaction: SideTransaction, account_id: AccountId, record_ids: Sequence[str]) -> None:
    """See `Sealed.finished`."""
    transaction.db.executemany(
        "DELETE FROM mail WHERE record_id = ? AND account_id = ?", [(each, account_id) for each in record_ids]
    )


def forget(transaction: SideTransaction, account_id: AccountId) -> None:
    """See `Sealed.forget`."""
    transaction.db.execute("DELETE FROM mail WHERE account_id = ?", (account_id,))
    transaction.db.execute("DELETE FROM usage WHERE account_id = ?", (account_id,))


# the account's own file


def take_in(transaction: Transaction, record_id: str, filed: Sequence[Filed], now: datetime) -> bool:
    """See `Sealed.take_in`. The message was acknowledged: nothing may keep it out now, and least of all a quota."""
    if not filters.remember_first(transaction, REMEMBERED, record_id, now, now + REMEMBERED_FOR):
        return False
    account = transaction.account
    transaction.account = account._replace(quota_octets=None, quota_messages=None)
    for each in filed:
        name, counters = _place(transaction, each), transaction.mark()
        try:
            message_writes.append(transaction, name, [each.message], is_delivery=True)
        except LimitReached:  # of keywords; no row is written yet
            transaction.restore(counters)
            plain = replace(each.message, flags=frozenset(each.message.flags) & frozenset(SYSTEM_FLAGS))
            message_writes.append(transaction, name, [plain], is_delivery=True)
    transaction.account = transaction.account._replace(
        quota_octets=account.quota_octets, quota_messages=account.quota_messages
    )
    return True


def _place(transaction: Transaction, filed: Filed) -> str:
    """Give the mailbox that takes the message, made if it should be; INBOX always does."""
    with suppress(NoSuchMailbox):
        return transaction.mailbox_named(filed.mailbox).name
    if filed.creates:
        with suppress(MailboxExists, BadMailboxName, LimitReached):
            return mailboxes.create_mailbox(transaction, filed.mailbox, filed.special_use).name
    return INBOX
