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

VERSION_2: Final = """
ALTER TABLE domain ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';  -- JSON of DomainTerms
UPDATE domain SET terms = json_object('webhook_key', lower(hex(randomblob(32))));

-- What an alias has beside address and targets.
CREATE TABLE alias (
    alias_id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of creation
    key TEXT NOT NULL UNIQUE REFERENCES address (key) ON DELETE CASCADE,
    domain TEXT NOT NULL,
    kind INTEGER NOT NULL,                    -- AliasKind
    is_enabled INTEGER NOT NULL DEFAULT 1,
    disabled_code INTEGER NOT NULL DEFAULT 550,
    expires_at_s INTEGER,
    description TEXT NOT NULL DEFAULT '',
    is_masked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alias_patterns ON alias (domain, kind, alias_id) WHERE kind > 0;

ALTER TABLE alias_target ADD COLUMN kind TEXT NOT NULL DEFAULT 'address';  -- or host, web

-- The catch-all was a column of the domain; now it is the alias named *, whatever an alias named so was before.
DELETE FROM address WHERE account_id IS NULL AND key IN (SELECT '*@' || name FROM domain WHERE catch_all IS NOT NULL);
INSERT OR IGNORE INTO address
    SELECT '*@' || name, name, '*@' || name, NULL FROM domain WHERE catch_all IS NOT NULL;
INSERT OR IGNORE INTO alias_target (alias_key, position, target_key, text)
    SELECT '*@' || name, 0, lower(catch_all), catch_all FROM domain
    WHERE catch_all IS NOT NULL
    AND EXISTS (SELECT 1 FROM address WHERE key = '*@' || name AND account_id IS NULL);
ALTER TABLE domain DROP COLUMN catch_all;

INSERT INTO alias (key, domain, kind)
    SELECT key, domain, CASE WHEN key = '*@' || domain THEN 2 WHEN key GLOB '/?*/@*' THEN 1 ELSE 0 END
    FROM address WHERE account_id IS NULL ORDER BY key;

ALTER TABLE account ADD COLUMN forward_to TEXT NOT NULL DEFAULT '[]';  -- JSON of [kind, text]
ALTER TABLE account ADD COLUMN keeps_copy INTEGER NOT NULL DEFAULT 1;
ALTER TABLE account ADD COLUMN sending_limit INTEGER;

CREATE TABLE dkim_key (
    domain TEXT NOT NULL REFERENCES domain (name) ON DELETE CASCADE,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    private_key BLOB NOT NULL,                -- PKCS#8, DER; the whole file is encrypted
    created_at_s INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;
"""

VERSION_3: Final = """
-- What accounts share with each other and with the world. Collections are in the owner's file.
CREATE TABLE share (
    owner_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    sharee_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    access TEXT NOT NULL,
    name TEXT NOT NULL,                       -- in the sharee's paths
    traits TEXT NOT NULL,                     -- JSON of CollectionTraits
    is_accepted INTEGER NOT NULL,
    PRIMARY KEY (owner_id, collection_id, sharee_id),
    UNIQUE (sharee_id, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE delegate (
    owner_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    delegate_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    access TEXT NOT NULL,
    PRIMARY KEY (owner_id, delegate_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delegate_by_delegate ON delegate (delegate_id);

CREATE TABLE public_link (
    token_hash BLOB NOT NULL PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL,
    created_at_s INTEGER NOT NULL,
    expires_at_s INTEGER,
    hides_details INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX public_link_by_owner ON public_link (owner_id);

CREATE TABLE subscription (
    owner_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL,
    url TEXT NOT NULL,
    interval_s INTEGER NOT NULL,
    next_at_s INTEGER NOT NULL,
    failure TEXT NOT NULL,
    PRIMARY KEY (owner_id, collection_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_by_next ON subscription (next_at_s);
"""

VERSION_4: Final = """
-- Devices that want to be told when a collection changes.
CREATE TABLE push_registration (
    push_id TEXT NOT NULL PRIMARY KEY,
    watcher_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    owner_id TEXT NOT NULL REFERENCES account (account_id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL,
    url TEXT NOT NULL,
    public_key BLOB NOT NULL,
    auth_secret BLOB NOT NULL,
    expires_at_s INTEGER NOT NULL,
    UNIQUE (watcher_id, owner_id, collection_id, url)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_registration_by_owner ON push_registration (owner_id, collection_id);
"""

VERSION_5: Final = """
-- Who administers.
CREATE TABLE user (
    user_id TEXT NOT NULL PRIMARY KEY,        -- 24 hex digits
    address TEXT NOT NULL UNIQUE,             -- lower case
    account_id TEXT UNIQUE                    -- the account that this user is
        REFERENCES account (account_id) ON DELETE CASCADE,
    is_admin INTEGER NOT NULL,
    is_enabled INTEGER NOT NULL,
    profile TEXT NOT NULL,                    -- JSON: names, locale …
    argon2id TEXT,                            -- NULL: no password of the user's own
    scram_stored_key BLOB,
    scram_server_key BLOB,
    created_at_s INTEGER NOT NULL,
    updated_at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    domain TEXT NOT NULL REFERENCES domain (name) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    group_name TEXT NOT NULL,                 -- admin, user
    PRIMARY KEY (domain, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_user ON member (user_id);

CREATE TABLE invite (
    domain TEXT NOT NULL REFERENCES domain (name) ON DELETE CASCADE,
    address TEXT NOT NULL,
    group_name TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    PRIMARY KEY (domain, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_token (
    token_id TEXT NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,          -- SHA-256
    user_id TEXT NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    expires_at_s INTEGER,
    last_used_on TEXT NOT NULL DEFAULT '',
    networks TEXT NOT NULL DEFAULT ''         -- space-separated
) STRICT, WITHOUT ROWID;
CREATE INDEX api_token_by_user ON api_token (user_id);

-- What the API tells of domains and addresses. Each has a row, made by `profile_writes`: triggers are switched off for
-- all our files (attack row 74).
CREATE TABLE domain_profile (
    name TEXT NOT NULL PRIMARY KEY REFERENCES domain (name) ON DELETE CASCADE,
    object_id TEXT NOT NULL UNIQUE,
    profile TEXT NOT NULL DEFAULT '{}',       -- JSON of DomainProfile
    created_at_s INTEGER NOT NULL,
    updated_at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO domain_profile SELECT name, lower(hex(randomblob(12))), '{}', unixepoch(), unixepoch() FROM domain;

CREATE TABLE address_profile (
    key TEXT NOT NULL PRIMARY KEY REFERENCES address (key) ON DELETE CASCADE,
    domain TEXT NOT NULL,
    local_part TEXT NOT NULL,                 -- that of the key, so case-folded
    object_id TEXT NOT NULL UNIQUE,
    user_id TEXT REFERENCES user (user_id) ON DELETE SET NULL,
    labels_text TEXT NOT NULL DEFAULT '',     -- case-folded, to be searched
    description_text TEXT NOT NULL DEFAULT '',
    created_at_s INTEGER NOT NULL,
    updated_at_s INTEGER NOT NULL,
    profile TEXT NOT NULL DEFAULT '{}'        -- JSON of AddressProfile; last, as keys and certificates are long
) STRICT, WITHOUT ROWID;
-- One for each order in which they are listed.
CREATE INDEX address_profile_by_name ON address_profile (domain, local_part);
CREATE INDEX address_profile_by_creation ON address_profile (domain, created_at_s, local_part);
CREATE INDEX address_profile_by_change ON address_profile (domain, updated_at_s, local_part);
CREATE INDEX address_profile_by_user ON address_profile (user_id, domain, local_part) WHERE user_id IS NOT NULL;
INSERT INTO address_profile (key, domain, local_part, object_id, description_text, created_at_s, updated_at_s)
    SELECT key, domain, substr(key, 1, length(key) - length(domain) - 1), lower(hex(randomblob(12))),
        lower(coalesce((SELECT description FROM alias WHERE alias.key = address.key), '')), unixepoch(), unixepoch()
    FROM address;
-- Which accounts forward, for whoever asks what leads to an address.
CREATE INDEX account_forwarding ON account (account_id) WHERE forward_to <> '[]';

CREATE TABLE audit (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s INTEGER NOT NULL,
    actor TEXT NOT NULL,
    peer TEXT NOT NULL,
    verb TEXT NOT NULL,
    object TEXT NOT NULL,
    domain TEXT NOT NULL,
    details TEXT NOT NULL,                    -- JSON
    search_text TEXT NOT NULL                 -- actor, verb and object, case-folded
) STRICT;
CREATE INDEX audit_by_domain ON audit (domain, entry_id);
CREATE INDEX audit_by_actor ON audit (actor, entry_id);
CREATE INDEX audit_by_time ON audit (at_s);

CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    answer BLOB,                              -- NULL: under way
    claimed_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_end ON idempotency (expires_at_s);

-- How people log in. The owner is a:<account id> or u:<user id>.
CREATE TABLE factor (
    factor_id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    last_used_at_s INTEGER,
    secret BLOB NOT NULL,
    public_key BLOB NOT NULL,
    counter INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX factor_by_owner ON factor (owner);
CREATE UNIQUE INDEX factor_by_credential ON factor (secret) WHERE kind = 'passkey';

CREATE TABLE web_session (
    session_id TEXT NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    last_seen_at_s INTEGER NOT NULL,
    peer TEXT NOT NULL,
    program TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    strong_at_s INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX web_session_by_owner ON web_session (owner);
CREATE INDEX web_session_by_end ON web_session (expires_at_s);

-- An account with a provider's subject logs in there (OIDC); linked by subject, never by address alone.
CREATE TABLE oidc_link (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (owner, issuer)
) STRICT, WITHOUT ROWID;

ALTER TABLE app_password ADD COLUMN networks TEXT NOT NULL DEFAULT '';  -- CIDR, space-separated
ALTER TABLE app_password ADD COLUMN expires_at_s INTEGER;
ALTER TABLE app_password ADD COLUMN last_used_on TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN is_sealed INTEGER NOT NULL DEFAULT 0;
"""

VERSION_6: Final = """
ALTER TABLE account ADD COLUMN disabled_code INTEGER;  -- NULL: its mail is taken though it is not enabled

-- With these ``*@domain`` logs in for submission. All of a domain have the same salt.
CREATE TABLE catch_all_password (
    password_id TEXT NOT NULL PRIMARY KEY,    -- 24 hex digits
    domain TEXT NOT NULL REFERENCES domain (name) ON DELETE CASCADE,
    description TEXT NOT NULL,
    created_at_s INTEGER NOT NULL,
    is_chosen INTEGER NOT NULL,
    scram_salt BLOB NOT NULL,
    scram_iteration_count INTEGER NOT NULL,
    argon2id TEXT NOT NULL,
    scram_stored_key BLOB NOT NULL,
    scram_server_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX catch_all_password_by_domain ON catch_all_password (domain);
"""

VERSION_7: Final = """
-- How an owner (`model.people.owner_of`) wants the web to be; goes with the user or the account.
CREATE TABLE owner_preference (
    owner TEXT NOT NULL PRIMARY KEY,
    octets BLOB NOT NULL                      -- JSON of model.preferences.Preferences
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final[tuple[str, ...]] = (
    VERSION_1,
    VERSION_2,
    VERSION_3,
    VERSION_4,
    VERSION_5,
    VERSION_6,
    VERSION_7,
)
"""Step n brings a file from version n to version n + 1."""
