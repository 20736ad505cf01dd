"""Messages that match, newest first, read only as far as somebody looks: what pages of lists and conversations ask.

Without text an index gives the order, and whoever stops early has paid for what he saw. A text is looked for by
windows: some messages in that order, and of the text index only what lies between their content ids, which ascend
nearly as dates do. The first window tells how many messages will fill the page, and the next one is as wide as that.
When that would be too many, or the page is not full after some windows, the text is rare or its matches are old: then
all matches are asked for, and put in order.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

import heapq
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Final, NamedTuple

import apsw

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.flags import SEEN
from mailstead.model.ids import MailboxId, Uid
from mailstead.model.message import Mark
from mailstead.model.search import Everything, HasFlag, Not, SearchKey
from mailstead.storage.embedded import account_file, search
from mailstead.storage.embedded.rows import MailboxRow, mailbox_by_id, select, select_one, select_packed

FEW: Final = 2000
"""So many matches of a text are put in order at once …"""
SOME: Final = 20_000
"""… and so many when the windows have not filled the page."""
WINDOW: Final = 400
WINDOWS: Final = 3
"""So many windows are looked at before all matches are asked for …"""
RARE: Final = 12_000
"""… or fewer, when so many more messages would not fill the page. Measured at 100,000 messages: a row of a window costs
1.6 µs, all matches of a word that is made of common trigrams 23 ms, and 17 µs for each of them to be put in order."""
SLACK: Final = 1.3
"""A window is so many times wider than what should fill the page: matches do not lie evenly."""
WINDOW_MAX: Final = 20_000
GROWTH: Final = 3
WIDE: Final = 20
"""A window whose content ids lie so many times farther apart than it has messages is answered from a full look."""
ALONE: Final = 10
"""So few contents are asked for one by one."""
TEXT_CACHE_KIB: Final = 4096
"""Pages kept while a text is looked for: its queries read the same leaves again and again."""
MERGED_IN_SQL_MAX: Final = 100
"""Of more mailboxes the lists are merged here: a statement has at most 500 parts."""
_IN_JSON: Final = "AND content_id IN (SELECT value FROM json_each(?))"
_ABOVE_ALL_UIDS: Final = 2**33


class Found(NamedTuple):
    """A message that matches; these descend."""

    internaldate_s: int
    mailbox_id: int
    uid: int
    thread_no: int
    content_id: int

    @property
    def mark(self) -> Mark:
        """Where it stands."""
        return Mark(self.internaldate_s, MailboxId(self.mailbox_id), Uid(self.uid))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A key for one mailbox."""

    mailbox: MailboxRow
    index: str
    """``INDEXED BY …`` for counting, or nothing."""
    condition: str
    parameters: list[str | int]

    @property
    def mailbox_id(self) -> int:
        """Its key."""
        return self.mailbox.mailbox_id


class Walk:
    """Matches in some mailboxes; made by `walk`, good while its context lasts."""

    def __init__(self, db: apsw.Connection, asked: Sequence[_Asked], query: str | None) -> None:
        self._db = db
        self._asked = asked
        self._query = query
        self._all: frozenset[int] | None = None
        """Contents that have the text, once all are known."""
        self._few: list[Found] | None = None
        """All matches, newest first, once they were put in order."""

    @property
    def asks_text(self) -> bool:
        """Whether a text is looked for, so that each match may cost many messages."""
        return self._query is not None

    def __call__(self, before: Mark | None = None, batch: int = 100) -> Iterator[Found]:
        """Give what lies behind a mark, newest first; `batch` is about how many will be looked at."""
        if self._query is None:
            return self._merged(before, batch)
        if self._all is not None and len(self._all) <= FEW:
            return self._of_few(before)
        return self._by_windows(before, batch)

    def count(self, key: SearchKey) -> int:
        """Count all matches; what the mailboxes' rows know is not counted again. `key` is what the walk was made of."""
        if self._query is not None:
            if len(self._everything()) <= FEW:
                return sum(1 for _ in self())
            return sum(self._count(one, _IN_JSON, (json.dumps(list(self._everything())),)) for one in self._asked)
        if isinstance(key, Everything):
            return sum(one.mailbox.message_count for one in self._asked)
        if key == Not(HasFlag(SEEN)):
            return sum(one.mailbox.unseen_count for one in self._asked)
        return sum(self._count(one) for one in self._asked)

    def page(self, skipped: int, limit: int) -> list[Found]:
        """Give some matches behind so many."""
        if self._query is not None or len(self._asked) > MERGED_IN_SQL_MAX:
            return list(islice(self(batch=skipped + limit), skipped, skipped + limit))
        # The order's own columns alone, so that what is skipped is read from the index.
        parts = [
            f"SELECT internaldate_s, mailbox_id, uid FROM message WHERE mailbox_id = ? AND {one.condition}"
            for one in self._asked
        ]
        if not parts:
            return []
        rows = select(
            self._db,
            " UNION ALL ".join(parts) + " ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT ? OFFSET ?",
            (*chain.from_iterable((one.mailbox_id, *one.parameters) for one in self._asked), limit, skipped),
        )
        return [Found(date, mailbox_id, uid, 0, 0) for date, mailbox_id, uid in rows]

    def above(self, thread_nos: Sequence[int], mark: Mark) -> set[int]:
        """Give those of the threads that have a match at a mark or above it."""
        threads = json.dumps(thread_nos)
        found: list[tuple[int, int]] = []
        for one in self._asked:
            place, values = _behind(mark, one.mailbox_id)
            found += select_packed(
                self._db,
                "thread_no, content_id",
                "FROM (SELECT m.thread_no, m.content_id FROM json_each(?) AS t CROSS JOIN message AS m"
                " INDEXED BY message_by_thread ON m.thread_no = t.value AND m.mailbox_id = ?"
                f" WHERE NOT {place} AND {one.condition})",
                (threads, one.mailbox_id, *values, *one.parameters),
            )
        if self._query is not None:
            matching = self._among({content_id for _, content_id in found})
            found = [one for one in found if one[1] in matching]
        return {thread_no for thread_no, _ in found}

    def _merged(self, before: Mark | None, batch: int) -> Iterator[Found]:
        """Give what fulfils the condition; a text is not looked at."""
        walks = [self._of_one(one, before, batch) for one in self._asked]
        return walks[0] if len(walks) == 1 else heapq.merge(*walks, reverse=True)

    def _of_one(self, one: _Asked, before: Mark | None, size: int) -> Iterator[Found]:
        while True:
            place, values = _behind(before, one.mailbox_id)
            rows = select_packed(
                self._db,
                "internaldate_s, uid, thread_no, content_id",
                "FROM (SELECT internaldate_s, uid, thread_no, content_id FROM message"
                f" WHERE mailbox_id = ? AND {place} AND {one.condition}"
                " ORDER BY internaldate_s DESC, uid DESC LIMIT ?)",
                (one.mailbox_id, *values, *one.parameters, size),
            )
            found = [Found(date, one.mailbox_id, uid, thread, content) for date, uid, thread, content in rows]
            yield from found
            if len(found) < size:
                return
            before = found[-1].mark
            size = min(size * GROWTH, WINDOW_MAX)

    def _of_few(self, before: Mark | None) -> Iterator[Found]:
        if self._few is None:
            contents = json.dumps(list(self._everything()))
            found: list[Found] = []
            for one in self._asked:
                rows = select_packed(
                    self._db,
                    "internaldate_s, uid, thread_no, content_id",
                    "FROM (SELECT m.* FROM json_each(?) AS c CROSS JOIN message AS m INDEXED BY message_by_content"
                    f" ON m.content_id = c.value WHERE m.mailbox_id = ? AND {one.condition})",
                    (contents, one.mailbox_id, *one.parameters),
                )
                found += (Found(date, one.mailbox_id, uid, thread, content) for date, uid, thread, content in rows)
            self._few = sorted(found, reverse=True)
        if before is None:
            return iter(self._few)
        place = (before.internaldate_s, before.mailbox_id, before.uid)
        return (one for one in self._few if one[:3] < place)

    def _by_windows(self, before: Mark | None, wanted: int) -> Iterator[Found]:
        size, is_rare, looked, matched = WINDOW, False, 0, 0
        for number in itertools.count():
            if (number >= WINDOWS or is_rare) and len(self._everything()) <= SOME:
                yield from self._of_few(before)
                return
            # Each mailbox gives its share at once: what it gives beyond the window was read for nothing.
            rows = self._merged(before, max(WINDOW // GROWTH, size // max(1, len(self._asked))))
            window = list(islice(rows, size))
            matching = self._among({one.content_id for one in window})
            found = [one for one in window if one.content_id in matching]
            yield from found
            if len(window) < size:
                return
            looked, matched = looked + len(window), matched + len(found)
            before = window[-1].mark
            if matched >= wanted:
                size = min(size * GROWTH, WINDOW_MAX)
                continue
            missing = (wanted - matched) * looked / matched if matched else RARE + 1
            is_rare = missing > RARE
            size = min(max(WINDOW, int(missing * SLACK)), WINDOW_MAX)

    def _among(self, content_ids: set[int]) -> frozenset[int]:
        """Give those of some contents that have the text, and perhaps others that have it."""
        if not content_ids:
            return frozenset()
        if self._all is None and len(content_ids) <= ALONE:
            return frozenset(chain.from_iterable(self._matching("AND rowid = ?", (one,)) for one in content_ids))
        least, most = min(content_ids), max(content_ids)
        if self._all is None and most - least <= WIDE * len(content_ids):
            return frozenset(self._matching("AND rowid BETWEEN ? AND ?", (least, most)))
        return self._everything()

    def _everything(self) -> frozenset[int]:
        if self._all is None:
            self._all = frozenset(self._matching("", ()))
        return self._all

    def _matching(self, place: str, values: tuple[int, ...]) -> list[int]:
        """Give contents that have the text, in one step (see `rows.select_packed`)."""
        (found,) = select_one(
            self._db,
            f"SELECT group_concat(rowid) FROM (SELECT rowid FROM text_index WHERE text_index MATCH ? {place})",
            (self._query or "", *values),
        )
        return list(map(int, found.split(","))) if found else []

    def _count(self, one: _Asked, more: str = "", parameters: tuple[str, ...] = ()) -> int:
        (count,) = select_one(
            self._db,
            f"SELECT count(*) FROM message {one.index} WHERE mailbox_id = ? AND {one.condition} {more}",
            (one.mailbox_id, *one.parameters, *parameters),
        )
        return int(count)


@contextmanager
def walk(db: apsw.Connection, mailbox_ids: Sequence[int], key: SearchKey) -> Iterator[Walk]:
    """Begin to look for what matches in some mailboxes; the caller keeps it one moment."""
    mailboxes = [row for row in map(partial(_mailbox, db), dict.fromkeys(mailbox_ids)) if row and row.message_count]
    with search.compiled(db, [row.mailbox_id for row in mailboxes], key) as (query, conditions):
        if query == search.NO_QUERY:
            yield Walk(db, [], None)
            return
        index = search.index_of(key)
        asked = [_Asked(row, index, *conditions[row.mailbox_id]) for row in mailboxes]
        if query is None:
            yield Walk(db, asked, None)
            return
        db.pragma("cache_size", -TEXT_CACHE_KIB)
        try:
            yield Walk(db, asked, query)
        finally:
            db.pragma("cache_size", -account_file.READER_CACHE_KIB)


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
