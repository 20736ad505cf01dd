"""Users and their tokens in the directory's file: one function per question or unit of work."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.directory import Verifier
from mailstead.model.errors import LimitReached, NoSuchAccount, NoSuchToken, NoSuchUser, UserExists
from mailstead.model.ids import AccountId
from mailstead.model.people import ApiToken, Listing, ObjectId, Page, User, UserId, owner_of
from mailstead.storage.embedded.listings import bounds_of, order_of
from mailstead.storage.embedded.profile_writes import forget_log_in, keeping_an_administrator, note_rights_change
from mailstead.storage.embedded.rows import select, select_one, select_packed

TOKENS_MAX: Final = 50
"""Tokens of one user."""

USER_COLUMNS: Final = (
    "user.user_id, user.address, user.account_id, user.is_admin, user.is_enabled, user.profile, user.created_at_s,"
    " user.updated_at_s"
)
_USER: Final = f"SELECT {USER_COLUMNS} FROM user"
_API_COLUMNS: Final = "token_id, api_token.user_id, label, api_token.created_at_s, expires_at_s, last_used_on, networks"
_SORTS: Final = {"address": ("user.address",), "created_at": ("user.created_at_s", "user.address")}


class _Names(msgspec.Struct, omit_defaults=True):
    """What of a user is only shown."""

    given_name: str = ""
    family_name: str = ""
    display_name: str = ""
    avatar_url: str = ""
    locale: str = "en"


def users(db: apsw.Connection, listing: Listing) -> Page[User]:
    """See `People.users`."""
    where = "FROM user WHERE ?1 = '' OR instr(address, ?1) > 0"
    text = listing.text.casefold()
    (count,) = select_one(db, f"SELECT count(*) {where}", (text,))
    order = order_of(listing, _SORTS, "address")
    page = f"FROM (SELECT * {where} ORDER BY {order} LIMIT ?2 OFFSET ?3) AS user"
    found = select_packed(db, USER_COLUMNS, page, (text, *bounds_of(listing)), f"ORDER BY {order}")
    return Page(tuple(user_of(row) for row in found), count)


def user(db: apsw.Connection, column: str, value: str) -> User | None:
    """One user by `user_id`, `address` or `account_id`."""
    row = select_one(db, f"{_USER} WHERE {column} = ?", (value,))
    return None if row is None else user_of(row)


def user_of(row: Any) -> User:
    """Read a row of `USER_COLUMNS`."""
    user_id, address, account_id, is_admin, is_enabled, profile, created_at_s, updated_at_s = row
    names = msgspec.json.decode(profile, type=_Names)
    return User(
        UserId(ObjectId(user_id)),
        address,
        bool(is_admin),
        bool(is_enabled),
        None if account_id is None else AccountId(account_id),
        **msgspec.structs.asdict(names),
        created_at=datetime.fromtimestamp(created_at_s, UTC),
        updated_at=datetime.fromtimestamp(updated_at_s, UTC),
    )


def verifier(db: apsw.Connection, user_id: UserId) -> Verifier | None:
    """See `People.verifier`."""
    row = select_one(
        db,
        "SELECT argon2id, scram_stored_key, scram_server_key FROM user"
        " WHERE user_id = ? AND account_id IS NULL AND argon2id IS NOT NULL",
        (user_id,),
    )
    return None if row is None else Verifier(*row)


def add_user(db: apsw.Connection, user: User, password: Verifier | None, now: datetime) -> None:
    """See `People.add_user`."""
    _must_have_account(db, user)
    own: tuple[str | bytes | None, ...] = (None, None, None)
    if password is not None and user.account_id is None:
        own = (password.argon2id, password.scram_stored_key, password.scram_server_key)
    created_at_s = int((user.created_at or now).timestamp())
    try:
        db.execute(
            "INSERT INTO user (argon2id, scram_stored_key, scram_server_key, created_at_s, updated_at_s, address,"
            " account_id, is_admin, is_enabled, profile, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*own, created_at_s, created_at_s, *_columns(user), user.user_id),
        )
    except apsw.ConstraintError:
        raise UserExists(address=user.address) from None


def change_user(db: apsw.Connection, user: User, now: datetime) -> None:
    """See `People.change_user`."""
    _must_have_account(db, user)
    with keeping_an_administrator(db):
        try:
            db.execute(
                "UPDATE user SET updated_at_s = ?, address = ?, account_id = ?, is_admin = ?, is_enabled = ?,"
                " profile = ? WHERE user_id = ?",
                (int(now.timestamp()), *_columns(user), user.user_id),
            )
        except apsw.ConstraintError:
            raise UserExists(address=user.address) from None
        if not db.changes():
            raise NoSuchUser(user_id=user.user_id)
    note_rights_change(db, owner_of(user.user_id, None))
    if user.account_id is not None:  # who is an account has the account's password, and no other
        db.execute(
            "UPDATE user SET argon2id = NULL, scram_stored_key = NULL, scram_server_key = NULL WHERE user_id = ?",
            (user.user_id,),
        )


def set_user_password(db: apsw.Connection, user_id: UserId, password: Verifier) -> None:
    """See `People.set_user_password`."""
    db.execute(
        "UPDATE user SET argon2id = ?, scram_stored_key = ?, scram_server_key = ? WHERE user_id = ?",
        (password.argon2id, password.scram_stored_key, password.scram_server_key, user_id),
    )
    if not db.changes():
        raise NoSuchUser(user_id=user_id)
    note_rights_change(db, owner_of(user_id, None))


def remove_user(db: apsw.Connection, user_id: UserId) -> None:
    """See `People.remove_user`."""
    with keeping_an_administrator(db):
        db.execute("DELETE FROM user WHERE user_id = ?", (user_id,))
        if not db.changes():
            raise NoSuchUser(user_id=user_id)
    forget_log_in(db, owner_of(user_id, None))


def tokens(db: apsw.Connection, user_id: UserId) -> list[ApiToken]:
    """See `People.tokens`."""
    found = select(
        db,
        f"SELECT {_API_COLUMNS} FROM api_token WHERE user_id = ? ORDER BY created_at_s, token_id",
        (user_id,),
    )
    return [_token(row) for row in found]


def token(db: apsw.Connection, token_hash: bytes) -> tuple[User, ApiToken] | None:
    """See `People.token`. A user who is a disabled account is as disabled."""
    row = select_one(
        db,
        f"SELECT {USER_COLUMNS}, {_API_COLUMNS} FROM api_token JOIN user ON user.user_id = api_token.user_id"
        " LEFT JOIN account ON account.account_id = user.account_id"
        " WHERE token_hash = ? AND user.is_enabled AND coalesce(account.is_enabled, 1)",
        (token_hash,),
    )
    return None if row is None else (user_of(row[:8]), _token(row[8:]))


def _token(row: Any) -> ApiToken:
    token_id, user_id, label, created_at_s, expires_at_s, last_used_on, networks = row
    return ApiToken(
        ObjectId(token_id),
        UserId(ObjectId(user_id)),
        label,
        datetime.fromtimestamp(created_at_s, UTC),
        None if expires_at_s is None else datetime.fromtimestamp(expires_at_s, UTC),
        last_used_on,
        tuple(networks.split()),
    )


def add_token(db: apsw.Connection, token: ApiToken, token_hash: bytes) -> None:
    """See `People.add_token`."""
    must_be_there(db, token.user_id)
    (count,) = select_one(db, "SELECT count(*) FROM api_token WHERE user_id = ?", (token.user_id,))
    if count >= TOKENS_MAX:
        raise LimitReached(f"A user has at most {TOKENS_MAX} tokens; remove one first")
    db.execute(
        "INSERT INTO api_token (token_id, token_hash, user_id, label, created_at_s, expires_at_s, last_used_on,"
        " networks) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token.token_id,
            token_hash,
            token.user_id,
            token.label,
            int(token.created_at.timestamp()),
            None if token.expires_at is None else int(token.expires_at.timestamp()),
            token.last_used_on,
            " ".join(token.networks),
        ),
    )


def remove_token(db: apsw.Connection, user_id: UserId, token_id: ObjectId) -> None:
    """See `People.remove_token`."""
    db.execute("DELETE FROM api_token WHERE user_id = ? AND token_id = ?", (user_id, token_id))
    if not db.changes():
        raise NoSuchToken(token_id=token_id)
    note_rights_change(db, owner_of(user_id, None))


def unnoted_tokens(db: apsw.Connection, token_ids: Sequence[ObjectId], day: str) -> list[str]:
    """Those of the tokens whose last use was on an earlier day."""
    wanted = msgspec.json.encode(list(token_ids)).decode()
    found = select(
        db,
        "SELECT token_id FROM api_token WHERE token_id IN (SELECT value FROM json_each(?)) AND last_used_on < ?",
        (wanted, day),
    )
    return [token_id for (token_id,) in found]


def note_token_use(db: apsw.Connection, token_ids: Sequence[str], day: str) -> None:
    """See `People.note_token_use`."""
    db.executemany(
        "UPDATE api_token SET last_used_on = ?1 WHERE token_id = ?2 AND last_used_on < ?1",
        [(day, token_id) for token_id in token_ids],
    )


def must_be_there(db: apsw.Connection, user_id: UserId) -> None:
    """Errors: NoSuchUser."""
    if select_one(db, "SELECT 1 FROM user WHERE user_id = ?", (user_id,)) is None:
        raise NoSuchUser(user_id=user_id)


def _must_have_account(db: apsw.Connection, user: User) -> None:
    if user.account_id is None:
        return
    if select_one(db, "SELECT 1 FROM account WHERE account_id = ?", (user.account_id,)) is None:
        raise NoSuchAccount(account_id=user.account_id)


def _columns(user: User) -> tuple[str, str | None, int, int, str]:
    names = _Names(user.given_name, user.family_name, user.display_name, user.avatar_url, user.locale)
    profile = msgspec.json.encode(names).decode()
    return user.address, user.account_id, int(user.is_admin), int(user.is_enabled), profile
