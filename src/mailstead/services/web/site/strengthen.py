"""Who is logged in shows once more who he is, before what protects the account, or outlives the session, is changed.

Spec: attack rows 90 (a new token after it), 95, 99.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path

_OTHERWISE: Final = "/me/security"


async def strengthen(visit: Visit) -> Response:
    """GET: ask for a second factor, or the password where none is on. POST: take it, and go on where it was wanted."""
    if visit.request.method != "POST":
        return await ask(visit, local_path(visit.request.query_params.get("then", ""), _OTHERWISE))
    fields = await visit.fields()
    sessions, then = visit.house.web_sessions, local_path(fields.get("then", ""), _OTHERWISE)
    try:
        if fields.get("passkey"):
            begun = await sessions.strengthen_with_passkey(visit.token(), fields["passkey"], visit.peer)
        elif fields.get("password"):
            password = Secret(fields["password"])
            begun = await sessions.start_again(visit.token(), password, visit.peer, visit.program)
        else:
            code = Secret(fields.get("code", "").strip())
            begun = await sessions.strengthen(visit.token(), code, visit.peer)
    except MailsteadError as error:
        return await ask(visit, then, status_of(error), error)
    visit.keep(begun)
    return visit.go(then)


async def ask(visit: Visit, then: str, status: int = 200, error: MailsteadError | None = None) -> Response:
    """Give the page that asks; `then`: where it leads on to."""
    asked = await visit.house.web_sessions.proof_asked(visit.token(), visit.peer)
    return visit.show(
        "strengthen.html",
        status,
        then=then,
        has_factor=bool(asked.kinds),
        passkey_options=asked.passkey_options,
        provider=visit.house.terms.provider,
        error=error,
    )


PAGES: Final = (Page("/me/strengthen", strengthen, Who.PERSON, ("GET", "POST")),)
