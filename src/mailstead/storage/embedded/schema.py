"""The tables of an account file, and the way from every earlier version to the present one.

What is narrow and what is wide: `message` holds what every list needs in some 40 octets a row, clustered by mailbox and
UID, so that FETCH of flags, SEARCH by flags and SELECT scan few pages. `content` holds what was computed at append
(header summary, structure …), once for all copies. Octets are in `chunk`, apart from both.

Versions only go forward; a step is never changed once released (tests open a store of every version).
"""

from typing import Final

import apsw

from mailstead.model.errors import StoreDamaged

VERSION_1: Final = """
-- One row. The counters that every unit of work of this account moves.
CREATE TABLE account (
    account_id TEXT NOT NULL PRIMARY KEY,
    modseq INTEGER NOT NULL,              -- the highest ever given
    size_octets INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    mailbox_count INTEGER NOT NULL,
    quota_octets INTEGER,
    quota_messages INTEGER,
    last_uidvalidity INTEGER NOT NULL,    -- the highest ever given
    next_content_id INTEGER NOT NULL,
    indexed_to INTEGER NOT NULL,          -- contents up to here are in the text index
    thread_salt BLOB NOT NULL,            -- key of the hashes in thread_ref
    is_deleted INTEGER NOT NULL
) STRICT;

CREATE TABLE mailbox (
    mailbox_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    special_use TEXT UNIQUE,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    highestmodseq INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    unseen_count INTEGER NOT NULL,
    deleted_count INTEGER NOT NULL,
    size_octets INTEGER NOT NULL,
    first_unseen_uid INTEGER
) STRICT;

CREATE TABLE message (
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    flags INTEGER NOT NULL,               -- bits in the order of model.flags.SYSTEM_FLAGS
    keywords TEXT NOT NULL,               -- sorted, with single spaces
    internaldate_s INTEGER NOT NULL,
    zone_minutes INTEGER NOT NULL,
    savedate_s INTEGER NOT NULL,
    sent_on INTEGER,                      -- day ordinal of the Date field
    size_octets INTEGER NOT NULL,
    header_octets INTEGER NOT NULL,
    content_id INTEGER NOT NULL,
    thread_no INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_modseq ON message (mailbox_id, modseq);
CREATE INDEX message_by_content ON message (content_id);

-- Runs of UIDs that were given once and are gone: exactly the gaps between 1 and uidnext. Neighbours are merged under
-- the higher modseq, so QRESYNC may name a UID again that vanished earlier (RFC 7162 §3.2.10 allows it), and the table
-- never has more rows than the mailbox has messages, plus one.
CREATE TABLE expunged (
    mailbox_id INTEGER NOT NULL,
    first_uid INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, first_uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX expunged_by_modseq ON expunged (mailbox_id, modseq);

CREATE TABLE keyword (
    mailbox_id INTEGER NOT NULL,
    folded TEXT NOT NULL,                 -- case-folded, as keywords compare without case
    name TEXT NOT NULL,                   -- the spelling of its first use
    PRIMARY KEY (mailbox_id, folded)
) STRICT, WITHOUT ROWID;

CREATE TABLE content (
    content_id INTEGER PRIMARY KEY,
    use_count INTEGER NOT NULL,           -- messages that show it
    size_octets INTEGER NOT NULL,
    header_summary BLOB NOT NULL,
    body_structure BLOB NOT NULL,
    parts BLOB NOT NULL,                  -- MessagePack of model.message.PartFacts
    order_facts BLOB NOT NULL,            -- MessagePack of model.message.OrderFacts
    listed_header BLOB NOT NULL,
    preview TEXT NOT NULL
) STRICT;

-- Octets of a message, in pieces. The key says where the piece starts: content_id * 2^32 + offset.
CREATE TABLE chunk (
    place INTEGER PRIMARY KEY,
    is_compressed INTEGER NOT NULL,
    octets BLOB NOT NULL
) STRICT;

-- Keyed hash of a message-id to the thread it belongs to.
CREATE TABLE thread_ref (
    hash INTEGER PRIMARY KEY,
    thread_no INTEGER NOT NULL,
    content_id INTEGER NOT NULL           -- the row goes with the content that brought it
) STRICT;

CREATE TABLE subscription (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE annotation (
    mailbox_id INTEGER NOT NULL,          -- 0: of the account
    entry TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (mailbox_id, entry)
) STRICT, WITHOUT ROWID;

-- The text index. Its own copy of the text is not kept; rowid is content_id. Texts come already folded.
CREATE VIRTUAL TABLE text_index USING fts5 (
    "from", "to", cc, bcc, subject, header, body,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
-- Merge later than by default: measured 0.12 instead of 0.20 ms a message of 1 KB, searches are as fast.
INSERT INTO text_index (text_index, rank) VALUES ('automerge', 16);
CREATE VIRTUAL TABLE text_term USING fts5vocab (text_index, row);
"""

VERSION_2: Final = """
-- Sieve scripts. Names are keys and nothing else; no file or folder is made from them.
CREATE TABLE script (
    name TEXT NOT NULL PRIMARY KEY,
    is_active INTEGER NOT NULL,
    octets BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX active_script ON script (is_active) WHERE is_active = 1;

CREATE TABLE preference (
    key TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Small facts that run out: who got a vacation answer, which messages came before.
CREATE TABLE remembered (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    until_s INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_by_until ON remembered (kind, until_s);

-- What the owner says about mail by moving it into Junk and out of it.
CREATE TABLE junk_lesson (
    content_id INTEGER PRIMARY KEY,
    said INTEGER,                         -- waits to be learned: 0 good, 1 junk; NULL: nothing waits
    learned INTEGER                       -- how it stands in the counts: 0 good, 1 junk; NULL: not at all
) STRICT;
CREATE INDEX junk_backlog ON junk_lesson (content_id) WHERE said IS NOT NULL;

CREATE TABLE junk_token (
    token INTEGER PRIMARY KEY,            -- a hash
    good_count INTEGER NOT NULL,          -- messages that had it
    junk_count INTEGER NOT NULL
) STRICT;

-- One row.
CREATE TABLE junk_total (
    good_count INTEGER NOT NULL,
    junk_count INTEGER NOT NULL
) STRICT;
INSERT INTO junk_total VALUES (0, 0);
"""

VERSION_3: Final = """
-- Calendars, address books, the inbox of scheduling. Their changes take the account's modseq.
ALTER TABLE account ADD COLUMN dav_octets INTEGER NOT NULL DEFAULT 0;   -- of resources and attachments
ALTER TABLE account ADD COLUMN had_defaults INTEGER NOT NULL DEFAULT 0; -- the first collections were made, once

CREATE TABLE collection (
    collection_id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,                   -- model.dav.CollectionKind
    name TEXT NOT NULL,
    traits BLOB NOT NULL,                 -- MessagePack of model.dav.CollectionTraits
    modseq INTEGER NOT NULL,              -- the highest change of a resource
    traits_modseq INTEGER NOT NULL,
    resource_count INTEGER NOT NULL,
    size_octets INTEGER NOT NULL,
    forgotten_modseq INTEGER NOT NULL,    -- tombstones up to here are gone: older sync tokens are no good
    source_url TEXT NOT NULL,
    UNIQUE (kind, name)
) STRICT;

CREATE TABLE resource (
    resource_id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    etag TEXT NOT NULL,
    schedule_tag TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    modified_s INTEGER NOT NULL,
    size_octets INTEGER NOT NULL,
    uid TEXT NOT NULL,
    component TEXT NOT NULL,
    first_s INTEGER NOT NULL,             -- what has no beginning, no end, or no place in time meets every span:
    last_s INTEGER NOT NULL,              -- -2^62 and 2^62 stand for that
    facts INTEGER NOT NULL,               -- bits: is_dated, is_recurring, is_exact, is_group
    organizer TEXT NOT NULL,
    summary TEXT NOT NULL,
    UNIQUE (collection_id, name)
) STRICT;
CREATE INDEX resource_by_uid ON resource (uid, collection_id);
CREATE INDEX resource_by_modseq ON resource (collection_id, modseq);
CREATE INDEX resource_by_time ON resource (collection_id, last_s, first_s);

CREATE TABLE resource_octets (
    resource_id INTEGER PRIMARY KEY,
    is_compressed INTEGER NOT NULL,
    octets BLOB NOT NULL,
    text TEXT NOT NULL                    -- model.dav.ResourceFacts.text
) STRICT;

CREATE TABLE resource_tombstone (
    collection_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (collection_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_modseq ON resource_tombstone (collection_id, modseq);

CREATE TABLE errand (
    errand_id INTEGER PRIMARY KEY AUTOINCREMENT,
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE attachment (
    managed_id TEXT NOT NULL PRIMARY KEY,
    resource_id INTEGER NOT NULL,
    file_name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_octets INTEGER NOT NULL,
    octets BLOB NOT NULL
) STRICT;
CREATE INDEX attachment_by_resource ON attachment (resource_id);
"""

_IN_STRUCTURE: Final = "instr(body_structure, x'"
ATTACHED: Final = (  # ("attachment" (…  or  ("attachment" NIL)
    f"{_IN_STRUCTURE}28226174746163686d656e74222028') + {_IN_STRUCTURE}28226174746163686d656e7422204e494c29') > 0"
)
"""Whether a content has an attachment; written in the same way wherever it is asked, so that the index serves.

The same as `mime.structure.has_attachment`.
"""

VERSION_4: Final = f"""
-- The newest messages of a mailbox by their date, a page at a time.
CREATE INDEX message_by_date ON message (mailbox_id, internaldate_s);
-- body-fld-dsp of some part in the stored BODYSTRUCTURE; few contents have one.
CREATE INDEX content_attached ON content (content_id) WHERE {ATTACHED};
"""

VERSION_5: Final = """
-- What was deleted, for programs that name objects by an id. Older tombstones say nothing: 0.
ALTER TABLE resource_tombstone ADD COLUMN resource_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resource_tombstone ADD COLUMN uid TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN component TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN deleted_s INTEGER NOT NULL DEFAULT 0;
"""

VERSION_6: Final = """
-- Messages that wait, in a mailbox of their own, to come back to INBOX. A row whose message has gone says nothing.
CREATE TABLE snooze (
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    origin TEXT NOT NULL,                 -- name of the mailbox that it came from
    PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX snooze_by_until ON snooze (until_s);
"""

VERSION_7: Final = """
-- Lists by a flag, newest first: few messages are in either, and each list costs what it shows. The conditions are
-- written as `search` writes them, so that the indexes serve.
CREATE INDEX message_unseen ON message (mailbox_id, internaldate_s) WHERE (flags & 1) = 0;
CREATE INDEX message_flagged ON message (mailbox_id, internaldate_s) WHERE (flags & 4) != 0;
-- A conversation's messages in all mailboxes.
CREATE INDEX message_by_thread ON message (thread_no);
-- Messages that may have the same octets as a new one.
CREATE INDEX message_by_size ON message (mailbox_id, size_octets);
"""

VERSION_8: Final = """
-- Keys of OpenPGP: the owner's own, with what a passphrase unlocks, and those of correspondents.
CREATE TABLE openpgp_key (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,                -- lower case
    user_ids TEXT NOT NULL,               -- JSON list
    public BLOB NOT NULL,
    secret BLOB,                          -- MessagePack of model.openpgp.LockedSecret; NULL: a correspondent's
    source TEXT NOT NULL,                 -- model.openpgp.KeySource
    is_verified INTEGER NOT NULL,
    added_s INTEGER NOT NULL
) STRICT;
"""

MIGRATIONS: Final[tuple[str, ...]] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
    VERSION_7,
    VERSION_8,
)
"""Step n brings a file from version n to version n + 1."""


def version_of(db: apsw.Connection) -> int:
    """Give the schema version of a file; 0 for an empty one."""
    version = db.pragma("user_version")
    assert isinstance(version, int)
    return version


def migrate(db: apsw.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring a file to the newest version, all steps in one transaction.

    Errors: StoreDamaged, for a file written by a newer release.
    """
    if version_of(db) == len(migrations):
        return
    db.execute("BEGIN IMMEDIATE")  # another process may be at the same: look again under the lock
    try:
        version = version_of(db)
        if version > len(migrations):
            raise StoreDamaged("The store was written by a newer release", version=version)
        for step in migrations[version:]:
            db.execute(step)
        db.pragma("user_version", len(migrations))
    except BaseException:
        if db.in_transaction:  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
