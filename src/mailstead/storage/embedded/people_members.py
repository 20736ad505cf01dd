"""Members of domains and invitations in the directory's file: one function per question or unit of work."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import apsw

from mailstead.model.errors import LimitReached, NoSuchDomain, NoSuchInvite, NoSuchUser
from mailstead.model.people import Group, Invite, Member, UserId, owner_of
from mailstead.storage.embedded.people_users import USER_COLUMNS, must_be_there, user_of
from mailstead.storage.embedded.profile_writes import note_rights_change
from mailstead.storage.embedded.rows import select, select_one

INVITES_MAX: Final = 200
"""Invitations of one domain that wait to be taken."""

_INVITE: Final = "SELECT domain, address, group_name, created_at_s, expires_at_s FROM invite"


def members(db: apsw.Connection, domain: str) -> tuple[Member, ...]:
    """See `People.members`."""
    found = select(
        db,
        f"SELECT group_name, {USER_COLUMNS} FROM member JOIN user ON user.user_id = member.user_id"
        " WHERE domain = ? ORDER BY user.address",
        (domain,),
    )
    return tuple(Member(domain, user_of(row[1:]), Group(row[0])) for row in found)


def memberships(db: apsw.Connection, user_id: UserId) -> dict[str, Group]:
    """See `People.memberships`."""
    found = select(db, "SELECT domain, group_name FROM member WHERE user_id = ? ORDER BY domain", (user_id,))
    return {domain: Group(group) for domain, group in found}


def set_member(db: apsw.Connection, domain: str, user_id: UserId, group: Group) -> None:
    """See `People.set_member`."""
    _must_be_ours(db, domain)
    must_be_there(db, user_id)
    db.execute(
        "INSERT INTO member (domain, user_id, group_name) VALUES (?, ?, ?)"
        " ON CONFLICT (domain, user_id) DO UPDATE SET group_name = excluded.group_name",
        (domain, user_id, group.value),
    )
    note_rights_change(db, owner_of(user_id, None))


def remove_member(db: apsw.Connection, domain: str, user_id: UserId) -> None:
    """See `People.remove_member`."""
    db.execute("DELETE FROM member WHERE domain = ? AND user_id = ?", (domain, user_id))
    if not db.changes():
        raise NoSuchUser(domain=domain, user_id=user_id)
    db.execute(
        "UPDATE address_profile SET user_id = NULL, updated_at_s = unixepoch() WHERE user_id = ? AND domain = ?",
        (user_id, domain),
    )
    note_rights_change(db, owner_of(user_id, None))


def invites(db: apsw.Connection, domain: str, now: datetime) -> list[Invite]:
    """See `People.invites`."""
    found = select(
        db, f"{_INVITE} WHERE domain = ? AND expires_at_s > ? ORDER BY address", (domain, int(now.timestamp()))
    )
    return [_invite(row) for row in found]


def put_invite(db: apsw.Connection, invite: Invite, now: datetime) -> None:
    """See `People.put_invite`."""
    _must_be_ours(db, invite.domain)
    db.execute(
        "DELETE FROM invite WHERE domain = ? AND (expires_at_s <= ? OR address = ?)",
        (invite.domain, int(now.timestamp()), invite.address),
    )
    (count,) = select_one(db, "SELECT count(*) FROM invite WHERE domain = ?", (invite.domain,))
    if count >= INVITES_MAX:
        raise LimitReached(f"A domain has at most {INVITES_MAX} invitations at a time")
    db.execute(
        "INSERT INTO invite (domain, address, group_name, created_at_s, expires_at_s) VALUES (?, ?, ?, ?, ?)",
        (
            invite.domain,
            invite.address,
            invite.group.value,
            int(invite.created_at.timestamp()),
            int(invite.expires_at.timestamp()),
        ),
    )


def remove_invite(db: apsw.Connection, domain: str, address: str) -> Invite:
    """See `People.remove_invite`."""
    row = select_one(db, f"{_INVITE} WHERE domain = ? AND address = ?", (domain, address))
    if row is None:
        raise NoSuchInvite(domain=domain)
    db.execute("DELETE FROM invite WHERE domain = ? AND address = ?", (domain, address))
    return _invite(row)


def take_invite(db: apsw.Connection, domain: str, user_id: UserId, address: str, now: datetime) -> Invite:
    """See `People.take_invite`. Who is an administrator already stays one."""
    invite = remove_invite(db, domain, address)
    if invite.expires_at <= now:
        raise NoSuchInvite(domain=domain)
    must_be_there(db, user_id)
    db.execute(
        "INSERT INTO member (domain, user_id, group_name) VALUES (?1, ?2, ?3) ON CONFLICT (domain, user_id)"
        " DO UPDATE SET group_name = excluded.group_name WHERE excluded.group_name = ?4",
        (domain, user_id, invite.group.value, Group.ADMIN.value),
    )
    note_rights_change(db, owner_of(user_id, None))
    return invite


def _invite(row: Any) -> Invite:
    domain, address, group, created_at_s, expires_at_s = row
    return Invite(
        domain,
        address,
        Group(group),
        datetime.fromtimestamp(created_at_s, UTC),
        datetime.fromtimestamp(expires_at_s, UTC),
    )


def _must_be_ours(db: apsw.Connection, domain: str) -> None:
    if select_one(db, "SELECT 1 FROM domain WHERE name = ?", (domain,)) is None:
        raise NoSuchDomain(domain=domain)
