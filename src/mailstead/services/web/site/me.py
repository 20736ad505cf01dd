"""What people look after themselves: the way to all of it, the password, and where they are logged in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from starlette.responses import Response

from mailstead.model.directory import AppPassword
from mailstead.model.errors import AccountLocked, AuthenticationFailed, MailsteadError, PolicyRefused, TooManyFailures
from mailstead.model.mailbox import Usage
from mailstead.model.people import ObjectId
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

PROGRAMS_SHOWN_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class MailboxShown:
    """What the overview tells of a mailbox."""

    usage: Usage | None
    """None: it is sealed, and locked."""
    last_log_in: date | None
    """Of browsers and programs alike."""
    programs: tuple[AppPassword, ...]
    """Those that came in with a password of their own, the last one first."""


async def me(visit: Visit) -> Response:
    """Show it."""
    return await _shown(visit)


async def change_password(visit: Visit) -> Response:
    """Set another password; this session goes on, all others end."""
    fields = await visit.fields()
    old, new, again = (fields.get(name, "") for name in ("old", "new", "again"))
    try:
        if new != again:
            raise PolicyRefused(_("The two are not the same"))
        begun = await visit.house.web_sessions.change_password(visit.actor, Secret(old), Secret(new), visit.peer)
    except (AuthenticationFailed, PolicyRefused, TooManyFailures) as error:
        return await _shown(visit, error)
    if begun is not None:
        visit.keep(begun)
    return visit.go("/me", told="password")


async def end_sessions(visit: Visit) -> Response:
    """End one session of the visitor's, or all others."""
    fields = await visit.fields()
    session_id = fields.get("session", "")
    await visit.house.web_sessions.revoke(visit.actor, [ObjectId(session_id)] if session_id else None)
    return visit.go("/me", told="sessions")


async def _shown(visit: Visit, error: MailsteadError | None = None) -> Response:
    sessions = await visit.house.web_sessions.list(visit.actor)
    return visit.show(
        "me.html",
        200 if error is None else status_of(error),
        sessions=sessions,
        own_id=visit.actor.session_id,
        mailbox=await _mailbox(visit) if visit.actor.account_id is not None else None,
        error=error,
    )


async def _mailbox(visit: Visit) -> MailboxShown:
    house, actor = visit.house, visit.actor
    assert actor.account_id is not None
    assert actor.address is not None
    try:
        usage: Usage | None = (await house.own_addresses.get(actor)).usage
    except AccountLocked:
        usage = None
    day = await house.last_log_ins.day(actor.account_id, house.clock.now())
    app_passwords = await house.accounts.list_app_passwords(actor, actor.address)
    used = sorted((each for each in app_passwords if each.last_used_on), key=lambda each: each.last_used_on)
    return MailboxShown(usage, day, tuple(reversed(used))[:PROGRAMS_SHOWN_MAX])


PAGES: Final = (
    Page("/me", me, Who.PERSON),
    Page("/me/password", change_password, Who.PERSON, ("POST",)),
    Page("/me/sessions", end_sessions, Who.PERSON, ("POST",)),
)
