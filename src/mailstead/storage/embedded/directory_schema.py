"""Tables of the directory file, by schema version."""

from typing import Final

VERSION_1: Final = """
CREATE TABLE domain (
    name TEXT NOT NULL PRIMARY KEY,           -- lower-case A-labels
    catch_all TEXT                            -- an address, NULL: none
) STRICT, WITHOUT ROWID;

-- Accounts and aliases share one name space: this primary key decides who gets an address (promise 8).
CREATE TABLE address (
    key TEXT NOT NULL PRIMARY KEY,            -- Address.key
    domain TEXT NOT NULL REFERENCES domain (name),
    text TEXT NOT NULL,                       -- as given
    account_id TEXT                           -- NULL: an alias
        REFERENCES account (account_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX address_domain ON address (domain);
CREATE UNIQUE INDEX address_account ON address (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE account (
    account_id TEXT NOT NULL PRIMARY KEY,
    quota_octets INTEGER,
    is_enabled INTEGER NOT NULL,
    scram_salt BLOB NOT NULL,
    scram_iteration_count INTEGER NOT NULL,
    argon2id TEXT NOT NULL,
    scram_stored_key BLOB NOT NULL,
    scram_server_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alias_target (
    alias_key TEXT NOT NULL REFERENCES address (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    target_key TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (alias_key, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_target_key ON alias_target (target_key);

CREATE TABLE app_password (
    app_password_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    scopes TEXT NOT NULL,                     -- space-separated
    created_at_s INTEGER NOT NULL,
    argon2id TEXT NOT NULL,
    scram_stored_key BLOB NOT NULL,
    scram_server_key BLOB NOT NULL
) STRICT;
CREATE INDEX app_password_account ON app_password (account_id);

-- Whose credentials changed, the latest change of each account: who holds sessions open reads on from here.
CREATE TABLE credential_change (
    change_id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT NOT NULL UNIQUE ON CONFLICT REPLACE
) STRICT;
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""
