"""Filling the text index behind the append.

Watermark: `account.indexed_to`. Content ids only ascend, so what is above it waits; nothing else must be kept.
"""

import re
from dataclasses import dataclass
from typing import Final

import apsw

from mailstead.storage.embedded import contents, octets, rows
from mailstead.storage.embedded.rows import select, select_one
from mailstead.storage.embedded.transaction import Transaction

PAD: Final = "\x01\x01"
"""Behind each text, so that its last one and two characters also begin a trigram (see `search`)."""
_NOT_TEXT: Final = re.compile("[\x00\x01\ud800-\udfff]")
"""The tokenizer would stop at a NUL; the pad must not be found; surrogates have no UTF-8."""
TEXT_OCTETS_MAX: Final = 8 * 1024 * 1024
"""Of a longer message only this much is read for its text."""
COLUMNS: Final = ("from", "to", "cc", "bcc", "subject", "header", "body")
BATCH_OCTETS_MAX: Final = 16 * 1024 * 1024
"""A batch ends behind so many octets, however few messages they are: its texts are held in memory."""
_Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts ready to be inserted."""

    indexed_from: int
    indexed_to: int
    texts: list[tuple[int, _Texts]]
    waiting_count: int
    """How many still wait behind this batch."""


def backlog(db: apsw.Connection) -> int:
    """Count the messages that the index has not seen."""
    with rows.one_moment(db):
        return _count_behind(db, rows.account_row(db).indexed_to)


def prepare(db: apsw.Connection, limit: int) -> Batch:
    """Read and decode what waits, up to `limit` messages. Holds no write lock."""
    with rows.one_moment(db):
        account = rows.account_row(db)
        found = select(
            db,
            "SELECT content_id, size_octets, parts FROM content WHERE content_id > ? ORDER BY content_id LIMIT ?",
            (account.indexed_to, limit),
        )
        texts: list[tuple[int, _Texts]] = []
        read_octets = 0
        for content_id, size, parts in found:
            texts.append((content_id, _texts_of(db, content_id, size, parts)))
            read_octets += min(size, TEXT_OCTETS_MAX)
            if read_octets >= BATCH_OCTETS_MAX:
                break
        indexed_to = texts[-1][0] if texts else account.indexed_to
        return Batch(account.indexed_to, indexed_to, texts, _count_behind(db, indexed_to))


def insert(transaction: Transaction, batch: Batch) -> None:
    """Add a batch, unless another process was quicker; what was deleted meanwhile is left out."""
    account = transaction.account
    if account.indexed_to != batch.indexed_from or batch.indexed_to == batch.indexed_from:
        return
    db = transaction.db
    present = {
        content_id
        for (content_id,) in select(
            db,
            "SELECT content_id FROM content WHERE content_id BETWEEN ? AND ?",
            (batch.indexed_from + 1, batch.indexed_to),
        )
    }
    db.executemany(
        'INSERT INTO text_index (rowid, "from", "to", cc, bcc, subject, header, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        ((content_id, *texts) for content_id, texts in batch.texts if content_id in present),
    )
    transaction.account = account._replace(indexed_to=batch.indexed_to)


def folded(text: str) -> str:
    """Give a text in the form in which the index holds it."""
    from mailstead.mime.text import fold  # the tables are only for who searches or indexes

    return _NOT_TEXT.sub("\ufffd", fold(text))


def contains(db: apsw.Connection, content_id: int, columns: list[str], text: str) -> bool:
    """Look into the octets themselves whether one of the columns' texts has a folded text."""
    row = select_one(db, "SELECT size_octets, parts FROM content WHERE content_id = ?", (content_id,))
    if row is None:
        return False
    texts = dict(zip(COLUMNS, _texts_of(db, content_id, *row), strict=True))
    return any(text in texts[column] for column in columns)


def _texts_of(db: apsw.Connection, content_id: int, size_octets: int, parts: bytes) -> _Texts:
    """Give the folded texts of a message, in the order of the index's columns."""
    from mailstead.mime.text import search_text

    message = octets.read(db, content_id, 0, min(size_octets, TEXT_OCTETS_MAX))
    found = search_text(message, contents.decoded_parts(parts))
    return tuple(
        folded(text) + PAD
        for text in (found.from_, found.to, found.cc, found.bcc, found.subject, found.header, found.body)
    )


def _count_behind(db: apsw.Connection, content_id: int) -> int:
    (count,) = select_one(db, "SELECT count(*) FROM content WHERE content_id > ?", (content_id,))
    return int(count)
