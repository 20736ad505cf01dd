"""What copies of a message share: facts computed at append, octets, the place in a thread and in the text index."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from mailstead.model.message import MessageFacts, NewMessage, OrderFacts, PartFacts
from mailstead.storage.embedded import octets, threads
from mailstead.storage.embedded.rows import select
from mailstead.storage.embedded.transaction import Transaction

_encode: Final = msgspec.msgpack.Encoder().encode
_parts_decoder: Final = msgspec.msgpack.Decoder(tuple[PartFacts, ...])
_order_decoder: Final = msgspec.msgpack.Decoder(OrderFacts)


def decoded_parts(stored: bytes) -> tuple[PartFacts, ...]:
    """Read the column `parts`."""
    return _parts_decoder.decode(stored)


def decoded_order(stored: bytes) -> OrderFacts:
    """Read the column `order_facts`."""
    return _order_decoder.decode(stored)


def order_facts(facts: MessageFacts) -> OrderFacts:
    """Pick what SORT and THREAD compare."""
    return OrderFacts(
        sent_at_s=None if facts.sent_at is None else int(facts.sent_at.timestamp()),
        base_subject=facts.base_subject,
        is_reply=facts.is_reply,
        sort_from=facts.sort_from,
        sort_to=facts.sort_to,
        sort_cc=facts.sort_cc,
        display_from=facts.display_from,
        display_to=facts.display_to,
        message_id=facts.message_id,
        references=facts.references,
    )


def add(transaction: Transaction, message: NewMessage) -> tuple[int, int]:
    """Write a new content with its octets; gives its content_id and thread number."""
    db, account, facts = transaction.db, transaction.account, message.facts
    content_id = account.next_content_id
    transaction.account = account._replace(next_content_id=content_id + 1)
    db.execute(
        "INSERT INTO content VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)",
        (
            content_id,
            facts.size_octets,
            facts.header_summary,
            facts.body_structure,
            _encode(facts.parts),
            _encode(order_facts(facts)),
            facts.listed_header,
            facts.preview,
        ),
    )
    octets.write(db, content_id, message.octets)
    return content_id, threads.join_thread(db, account.thread_salt, content_id, facts)


def share(db: apsw.Connection, content_ids: Iterable[int]) -> None:
    """Count one more use of each content, as often as it is named."""
    _count(db, content_ids, +1)


def release(transaction: Transaction, content_ids: Iterable[int]) -> None:
    """Count one use less of each; what is not used any more goes at once, with all that belongs to it."""
    db = transaction.db
    named = list(content_ids)
    _count(db, named, -1)
    dead = select(
        db,
        "SELECT content_id, order_facts FROM content"
        " WHERE content_id IN (SELECT value FROM json_each(?)) AND use_count <= 0",
        (json.dumps(named),),
    )
    if not dead:
        return
    account = transaction.account
    ids = json.dumps([content_id for content_id, _ in dead])
    hashes = json.dumps(
        [
            one
            for order in (decoded_order(stored) for _, stored in dead)
            for one in threads.ref_hashes(account.thread_salt, order.message_id, order.references)
        ]
    )
    db.execute("DELETE FROM content WHERE content_id IN (SELECT value FROM json_each(?))", (ids,))
    db.execute(
        "DELETE FROM chunk WHERE place IN (SELECT piece.place FROM json_each(?1) AS dead CROSS JOIN chunk AS piece"
        " ON piece.place BETWEEN dead.value << 32 AND (dead.value << 32) + 4294967295)",
        (ids,),
    )
    db.execute(
        "DELETE FROM thread_ref WHERE hash IN (SELECT value FROM json_each(?))"
        " AND content_id IN (SELECT value FROM json_each(?))",
        (hashes, ids),
    )
    db.execute("DELETE FROM junk_lesson WHERE content_id IN (SELECT value FROM json_each(?))", (ids,))
    db.execute(
        "DELETE FROM text_index WHERE rowid IN (SELECT value FROM json_each(?) WHERE value <= ?)",
        (ids, account.indexed_to),
    )


def _count(db: apsw.Connection, content_ids: Iterable[int], step: int) -> None:
    by_times: dict[int, list[int]] = {}
    for content_id, times in Counter(content_ids).items():
        by_times.setdefault(times, []).append(content_id)
    for times, ids in by_times.items():
        db.execute(
            "UPDATE content SET use_count = use_count + ? WHERE content_id IN (SELECT value FROM json_each(?))",
            (step * times, json.dumps(ids)),
        )
