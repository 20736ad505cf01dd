"""Consistency of one account file: everything that must hold, looked at once more from the rows themselves."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from collections.abc import Iterator
from hashlib import sha256

import apsw

from mailstead.model.errors import StoreDamaged
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX
from mailstead.storage.embedded import contents, dav_reads, octets, rows
from mailstead.storage.embedded.encrypted_file import strange_objects
from mailstead.storage.embedded.rows import DELETED_BIT, MAILBOX_COLUMNS, SEEN_BIT, MailboxRow, select, select_one


def findings(db: apsw.Connection) -> list[str]:
    """Give everything that is wrong, in words; nothing is changed."""
    with rows.one_moment(db):
        # FTS5's own integrity check looks at what this connection remembers of the index, which may be of an earlier
        # moment if another connection has written since; a query makes it look anew.
        select(db, "SELECT rowid FROM text_index WHERE text_index MATCH '\"123\"' LIMIT 1")
        broken_pages = [f"SQLite: {text}" for (text,) in select(db, "PRAGMA integrity_check(20)") if text != "ok"]
        if broken_pages:
            return broken_pages  # the rest would only stumble over them
        return [
            *strange_objects(db),
            *_account(db),
            *_mailboxes(db),
            *_contents(db),
            *_octets(db),
            *_filters(db),
            *_dav(db),
        ]


def _account(db: apsw.Connection) -> Iterator[str]:
    account = rows.AccountRow._make(select_one(db, f"SELECT {rows.ACCOUNT_COLUMNS} FROM account"))
    counted = select_one(db, "SELECT count(*), ifnull(sum(size_octets), 0) FROM message")
    if counted != (account.message_count, account.size_octets):
        yield f"account counts {account.message_count, account.size_octets}, rows say {counted}"
    (mailbox_count,) = select_one(db, "SELECT count(*) FROM mailbox")
    if mailbox_count != account.mailbox_count:
        yield f"account counts {account.mailbox_count} mailboxes, there are {mailbox_count}"
    (highest,) = select_one(db, "SELECT ifnull(max(highestmodseq), 0) FROM mailbox")
    if highest > account.modseq:
        yield f"a mailbox has modseq {highest}, the account only {account.modseq}"
    (uidvalidity,) = select_one(db, "SELECT ifnull(max(uidvalidity), 0) FROM mailbox")
    if uidvalidity > account.last_uidvalidity:
        yield f"uidvalidity {uidvalidity} is above the highest given, {account.last_uidvalidity}"
    (content_id,) = select_one(db, "SELECT ifnull(max(content_id), 0) FROM content")
    if content_id >= account.next_content_id:
        yield f"content {content_id} is not below the next, {account.next_content_id}"
    for table in ("message", "expunged", "keyword"):
        orphans = select(
            db, f"SELECT DISTINCT mailbox_id FROM {table} WHERE mailbox_id NOT IN (SELECT mailbox_id FROM mailbox)"
        )
        for (mailbox_id,) in orphans:
            yield f"{table} rows of mailbox {mailbox_id}, which is not there"


def _mailboxes(db: apsw.Connection) -> Iterator[str]:
    for row in select(db, f"SELECT {MAILBOX_COLUMNS} FROM mailbox"):
        mailbox = MailboxRow._make(row)
        count, unseen, deleted, size, modseq, first_unseen = select_one(
            db,
            "SELECT count(*), ifnull(sum(flags & ?2 = 0), 0), ifnull(sum(flags & ?3 != 0), 0),"
            " ifnull(sum(size_octets), 0), ifnull(max(modseq), 0), min(iif(flags & ?2 = 0, uid, NULL))"
            " FROM message WHERE mailbox_id = ?1",
            (mailbox.mailbox_id, SEEN_BIT, DELETED_BIT),
        )
        held = (
            mailbox.message_count,
            mailbox.unseen_count,
            mailbox.deleted_count,
            mailbox.size_octets,
            mailbox.first_unseen_uid,
        )
        if held != (count, unseen, deleted, size, first_unseen):
            yield f"mailbox {mailbox.name!r} counts {held}, rows say {(count, unseen, deleted, size, first_unseen)}"
        if modseq > mailbox.highestmodseq:
            yield f"mailbox {mailbox.name!r} has a message of modseq {modseq} above its highestmodseq"
        yield from _uids(db, mailbox)


def _uids(db: apsw.Connection, mailbox: MailboxRow) -> Iterator[str]:
    """Messages and expunged runs together are 1 to uidnext without gap or overlap."""
    expected = 1
    runs = db.execute(
        "SELECT uid, uid, 0 FROM message WHERE mailbox_id = ?1"
        " UNION ALL SELECT first_uid, last_uid, modseq FROM expunged WHERE mailbox_id = ?1 ORDER BY 1",
        (mailbox.mailbox_id,),
    )
    for first, last, modseq in runs:
        if first != expected:
            yield f"mailbox {mailbox.name!r}: UID {expected} is neither there nor expunged, or twice (next is {first})"
            return
        if modseq > mailbox.highestmodseq:
            yield f"mailbox {mailbox.name!r} has an expunged run of modseq {modseq} above its highestmodseq"
        expected = last + 1
    if expected != mailbox.uidnext:
        yield f"mailbox {mailbox.name!r}: uidnext is {mailbox.uidnext}, UIDs end before {expected}"


def _contents(db: apsw.Connection) -> Iterator[str]:
    wrong = select(
        db,
        "SELECT content_id, use_count, (SELECT count(*) FROM message AS m WHERE m.content_id = c.content_id) AS used"
        " FROM content AS c WHERE use_count != used OR use_count = 0",
    )
    for content_id, use_count, used in wrong:
        yield f"content {content_id} counts {use_count} uses, {used} messages have it"
    missing = select(db, "SELECT mailbox_id, uid FROM message WHERE content_id NOT IN (SELECT content_id FROM content)")
    for mailbox_id, uid in missing:
        yield f"message {uid} of mailbox {mailbox_id} has no content"
    sizes = select(
        db,
        "SELECT m.mailbox_id, m.uid FROM message AS m JOIN content AS c USING (content_id)"
        " WHERE m.size_octets != c.size_octets",
    )
    for mailbox_id, uid in sizes:
        yield f"message {uid} of mailbox {mailbox_id} has another size than its content"
    for content_id, parts, order in db.execute("SELECT content_id, parts, order_facts FROM content"):
        try:
            contents.decoded_parts(parts)
            contents.decoded_order(order)
        except ValueError as error:
            yield f"content {content_id}: its facts cannot be read: {error}"


def _octets(db: apsw.Connection) -> Iterator[str]:
    """All chunks are there, decompress, follow each other, and belong to a content."""
    sizes: dict[int, int] = dict(db.execute("SELECT content_id, size_octets FROM content"))
    found = dict.fromkeys(sizes, 0)
    for place, is_compressed, stored in db.execute("SELECT place, is_compressed, octets FROM chunk ORDER BY place"):
        content_id, offset = place >> octets.PLACE_SHIFT, place & (1 << octets.PLACE_SHIFT) - 1
        if content_id not in sizes:
            yield f"chunk of content {content_id}, which is not there"
            continue
        if offset != found[content_id]:
            yield f"content {content_id}: its chunks do not follow each other at {offset}"
        try:
            length = len(octets.decompressed(stored) if is_compressed else stored)
        except StoreDamaged:
            yield f"content {content_id}: its chunk at {offset} cannot be decompressed"
            continue
        found[content_id] = offset + length
    for content_id, size_octets in sizes.items():
        if found[content_id] != size_octets:
            yield f"content {content_id} has {found[content_id]} octets instead of {size_octets}"


def _filters(db: apsw.Connection) -> Iterator[str]:
    """Scripts are within their limits; lessons have a content and say something; no count is below nothing."""
    for name, octets_count in select(
        db, "SELECT name, length(octets) FROM script WHERE length(octets) > ?", (SCRIPT_OCTETS_MAX,)
    ):
        yield f"script {name!r} has {octets_count} octets"
    (script_count,) = select_one(db, "SELECT count(*) FROM script")
    if script_count > SCRIPTS_MAX:
        yield f"there are {script_count} scripts"
    for (content_id,) in select(
        db,
        "SELECT content_id FROM junk_lesson WHERE content_id NOT IN (SELECT content_id FROM content)"
        " OR ifnull(said, learned) IS NULL OR said IS learned",
    ):
        yield f"the junk lesson of content {content_id} has no content, or says nothing"
    negative = select(db, "SELECT token FROM junk_token WHERE good_count < 0 OR junk_count < 0 LIMIT 20")
    for (token,) in negative:
        yield f"junk token {token} has a count below 0"
    totals = select(db, "SELECT good_count, junk_count FROM junk_total")
    if len(totals) != 1 or min(totals[0]) < 0:
        yield f"totals of junk are {totals}"


def _dav(db: apsw.Connection) -> Iterator[str]:
    """Collections and resources: counts, sizes, what belongs to nobody, what comes from the future."""
    (modseq, dav_octets) = select_one(db, "SELECT modseq, dav_octets FROM account")
    (counted,) = select_one(
        db,
        "SELECT (SELECT ifnull(sum(size_octets), 0) FROM resource)"
        " + (SELECT ifnull(sum(size_octets), 0) FROM attachment)",
    )
    if counted != dav_octets:
        yield f"account counts {dav_octets} octets of calendars and contacts, rows say {counted}"
    for collection_id, count, size, highest, known_count, known_size, known_modseq in select(
        db,
        "SELECT c.collection_id, count(r.resource_id), ifnull(sum(r.size_octets), 0), ifnull(max(r.modseq), 0),"
        " c.resource_count, c.size_octets, max(c.modseq, c.traits_modseq)"
        " FROM collection AS c LEFT JOIN resource AS r USING (collection_id) GROUP BY c.collection_id",
    ):
        if (count, size) != (known_count, known_size):
            yield f"collection {collection_id} counts {known_count, known_size}, rows say {count, size}"
        if highest > known_modseq or known_modseq > modseq:
            yield f"collection {collection_id} has modseq {known_modseq}, its resources {highest}, the account {modseq}"
    for collection_id, name in select(
        db,
        "SELECT collection_id, t.name FROM resource_tombstone AS t JOIN collection AS c USING (collection_id)"
        " WHERE t.modseq > c.modseq",
    ):
        yield f"{name} of collection {collection_id} was deleted after the last change of its collection"
    for (managed_id,) in select(db, "SELECT managed_id FROM attachment WHERE size_octets != length(octets)"):
        yield f"attachment {managed_id} has another size than it says"
    for table in ("resource", "resource_tombstone"):
        for (collection_id,) in select(
            db,
            f"SELECT DISTINCT collection_id FROM {table}"
            " WHERE collection_id NOT IN (SELECT collection_id FROM collection)",
        ):
            yield f"{table} rows of collection {collection_id}, which is not there"
    for table in ("resource_octets", "attachment"):
        for (resource_id,) in select(
            db,
            f"SELECT resource_id FROM {table} WHERE resource_id NOT IN (SELECT resource_id FROM resource)",
        ):
            yield f"{table} of resource {resource_id}, which is not there"
    for collection_id, name in select(
        db, "SELECT collection_id, name FROM resource_tombstone JOIN resource USING (collection_id, name)"
    ):
        yield f"{name} of collection {collection_id} is there and deleted at once"
    for resource_id, etag in select(
        db, "SELECT resource_id, etag FROM resource WHERE resource_id IN (SELECT resource_id FROM resource_octets)"
    ):
        try:
            is_same = sha256(dav_reads.octets_of(db, resource_id)).hexdigest()[:32] == etag
        except StoreDamaged:
            is_same = False
        if not is_same:
            yield f"resource {resource_id} has other octets than its etag says"
    for (resource_id,) in select(
        db, "SELECT resource_id FROM resource WHERE resource_id NOT IN (SELECT resource_id FROM resource_octets)"
    ):
        yield f"resource {resource_id} has no octets"
