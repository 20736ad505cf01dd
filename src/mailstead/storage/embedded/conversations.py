"""Conversations of some mailboxes, newest first, as a function of a connection.

The walk over matching messages (`newest_first`) gives each thread at its newest match and stops behind the page; what a
list shows of a thread is then read for the page's threads alone, in a few statements whatever they hold.
"""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import apsw

from mailstead.model.flags import SEEN, Flags
from mailstead.model.ids import MailboxId
from mailstead.model.message import Conversation, ConversationPage, Mark, MessageRecord, Wanted
from mailstead.model.search import SearchKey
from mailstead.storage.embedded import newest_first, rows
from mailstead.storage.embedded.message_reads import fetch_places
from mailstead.storage.embedded.newest_first import Found, Walk
from mailstead.storage.embedded.rows import SEEN_BIT, flags_of, select, select_packed, thread_id_of
from mailstead.storage.embedded.schema import ATTACHED

NEWEST_SHOWN: Final = 20
"""So many messages of a conversation are given; a list has no room for the names of more people."""


@dataclass(slots=True)
class _Thread:
    """What the narrow table says of a thread; places by content, newest first."""

    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)
    flags: Flags = frozenset()
    """Flags of some message."""


def page(
    db: apsw.Connection,
    mailbox_ids: Sequence[int],
    beside_ids: Sequence[int],
    key: SearchKey,
    before: Mark | None,
    limit: int,
) -> ConversationPage:
    """See `AccountStore.conversations`."""
    with rows.one_moment(db):
        with newest_first.walk(db, mailbox_ids, key) as walk:
            found = list(islice(_threads(walk, before, limit), limit + 1))
        shown = found[:limit]
        threads = _read(db, {*mailbox_ids, *beside_ids}, [one.thread_no for one in shown])
        attached = _attached(db, threads)
        wanted: set[tuple[int, int]] = set()
        for thread in threads.values():
            places = list(thread.places.values())
            wanted |= {*places[:NEWEST_SHOWN], places[-1]}
        records = fetch_places(db, wanted, Wanted.LISTED_HEADER | Wanted.PREVIEW)
    return ConversationPage(
        [_conversation(one, threads[one.thread_no], records, attached) for one in shown], len(found) > limit
    )


def _threads(walk: Walk, before: Mark | None, limit: int) -> Iterator[Found]:
    """Give each thread once, at its newest match, and none that stands before the mark."""
    seen: set[int] = set()
    # Some matches are of one thread. Where a match is dear, no more of them are asked for than may do.
    size = limit + 1 if walk.asks_text else 2 * limit
    found = walk(before, size)
    while some := list(islice(found, size)):
        firsts: dict[int, Found] = {}
        for one in some:
            if one.thread_no not in seen:
                firsts.setdefault(one.thread_no, one)
        seen.update(firsts)
        above = walk.above(list(firsts), before) if before is not None and firsts else set()
        yield from (one for one in firsts.values() if one.thread_no not in above)


def _read(db: apsw.Connection, mailbox_ids: set[int], thread_nos: list[int]) -> dict[int, _Thread]:
    """Read the narrow rows of threads in some mailboxes."""
    found = select_packed(
        db,
        "thread_no, mailbox_id, uid, flags, keywords, content_id",
        "FROM (SELECT m.* FROM json_each(?) AS t CROSS JOIN message AS m INDEXED BY message_by_thread"
        " ON m.thread_no = t.value WHERE m.mailbox_id IN (SELECT value FROM json_each(?))"
        " ORDER BY m.internaldate_s DESC, m.mailbox_id DESC, m.uid DESC)",
        (json.dumps(thread_nos), json.dumps(sorted(mailbox_ids))),
    )
    threads = {thread_no: _Thread() for thread_no in thread_nos}
    for thread_no, mailbox_id, uid, bits, keywords, content_id in found:
        thread = threads[thread_no]
        thread.places.setdefault(content_id, (mailbox_id, uid))
        if bits & SEEN_BIT:
            thread.read.add(content_id)
        thread.flags |= flags_of(bits, keywords)
    return threads


def _attached(db: apsw.Connection, threads: dict[int, _Thread]) -> frozenset[int]:
    ids = [content_id for thread in threads.values() for content_id in thread.places]
    found = select(
        db,
        "SELECT group_concat(content_id) FROM content"
        f" WHERE content_id IN (SELECT value FROM json_each(?)) AND {ATTACHED}",
        (json.dumps(ids),),
    )[0][0]
    return frozenset(map(int, found.split(","))) if found else frozenset()


def _conversation(
    one: Found, thread: _Thread, records: dict[tuple[int, int], MessageRecord], attached: frozenset[int]
) -> Conversation:
    places = list(thread.places.values())
    unread_count = len(thread.places) - len(thread.read)
    return Conversation(
        thread_id=thread_id_of(one.thread_no),
        mark=one.mark,
        message_count=len(places),
        unread_count=unread_count,
        flags=thread.flags - {SEEN} if unread_count else thread.flags,
        has_attachment=not attached.isdisjoint(thread.places),
        oldest=records[places[-1]],
        newest=[(MailboxId(place[0]), records[place]) for place in places[:NEWEST_SHOWN]],
    )
