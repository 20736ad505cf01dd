r"""What the owner teaches the junk filter: lessons by moving mail into and out of \Junk, and the counts of tokens.

A lesson belongs to a content, not to a message: copies are one text. It waits with its last label until it is learned,
and remembers how it was learned, so that a change of mind can be taken back from the counts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from mailstead.model.errors import TryAgainLater
from mailstead.model.filtering import JunkCounts, JunkLesson
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX
from mailstead.storage.embedded import rows
from mailstead.storage.embedded.rows import MailboxRow, select, select_one
from mailstead.storage.embedded.transaction import Transaction

JUNK: Final = "\\Junk"
TRASH: Final = "\\Trash"
TOKENS_MAX: Final = 500_000
"""Some 10 MB. Beyond it tokens that only one message had are forgotten: they say the least."""


def note_arrival(
    transaction: Transaction, content_ids: Sequence[int], source: MailboxRow | None, target: MailboxRow
) -> None:
    r"""Note what it says that messages come into `target`, out of `source` or from outside (None).

    What is put away from INBOX into any other mailbox was worth keeping, so it is a good example too: without those a
    filter would know junk only. Throwing a message away (into \Trash) says nothing about it.
    """
    from_junk = source is not None and source.special_use == JUNK
    into_junk = target.special_use == JUNK
    is_put_away = source is not None and source.name == INBOX and not into_junk
    if (from_junk == into_junk and not is_put_away) or target.special_use == TRASH or not content_ids:
        return
    # What goes back to where it was learned to belong needs no lesson any more.
    transaction.db.execute(
        "INSERT INTO junk_lesson SELECT value, ?2, NULL FROM json_each(?1) WHERE true"
        " ON CONFLICT (content_id) DO UPDATE SET said = iif(learned IS ?2, NULL, ?2)",
        (json.dumps(list(content_ids)), int(into_junk)),
    )


def backlog(db: apsw.Connection, limit: int) -> list[JunkLesson]:
    """See `AccountStore.junk_backlog`."""
    found = select(
        db,
        "SELECT l.content_id, c.size_octets, l.said, l.learned FROM junk_lesson AS l JOIN content AS c"
        " USING (content_id) WHERE l.said IS NOT NULL ORDER BY l.content_id LIMIT ?",
        (limit,),
    )
    return [
        JunkLesson(BlobId(content_id), size_octets, bool(said), None if learned is None else bool(learned))
        for content_id, size_octets, said, learned in found
    ]


def counts(db: apsw.Connection, tokens: Sequence[int]) -> JunkCounts:
    """See `AccountStore.junk_counts`."""
    with rows.one_moment(db):
        good_total, junk_total = select_one(db, "SELECT good_count, junk_count FROM junk_total")
        found = rows.select_packed(
            db,
            "token, good_count, junk_count",
            "FROM junk_token WHERE token IN (SELECT value FROM json_each(?))",
            (json.dumps(list(tokens)),),
        )
    return JunkCounts(good_total, junk_total, {token: (good, junk) for token, good, junk in found})


def learn(transaction: Transaction, lessons: Sequence[JunkLesson], changes: Mapping[int, tuple[int, int]]) -> None:
    """See `AccountStore.learn`."""
    db = transaction.db
    for lesson in lessons:
        if db.execute(
            "UPDATE junk_lesson SET said = NULL, learned = ?2 WHERE content_id = ?1 AND said IS ?2 AND learned IS ?3"
            " RETURNING 1",
            (lesson.blob_id, int(lesson.is_junk), None if lesson.learned_as is None else int(lesson.learned_as)),
        ).fetchall():
            continue
        raise TryAgainLater("The lessons have changed meanwhile", content_id=lesson.blob_id)
    good = sum((not lesson.is_junk) - (lesson.learned_as is False) for lesson in lessons)
    junk = sum(lesson.is_junk - (lesson.learned_as is True) for lesson in lessons)
    db.execute("UPDATE junk_total SET good_count = good_count + ?, junk_count = junk_count + ?", (good, junk))
    tokens = json.dumps([(token, *step) for token, step in changes.items()])
    # A token may have been forgotten before it is taken back: no count falls below nothing.
    db.execute(
        "INSERT OR REPLACE INTO junk_token SELECT step.value ->> 0,"
        " max(ifnull(t.good_count, 0) + (step.value ->> 1), 0), max(ifnull(t.junk_count, 0) + (step.value ->> 2), 0)"
        " FROM json_each(?) AS step LEFT JOIN junk_token AS t ON t.token = step.value ->> 0",
        (tokens,),
    )
    db.execute(
        "DELETE FROM junk_token WHERE token IN (SELECT value ->> 0 FROM json_each(?))"
        " AND good_count = 0 AND junk_count = 0",
        (tokens,),
    )
    (token_count,) = select_one(db, "SELECT count(*) FROM junk_token")
    if token_count > TOKENS_MAX:
        db.execute("DELETE FROM junk_token WHERE good_count + junk_count <= 1")


def forget(transaction: Transaction) -> None:
    """See `AccountStore.forget_junk`."""
    db = transaction.db
    db.execute("DELETE FROM junk_token")
    db.execute("DELETE FROM junk_lesson")  # or a message moved later would take back what is no longer counted
    db.execute("UPDATE junk_total SET good_count = 0, junk_count = 0")
