"""Where a log-in leads."""

from __future__ import annotations

from starlette.responses import Response

from mailstead.services.web.site.pages import Visit


async def home(visit: Visit) -> Response:
    """Lead to what the visitor has come for: who has a mailbox to it, who looks after something to that."""
    return visit.go("/mail" if visit.actor.account_id is not None else "/admin" if visit.actor.is_admin else "/me")
