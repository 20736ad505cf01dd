"""Which thread a message belongs to: that of any message it refers to, or that refers to it.

Spec: RFC 8474 §5.2. The table is keyed by a hash of the message-id under a key of the account, so that nobody can craft
collisions (attack row 52).
"""

import json
from hashlib import blake2b
from typing import Final

import apsw

from mailstead.model.message import MessageFacts
from mailstead.storage.embedded.rows import select, select_one

REFERENCES_MAX: Final = 30
"""Of more, the first and the last count: the root, and the nearest ancestors."""


def ref_hash(salt: bytes, message_id: str) -> int:
    """Give the signed 64-bit hash of a message-id."""
    digest = blake2b(message_id.encode("utf-8", "surrogateescape"), digest_size=8, key=salt).digest()
    return int.from_bytes(digest, "big", signed=True)


def ref_hashes(salt: bytes, message_id: str | None, references: tuple[str, ...]) -> list[int]:
    """Give the hashes of a message's own id and of those it refers to, nearest first."""
    if len(references) > REFERENCES_MAX:
        references = (references[0], *references[1 - REFERENCES_MAX :])
    ids = ([message_id] if message_id else []) + list(reversed(references))
    return [ref_hash(salt, one) for one in dict.fromkeys(ids)]


def join_thread(db: apsw.Connection, salt: bytes, content_id: int, facts: MessageFacts) -> int:
    """Give the thread number of a new content, and note its message-ids; a new thread is called after its content."""
    hashes = ref_hashes(salt, facts.message_id, facts.references)
    if not hashes:
        return content_id
    if len(hashes) == 1:  # most messages refer to none: one statement notes the id, or finds it noted
        (thread_no,) = select_one(
            db,
            "INSERT INTO thread_ref VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE SET hash = hash RETURNING thread_no",
            (hashes[0], content_id),
        )
        return int(thread_no)
    known: dict[int, int] = dict(
        select(
            db,
            "SELECT hash, thread_no FROM thread_ref WHERE hash IN (SELECT value FROM json_each(?))",
            (json.dumps(hashes),),
        )
    )
    thread_no = next((known[one] for one in hashes if one in known), content_id)
    db.execute(
        "INSERT OR IGNORE INTO thread_ref SELECT value, ?, ? FROM json_each(?)",
        (thread_no, content_id, json.dumps(hashes)),
    )
    return int(thread_no)
