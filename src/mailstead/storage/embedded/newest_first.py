"""Messages that match, newest first, read only as far as somebody looks: what pages of lists and conversations ask.

Without text an index gives the order, and whoever stops early has paid for what he saw. A text is asked of the text
index first: few matches are put in order at once. Of many the newest are found by windows: some messages in the order
of their dates, and of the text index only what lies between their content ids, which ascend nearly as dates do; the
windows grow, so that an order that has nothing to do with the ids costs one full look and not many.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

import heapq
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Final, NamedTuple

import apsw

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.flags import SEEN
from mailstead.model.ids import MailboxId, Uid
from mailstead.model.message import Mark
from mailstead.model.search import Everything, HasFlag, Not, SearchKey
from mailstead.storage.embedded import search
from mailstead.storage.embedded.rows import MailboxRow, mailbox_by_id, select_one, select_packed

FEW: Final = 1000
"""So many matches of a text are put in order at once."""
WINDOW: Final = 400
WINDOW_MAX: Final = 20_000
GROWTH: Final = 3
WIDE: Final = 20
"""A window whose content ids lie so many times farther apart than it has messages is answered from a full look."""
_MATCHES: Final = "AND content_id IN (SELECT rowid FROM text_index WHERE text_index MATCH ?)"
_ABOVE_ALL_UIDS: Final = 2**33


class Found(NamedTuple):
    """A message that matches; these descend."""

    internaldate_s: int
    mailbox_id: int
    uid: int
    thread_no: int
    content_id: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A key for one mailbox."""

    mailbox: MailboxRow
    condition: str
    parameters: list[str | int]


class Walk:
    """Matches in some mailboxes; made by `walk`, good while its context lasts."""

    def __init__(self, db: apsw.Connection, asked: Sequence[_Asked], query: str | None) -> None:
        self._db = db
        self._asked = asked
        self._query = query
        self._few: list[int] | None = None
        self._all: frozenset[int] | None = None

    def __call__(self, before: Mark | None = None, batch: int = 100) -> Iterator[Found]:
        """Give what lies behind a mark, newest first; `batch` is about how many will be looked at."""
        if self._is_few():
            few = json.dumps(self._few)
            return iter(
                sorted(chain.from_iterable(self._of_few(one, few, before) for one in self._asked), reverse=True)
            )
        walks = [self._of_one(one, before, batch) for one in self._asked]
        return walks[0] if len(walks) == 1 else heapq.merge(*walks, reverse=True)

    def count(self, key: SearchKey) -> int:
        """Count all matches; what the mailboxes' rows know is not counted again. `key` is what the walk was made of."""
        if self._is_few():
            return sum(1 for _ in self())
        count = 0
        for one in self._asked:
            if isinstance(key, Everything):
                count += one.mailbox.message_count
            elif key == Not(HasFlag(SEEN)):
                count += one.mailbox.unseen_count
            else:
                text = "" if self._query is None else _MATCHES
                (matching,) = select_one(
                    self._db,
                    f"SELECT count(*) FROM message WHERE mailbox_id = ? AND {one.condition} {text}",
                    (one.mailbox.mailbox_id, *one.parameters, *([] if self._query is None else [self._query])),
                )
                count += matching
        return count

    def page(self, skipped: int, limit: int) -> list[Found]:
        """Give some matches behind so many."""
        if len(self._asked) == 1 and self._query is None:
            return list(self._read(self._asked[0], None, limit, skipped))
        return list(islice(self(batch=skipped + limit), skipped, skipped + limit))

    def above(self, thread_nos: Sequence[int], mark: Mark) -> set[int]:
        """Give those of the threads that have a match at a mark or above it."""
        threads = json.dumps(thread_nos)
        found: set[int] = set()
        for one in self._asked:
            place, values = _behind(mark, one.mailbox.mailbox_id)
            rows = select_packed(
                self._db,
                "thread_no, content_id",
                "FROM (SELECT m.thread_no, m.content_id FROM json_each(?) AS t CROSS JOIN message AS m"
                " INDEXED BY message_by_thread ON m.thread_no = t.value AND m.mailbox_id = ?"
                f" WHERE NOT {place} AND {one.condition})",
                (threads, one.mailbox.mailbox_id, *values, *one.parameters),
            )
            if rows and self._query is not None:
                matching = self._of_contents([content_id for _, content_id in rows])
                rows = [row for row in rows if row[1] in matching]
            found.update(thread_no for thread_no, _ in rows)
        return found

    def _of_few(self, one: _Asked, few: str, before: Mark | None) -> list[Found]:
        place, values = _behind(before, one.mailbox.mailbox_id)
        rows = select_packed(
            self._db,
            "internaldate_s, uid, thread_no, content_id",
            "FROM (SELECT m.* FROM json_each(?) AS c CROSS JOIN message AS m INDEXED BY message_by_content"
            f" ON m.content_id = c.value WHERE m.mailbox_id = ? AND {place} AND {one.condition})",
            (few, one.mailbox.mailbox_id, *values, *one.parameters),
        )
        return [Found(date, one.mailbox.mailbox_id, uid, thread, content) for date, uid, thread, content in rows]

    def _is_few(self) -> bool:
        """Look whether the text, if there is one, has few matches; then they are known."""
        if self._query is None:
            return False
        if self._few is None:
            self._few = self._matching("", (), FEW + 1)
        return len(self._few) <= FEW

    def _read(self, one: _Asked, before: Mark | None, limit: int, skipped: int = 0) -> list[Found]:
        """Read on in one mailbox; a text is not looked at."""
        mailbox_id = one.mailbox.mailbox_id
        place, values = _behind(before, mailbox_id)
        rows = select_packed(
            self._db,
            "internaldate_s, uid, thread_no, content_id",
            "FROM (SELECT internaldate_s, uid, thread_no, content_id FROM message"
            f" WHERE mailbox_id = ? AND {place} AND {one.condition}"
            " ORDER BY internaldate_s DESC, uid DESC LIMIT ? OFFSET ?)",
            (mailbox_id, *values, *one.parameters, limit, skipped),
        )
        return [Found(date, mailbox_id, uid, thread, content) for date, uid, thread, content in rows]

    def _of_one(self, one: _Asked, before: Mark | None, batch: int) -> Iterator[Found]:
        size = batch if self._query is None else WINDOW
        while True:
            window = self._read(one, before, size)
            if self._query is None:
                yield from window
            elif window:
                matching = self._in_window(window)
                yield from (found for found in window if found.content_id in matching)
            if len(window) < size:
                return
            last = window[-1]
            before = Mark(last.internaldate_s, MailboxId(last.mailbox_id), Uid(last.uid))
            size = min(size * GROWTH, WINDOW_MAX)

    def _in_window(self, window: list[Found]) -> frozenset[int]:
        if self._all is None:
            ids = list(map(itemgetter(4), window))
            least, most = min(ids), max(ids)
            if most - least <= WIDE * len(ids):
                return frozenset(self._matching("AND rowid BETWEEN ? AND ?", (least, most)))
            self._all = frozenset(self._matching("", ()))
        return self._all

    def _of_contents(self, content_ids: list[int]) -> frozenset[int]:
        if self._is_few():
            return frozenset(self._few or ())
        return frozenset(
            chain.from_iterable(self._matching("AND rowid = ?", (content_id,)) for content_id in content_ids)
        )

    def _matching(self, place: str, values: tuple[int, ...], limit: int = -1) -> list[int]:
        """Give contents that have the text, in one step (see `rows.select_packed`)."""
        (found,) = select_one(
            self._db,
            "SELECT group_concat(rowid) FROM"
            f" (SELECT rowid FROM text_index WHERE text_index MATCH ? {place} ORDER BY rowid DESC LIMIT ?)",
            (self._query or "", *values, limit),
        )
        return list(map(int, found.split(","))) if found else []


@contextmanager
def walk(db: apsw.Connection, mailbox_ids: Sequence[int], key: SearchKey) -> Iterator[Walk]:
    """Begin to look for what matches in some mailboxes; the caller keeps it one moment."""
    mailboxes = [row for row in map(partial(_mailbox, db), dict.fromkeys(mailbox_ids)) if row and row.message_count]
    with search.compiled(db, [row.mailbox_id for row in mailboxes], key) as (query, conditions):
        if query == search.NO_QUERY:
            yield Walk(db, [], None)
        else:
            yield Walk(db, [_Asked(row, *conditions[row.mailbox_id]) for row in mailboxes], query)


def _mailbox(db: apsw.Connection, mailbox_id: int) -> MailboxRow | None:
    try:
        return mailbox_by_id(db, mailbox_id)
    except NoSuchMailbox:
        return None


def _behind(mark: Mark | None, mailbox_id: int) -> tuple[str, tuple[int, ...]]:
    """Give the condition that a message of a mailbox is older than a mark, in the order of the walk."""
    if mark is None:
        return "1", ()
    uids = {mark.mailbox_id: int(mark.uid)}
    uid = uids.get(MailboxId(mailbox_id), _ABOVE_ALL_UIDS if mailbox_id < mark.mailbox_id else 0)
    return "(internaldate_s, uid) < (?, ?)", (mark.internaldate_s, uid)
