"""Logging in and out: address and password, a passkey alone, and the second factor.

Spec: WebAuthn Level 3 §7.2; attack rows 61, 62, 89, 90, 95, 99.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import AuthenticationFailed, MailsteadError, NoSuchSession, TooManyFailures
from mailstead.model.people import FactorKind
from mailstead.model.preferences import Preferences, Theme
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import SESSION, Page, Visit, Who, local_path
from mailstead.usecases.web_sessions import PENDING_LIFE, Begun, FactorAsked

FACTOR: Final = "__Host-log-in"
"""Between password and second factor."""


async def log_in(visit: Visit) -> Response:
    """GET: the form. POST: address and password are right, or it is told that they are not."""
    if visit.request.method == "GET":
        if visit.begun is not None:
            return visit.go(local_path(visit.request.query_params.get("then", "")))
        return _form(visit, then=visit.request.query_params.get("then", ""))
    fields = await visit.fields()
    address, then = fields.get("address", "").strip()[:320], fields.get("then", "")
    try:
        if fields.get("passkey"):
            begun: Begun | FactorAsked = await visit.house.web_sessions.start_with_passkey(
                fields["passkey"], visit.peer, visit.program
            )
        else:
            password = Secret(fields.get("password", ""))
            begun = await visit.house.web_sessions.start(address, password, visit.peer, visit.program)
    except (AuthenticationFailed, TooManyFailures) as error:
        return _form(visit, address, then, error=error)
    if isinstance(begun, FactorAsked):
        visit.set_cookie(FACTOR, begun.token.reveal(), int(PENDING_LIFE.total_seconds()))
        return _factor_form(visit, then, begun)
    return _in(visit, begun, then)


async def factor(visit: Visit) -> Response:
    """Take the second factor."""
    fields = await visit.fields()
    pending = Secret(visit.request.cookies.get(FACTOR, ""))
    try:
        if fields.get("passkey"):
            begun = await visit.house.web_sessions.finish_with_passkey(
                pending, fields["passkey"], visit.peer, visit.program
            )
        else:
            code = Secret(fields.get("code", "").strip())
            begun = await visit.house.web_sessions.finish(pending, code, visit.peer, visit.program)
    except NoSuchSession as error:
        return _form(visit, then=fields.get("then", ""), error=error)
    except (AuthenticationFailed, TooManyFailures) as error:
        return _factor_form(visit, fields.get("then", ""), error=error)
    visit.set_cookie(FACTOR, "", 0)
    return _in(visit, begun, fields.get("then", ""))


async def log_out(visit: Visit) -> Response:
    """End the session."""
    if visit.begun is not None:
        visit.house.openpgp.keys.lock(visit.actor)
    await visit.house.web_sessions.end(visit.token())
    visit.set_cookie(SESSION, "", 0, "Lax")
    visit.begun = None
    return visit.go("/log-in")


async def look(visit: Visit) -> Response:
    """Remember language and theme: in the browser, which has no log-in to know them by, and with who is logged in."""
    fields = await visit.fields()
    chosen = {name: fields[name] for name in ("language", "theme") if _is_word(fields.get(name, ""))}
    remember_look(visit, **chosen)
    if visit.begun is not None:
        themes = {**{each.value: each for each in Theme}, "auto": Theme.SYSTEM}

        def change(before: Preferences) -> Preferences:
            theme = themes.get(chosen.get("theme", ""), before.theme)
            return replace(before, language=chosen.get("language", before.language), theme=theme)

        await visit.house.preferences.change(visit.actor, change)
    return visit.go(local_path(fields.get("then", "")))


def remember_look(visit: Visit, **chosen: str) -> None:
    """Let this browser know what was chosen, for pages before the log-in; no secret, so no such cookie."""
    for name, value in chosen.items():
        visit.cookies.append(f"{name}={value}; Max-Age=31536000; Path=/; Secure; HttpOnly; SameSite=Lax")


def _is_word(text: str) -> bool:
    return text.isascii() and text.isalpha() and len(text) < 10


def _in(visit: Visit, begun: Begun, then: str) -> Response:
    visit.keep(begun)
    return visit.go(local_path(then))


def _form(visit: Visit, address: str = "", then: str = "", error: MailsteadError | None = None) -> Response:
    return visit.show(
        "log_in.html",
        200 if error is None else status_of(error),
        address=address,
        then=local_path(then),
        error=error,
        provider=visit.house.terms.provider,
        passkey_options=visit.house.web_sessions.passkey_options(visit.peer),
    )


def _factor_form(
    visit: Visit, then: str, asked: FactorAsked | None = None, error: MailsteadError | None = None
) -> Response:
    """Ask for the second factor; after a wrong one, for a code, as a passkey's question is good once."""
    return visit.show(
        "factor.html",
        200 if error is None else status_of(error),
        action="/log-in/factor",
        then=local_path(then),
        error=error,
        has_device=asked is None or FactorKind.TOTP in asked.kinds,
        passkey_options=asked.passkey_options if asked is not None else "",
    )


PAGES: Final = (
    Page("/log-in", log_in, Who.ANYBODY, ("GET", "POST")),
    Page("/log-in/factor", factor, Who.ANYBODY, ("POST",)),
    Page("/log-out", log_out, Who.ANYBODY, ("POST",)),
    Page("/look", look, Who.ANYBODY, ("POST",)),
)
