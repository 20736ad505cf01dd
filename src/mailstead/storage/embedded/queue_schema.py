"""Tables of the queue file, by schema version.

How leasing stays quick whatever waits: recipients that wait for one destination at one priority form a *lane*. A
lane's row says when its first recipient is due, the back-off of its destination counted in; so those who lease look at
lanes that are ready and at nothing else, and find the recipients by one descent of an index. A leased recipient stays
in its lane, due when the lease ends; so a lease that is never settled expires by itself.
"""

from typing import Final

VERSION_1: Final = """
CREATE TABLE item (
    item_id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    mail_from TEXT,                       -- local part as it is, @, domain; NULL: the null sender
    size_octets INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,         -- all moments: microseconds since 1970
    expires_at INTEGER NOT NULL,
    domain TEXT NOT NULL,
    account_id TEXT,
    notify_to TEXT,
    body TEXT NOT NULL,
    smtputf8 INTEGER NOT NULL,
    ret TEXT,
    envid TEXT,
    require_tls INTEGER NOT NULL,
    tls_optional INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    is_delay_told INTEGER NOT NULL,       -- for all recipients that wait
    finished_at INTEGER                   -- NULL: some recipient waits or is held
) STRICT;
CREATE INDEX item_by_queue_id ON item (queue_id);
CREATE INDEX item_expiry ON item (expires_at) WHERE finished_at IS NULL;
CREATE INDEX item_untold ON item (accepted_at)
    WHERE finished_at IS NULL AND is_delay_told = 0 AND notify_to IS NOT NULL;
CREATE INDEX item_finished ON item (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE recipient (
    recipient_id INTEGER PRIMARY KEY,     -- item_id * 2^20 + position: the recipients of an item are neighbours
    destination TEXT NOT NULL,            -- Destination.key
    priority INTEGER NOT NULL,            -- the item's
    due_at INTEGER,                       -- when it may be leased, NULL: never; of a leased one, when its lease ends
    state TEXT NOT NULL,
    lease_id TEXT,
    leased_until INTEGER,
    address TEXT NOT NULL,
    notify TEXT NOT NULL,                 -- space-separated
    orcpt TEXT,
    url TEXT NOT NULL,
    via TEXT,
    attempt_count INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_attempt_at INTEGER,
    last_reply TEXT,                      -- RemoteReply as JSON
    is_delay_told INTEGER NOT NULL
) STRICT;
-- Only of those that wait, so that it stays small however many finished ones are kept.
CREATE INDEX recipient_due ON recipient (destination, priority, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX recipient_leased ON recipient (destination, leased_until, lease_id) WHERE lease_id IS NOT NULL;
CREATE INDEX recipient_state ON recipient (state);

-- One row for each destination and priority for which some recipient waits.
CREATE TABLE lane (
    destination TEXT NOT NULL,
    priority INTEGER NOT NULL,
    ready_at INTEGER NOT NULL,            -- the earliest due_at of its recipients, or the end of the back-off if later
    PRIMARY KEY (destination, priority)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_ready ON lane (priority, ready_at);

-- Only destinations that have failed since they were last reached.
CREATE TABLE destination (
    key TEXT NOT NULL PRIMARY KEY,
    not_before INTEGER NOT NULL,          -- the end of the back-off
    failure_count INTEGER NOT NULL,
    last_reply TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Octets of items, in pieces: see `octets`.
CREATE TABLE chunk (
    place INTEGER PRIMARY KEY,            -- item_id * 2^32 + offset
    is_compressed INTEGER NOT NULL,
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE suppression (
    key TEXT NOT NULL PRIMARY KEY,        -- Address.key
    address TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX suppression_by_age ON suppression (at);
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""
