"""Log-in by the OpenID Connect provider: to it and back, once an account's password, and a page that says who is in.

No script, and nothing but cookies: the secret of a log-in that is under way, what waits for a password or a second
factor, and the session. All are of this host alone (``__Host-``), over TLS only, out of reach of scripts.

Spec: RFC 6265bis §4.1.3.2 (``__Host-``), §5.6.7 (SameSite); OpenID Connect Core §3.1; attack rows 89, 90, 94.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from markupsafe import Markup
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mailstead.model.errors import (
    AuthenticationFailed,
    Conflict,
    MailsteadError,
    NoSuchSession,
    NotAllowed,
    PolicyRefused,
    TooManyFailures,
    TryAgainLater,
)
from mailstead.model.people import FactorKind
from mailstead.model.secret import Secret
from mailstead.net.http_requests import must_be_asked_here, peer_of
from mailstead.services.web.small_page import small_page
from mailstead.telemetry import log, metrics
from mailstead.usecases.oidc_log_ins import LIFE, LinkAsked, OidcLogIns
from mailstead.usecases.web_sessions import LIFE as SESSION_LIFE
from mailstead.usecases.web_sessions import PENDING_LIFE, Begun, FactorAsked, WebSessions

PATH: Final = "/log-in/oidc"
SESSION: Final = "__Host-session"
UNDER_WAY: Final = "__Host-oidc"
LINK: Final = "__Host-oidc-link"
FACTOR: Final = "__Host-oidc-factor"
BODY_OCTETS_MAX: Final = 8 * 1024
FIELDS_MAX: Final = 16

_log = log.get("web")


class OidcPages:
    """Under the mail host's own name and over TLS only."""

    def __init__(self, log_ins: OidcLogIns, web_sessions: WebSessions, mail_host: str) -> None:
        self._log_ins = log_ins
        self._web_sessions = web_sessions
        self._mail_host = mail_host

    def routes(self) -> list[Route]:
        """Give them; before `log_in.LogInPage`, whose links begin alike."""
        return [
            Route(PATH, self._guarded(self._home), methods=["GET"]),
            Route(PATH + "/start", self._guarded(self._start), methods=["GET"]),
            Route(PATH + "/callback", self._guarded(self._callback), methods=["GET"]),
            Route(PATH + "/link", self._guarded(self._link), methods=["POST"]),
            Route(PATH + "/factor", self._guarded(self._factor), methods=["POST"]),
            Route(PATH + "/log-out", self._guarded(self._log_out), methods=["POST"]),
        ]

    def _guarded(self, page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Give a page that is asked for as it should be, and tells people what went wrong."""

        async def guarded(request: Request) -> Response:
            if request.url.scheme != "https" or request.url.hostname != self._mail_host:
                return PlainTextResponse("Not found\n", 404)
            try:
                if request.method == "POST":
                    must_be_asked_here(request)
            except NotAllowed as error:  # what is under way in this browser stays: it was not its page that asked
                metrics.refused("web", "403", "elsewhere")
                return PlainTextResponse(f"{error.public_text}\n", 403)
            try:
                return await page(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except MailsteadError as error:
                return self._told(error)

        return guarded

    def _told(self, error: MailsteadError) -> Response:
        """Say what went wrong; whatever was under way is over."""
        if isinstance(error, PolicyRefused | NoSuchSession):
            status, text = 400, error.public_text
        elif isinstance(error, Conflict):
            status = 409
            text = f"This account, or the one at {self._log_ins.name}, is linked otherwise; an administrator can help"
        elif isinstance(error, AuthenticationFailed):
            status, text = 403, f"What {self._log_ins.name} says of you is not good here"
        elif isinstance(error, TryAgainLater):
            status, text = 429 if isinstance(error, TooManyFailures) else 503, error.public_text
        else:
            raise error
        metrics.refused("web", str(status), "oidc")
        again = Markup('<p role="alert">{text}.</p><p><a href="{path}">Begin again</a></p>')
        response = small_page("That did not work", again.format(text=text, path=PATH), status)
        _forget(response, UNDER_WAY, LINK, FACTOR)
        return response

    # the pages

    async def _home(self, request: Request) -> Response:
        """Say who is in, or offer to log in."""
        token = request.cookies.get(SESSION)
        if token:
            try:
                begun = await self._web_sessions.act(Secret(token), peer_of(request))
            except AuthenticationFailed:
                pass
            else:
                return small_page("You are logged in", _who(begun))
        offer = Markup('<p><a href="{path}/start">Log in with {name}</a></p>')
        return small_page("Log in", offer.format(path=PATH, name=self._log_ins.name))

    async def _start(self, request: Request) -> Response:  # noqa: ARG002  a page
        """Send the browser to the provider."""
        sent = await self._log_ins.begin()
        response = _redirect(sent.url)
        # Lax, as it must be there when the provider sends the browser back.
        _keep(response, UNDER_WAY, sent.secret, int(LIFE.total_seconds()), "lax")
        return response

    async def _callback(self, request: Request) -> Response:
        """Take what the browser has brought back. Spec: OpenID Connect Core §3.1.2.5, §3.1.2.6."""
        answer = _once_each(request.url.query)
        secret = Secret(request.cookies.get(UNDER_WAY, ""))
        outcome = await self._log_ins.finish(secret, answer, peer_of(request), _program(request))
        if isinstance(outcome, LinkAsked):
            response = small_page("Whose account is it?", self._link_form(outcome.address))
            _keep(response, LINK, outcome.token, int(LIFE.total_seconds()), "strict")
            return response
        if isinstance(outcome, FactorAsked):
            return _factor_page(outcome)
        return _logged_in(outcome)

    async def _link(self, request: Request) -> Response:
        """Take the password of the account that is to be linked."""
        fields = await _form(request)
        secret, token = Secret(request.cookies.get(UNDER_WAY, "")), Secret(request.cookies.get(LINK, ""))
        address, password = fields.get("address", "").strip(), Secret(fields.get("password", ""))
        try:
            outcome = await self._log_ins.link(secret, token, address, password, peer_of(request), _program(request))
        except AuthenticationFailed:
            wrong = "Address or password is wrong"
            return small_page("Whose account is it?", self._link_form(address, wrong), 403)
        if isinstance(outcome, FactorAsked):
            return _factor_page(outcome)
        _log.info("an account was linked with the provider", account=str(outcome.actor.address))
        return _logged_in(outcome)

    async def _factor(self, request: Request) -> Response:
        """Take the second factor."""
        fields = await _form(request)
        link = request.cookies.get(LINK)
        pending = request.cookies.get(FACTOR, "")
        try:
            begun = await self._log_ins.factor(
                Secret(request.cookies.get(UNDER_WAY, "")),
                Secret(link) if link else None,
                Secret(pending),
                Secret(fields.get("code", "").strip()),
                peer_of(request),
                _program(request),
            )
        except AuthenticationFailed:
            return small_page("Second factor", _factor_form("The code is wrong"), 403)
        return _logged_in(begun)

    async def _log_out(self, request: Request) -> Response:
        """End the session."""
        await self._web_sessions.end(Secret(request.cookies.get(SESSION, "")))
        response = _redirect(PATH)
        _forget(response, SESSION)
        return response

    def _link_form(self, address: str, wrong: str = "") -> Markup:
        return Markup(
            "{alert}<p>{name} knows you, and this server does not yet know which account is yours. Give its address "
            "and password, once: from then on, {name} is enough.</p>"
            '<form method="post" action="{path}/link" autocomplete="on"><label for="address">Address</label>'
            '<input id="address" name="address" type="email" autocomplete="username" value="{address}" required>'
            '<label for="password">Password</label><input id="password" name="password" type="password" '
            'autocomplete="current-password" required><button>Link and log in</button></form>'
        ).format(alert=_alert(wrong), name=self._log_ins.name, path=PATH, address=address[:320])


def _factor_page(asked: FactorAsked) -> Response:
    response = small_page("Second factor", _factor_form(has_device=FactorKind.TOTP in asked.kinds))
    _keep(response, FACTOR, asked.token, int(PENDING_LIFE.total_seconds()), "strict")
    return response


def _factor_form(wrong: str = "", *, has_device: bool = True) -> Markup:
    what = "The code of your device, or a recovery code" if has_device else "A recovery code"
    return Markup(
        '{alert}<form method="post" action="{path}/factor" autocomplete="off"><label for="code">{what}</label>'
        '<input id="code" name="code" autocomplete="one-time-code" required><button>Log in</button></form>'
    ).format(alert=_alert(wrong), path=PATH, what=what)


def _who(begun: Begun) -> Markup:
    return Markup(
        '<p>as <strong>{name}</strong>.</p><form method="post" action="{path}/log-out"><button>Log out</button></form>'
    ).format(name=begun.actor.name, path=PATH)


def _alert(wrong: str) -> Markup:
    return Markup('<p role="alert">{}.</p>').format(wrong) if wrong else Markup("")


def _logged_in(begun: Begun) -> Response:
    """Give the session to the browser, a new one at each log-in (attack row 90), and leave the URL with the code."""
    response = _redirect(PATH)
    _keep(response, SESSION, begun.token, int(SESSION_LIFE.total_seconds()), "lax")
    _forget(response, UNDER_WAY, LINK, FACTOR)
    return response


def _redirect(url: str) -> Response:
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(url, 303, headers)


def _keep(response: Response, name: str, secret: Secret, life_s: int, same_site: str) -> None:
    response.headers.append(
        "set-cookie",
        f"{name}={secret.reveal()}; Max-Age={life_s}; Path=/; Secure; HttpOnly; SameSite={same_site.capitalize()}",
    )


def _forget(response: Response, *names: str) -> None:
    for name in names:
        response.headers.append("set-cookie", f"{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")


def _once_each(query: str) -> Mapping[str, str]:
    """Read parameters, of which none may come twice. Spec: RFC 6749 §3.1. Errors: PolicyRefused."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise PolicyRefused("That answer has too many parts") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyRefused("That answer says something twice")
    return found


async def _form(request: Request) -> Mapping[str, str]:
    """Errors: PolicyRefused."""
    octets = b""
    async for piece in request.stream():
        octets += piece
        if len(octets) > BODY_OCTETS_MAX:
            raise PolicyRefused("That is too much")
    return _once_each(octets.decode("utf-8", "replace"))


def _program(request: Request) -> str:
    return request.headers.get("user-agent", "")
