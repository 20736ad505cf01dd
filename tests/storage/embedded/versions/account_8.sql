-- The account file as version 8 wrote it. Never changed again.
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
INSERT INTO text_index (text_index, rank) VALUES ('automerge', 16);
CREATE VIRTUAL TABLE text_term USING fts5vocab (text_index, row);

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

-- The newest messages of a mailbox by their date, a page at a time.
CREATE INDEX message_by_date ON message (mailbox_id, internaldate_s);
-- body-fld-dsp of some part in the stored BODYSTRUCTURE; few contents have one.
CREATE INDEX content_attached ON content (content_id) WHERE instr(body_structure, x'28226174746163686d656e74222028') + instr(body_structure, x'28226174746163686d656e7422204e494c29') > 0;
-- What was deleted, for programs that name objects by an id. Older tombstones say nothing: 0.
ALTER TABLE resource_tombstone ADD COLUMN resource_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE resource_tombstone ADD COLUMN uid TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN component TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE resource_tombstone ADD COLUMN deleted_s INTEGER NOT NULL DEFAULT 0;
-- Messages that wait, in a mailbox of their own, to come back to INBOX. A row whose message has gone says nothing.
CREATE TABLE snooze (
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    origin TEXT NOT NULL,                 -- name of the mailbox that it came from
    PRIMARY KEY (mailbox_id, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX snooze_by_until ON snooze (until_s);
-- Lists by a flag, newest first: few messages are in either, and each list costs what it shows. The conditions are
-- written as `search` writes them, so that the indexes serve.
CREATE INDEX message_unseen ON message (mailbox_id, internaldate_s) WHERE (flags & 1) = 0;
CREATE INDEX message_flagged ON message (mailbox_id, internaldate_s) WHERE (flags & 4) != 0;
-- A conversation's messages in all mailboxes.
CREATE INDEX message_by_thread ON message (thread_no);
-- Messages that may have the same octets as a new one.
CREATE INDEX message_by_size ON message (mailbox_id, size_octets);
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
INSERT INTO openpgp_key VALUES ('0123', 'bob@example.test', '["Bob <bob@example.test>"]', x'98', NULL, 'by hand', 1, 1793696400);
PRAGMA user_version = 8;

INSERT INTO account VALUES ('00112233aabbccdd', 9, 128, 1, 2, NULL, NULL, 1700000002, 2, 0, x'00112233445566778899aabbccddeeff', 0, 20, 1);
INSERT INTO mailbox VALUES (1, 'INBOX', NULL, 1700000001, 3, 9, 1, 1, 0, 128, 2);
INSERT INTO mailbox VALUES (2, 'Sent', '\Sent', 1700000002, 1, 3, 0, 0, 0, 0, NULL);
INSERT INTO expunged VALUES (1, 1, 1, 9);
INSERT INTO subscription VALUES ('INBOX'), ('Sent');
INSERT INTO keyword VALUES (1, 'todo', 'Todo');
INSERT INTO message VALUES (1, 2, 8, 0, 'Todo', 1793696400, 60, 1793696401, 739923, 128, 121, 1, 1);
INSERT INTO content VALUES (1, 1, 128, x'28225475652c2033204e6f7620323032362031303a30303a3030202b3031303022202266726f6d2076657273696f6e2031222028284e494c204e494c2022616c6963652220226578616d706c652e746573742229292028284e494c204e494c2022616c6963652220226578616d706c652e746573742229292028284e494c204e494c2022616c6963652220226578616d706c652e74657374222929204e494c204e494c204e494c204e494c20223c31406578616d706c652e746573743e2229', x'282274657874222022706c61696e222028226368617273657422202275732d61736369692229204e494c204e494c2022376269742220372031204e494c204e494c204e494c204e494c29', x'91dc0011a00079cc80aa746578742f706c61696e90a437626974c090c0c0c090c001ffc2', x'9ace6ae9a290ae66726f6d2076657273696f6e2031c2a5616c696365a0a0b2616c696365406578616d706c652e74657374a0ae31406578616d706c652e7465737490', x'46726f6d3a20616c696365406578616d706c652e746573740d0a5375626a6563743a2066726f6d2076657273696f6e20310d0a4d6573736167652d49443a203c31406578616d706c652e746573743e0d0a446174653a205475652c2033204e6f7620323032362031303a30303a3030202b303130300d0a', 'Hello');
INSERT INTO chunk VALUES (4294967296, 0, x'46726f6d3a20616c696365406578616d706c652e746573740d0a5375626a6563743a2066726f6d2076657273696f6e20310d0a4d6573736167652d49443a203c31406578616d706c652e746573743e0d0a446174653a205475652c2033204e6f7620323032362031303a30303a3030202b303130300d0a0d0a48656c6c6f0d0a');
INSERT INTO thread_ref VALUES (6074463965390485991, 1, 1);
INSERT INTO script VALUES ('old', 0, x'6b6565703b'), ('present', 1, x'73746f703b');
INSERT INTO preference VALUES ('vacation.enabled', x'31');
INSERT INTO remembered VALUES ('vacation', 'bob@example.test', 4102444800);
INSERT INTO junk_lesson VALUES (1, 1, 0);
INSERT INTO junk_token VALUES (-7, 1, 0);
UPDATE junk_total SET good_count = 1;
INSERT INTO collection VALUES (1, 'calendar', 'default', x'8bac646973706c61795f6e616d65a843616c656e646172b5646973706c61795f6e616d655f6c616e6775616765a0ab6465736372697074696f6ea0a5636f6c6f72a0a56f72646572c0a874696d657a6f6e65a0ab74696d657a6f6e655f6964a0aa636f6d706f6e656e747391a6564556454e54ae69735f7472616e73706172656e74c2ac617661696c6162696c697479a0a46465616481a57b783a7d79af3c7920786d6c6e733d27783a272f3e', 11, 10, 1, 20, 0, '');
INSERT INTO resource VALUES (1, 1, 'one.ics', 11, '6b7ecb213476f90f308edf2e4e82817b', 'tag', 1793696400, 1793696401, 20, 'uid-1', 'VEVENT', 1793696400, 4611686018427387904, 3, 'mailto:alice@example.test', 'Lunch');
INSERT INTO resource_octets VALUES (1, 0, x'424547494e3a5643414c454e44415220656e6473', 'lunch');
INSERT INTO resource_tombstone VALUES (1, 'two.ics', 11, 2, 'uid-2', 'VEVENT', 'Tea', 1793696402);
INSERT INTO errand VALUES (1, x'01');
UPDATE account SET modseq = 11;
INSERT INTO snooze VALUES (1, 2, 1793696400, 'INBOX');
