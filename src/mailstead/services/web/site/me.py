"""What people look after themselves: the password, and where they are logged in."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import AuthenticationFailed, MailsteadError, PolicyRefused, TooManyFailures
from mailstead.model.people import ObjectId
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _


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
    status = 200 if error is None else status_of(error)
    return visit.show("me.html", status, sessions=sessions, own_id=visit.actor.session_id, error=error)


PAGES: Final = (
    Page("/me", me, Who.PERSON),
    Page("/me/password", change_password, Who.PERSON, ("POST",)),
    Page("/me/sessions", end_sessions, Who.PERSON, ("POST",)),
)
