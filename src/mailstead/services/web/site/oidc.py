"""Log-in by the OpenID Connect provider: to it and back, and once, an account's password.

Nothing but cookies holds what is under way: the secret of the log-in, where it is to end, what waits for a password or
a second factor. All are of this host alone (``__Host-``), over TLS only, out of reach of scripts.

Spec: RFC 6265bis §4.1.3.2 (``__Host-``), §5.6.7 (SameSite); OpenID Connect Core §3.1; attack rows 89, 90, 94, 99.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote

from starlette.responses import Response

from mailstead.model.errors import (
    AuthenticationFailed,
    Conflict,
    MailsteadError,
    NoSuchAddress,
    NoSuchSession,
    PolicyRefused,
    TooManyFailures,
    TryAgainLater,
)
from mailstead.model.people import FactorKind
from mailstead.model.secret import Secret
from mailstead.services.web.site.links import FORM_OCTETS_MAX
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _
from mailstead.telemetry import log, metrics
from mailstead.usecases.web_sessions import PENDING_LIFE, Begun, FactorAsked

if TYPE_CHECKING:
    from mailstead.usecases.oidc_log_ins import OidcLogIns

PATH: Final = "/log-in/oidc"
UNDER_WAY: Final = "__Host-oidc"
LINK: Final = "__Host-oidc-link"
FACTOR: Final = "__Host-oidc-factor"
THEN: Final = "__Host-oidc-then"
"""Where the log-in is to end."""
LIFE_S: Final = 600
"""As `usecases.oidc_log_ins.LIFE`, which is loaded only where there is a provider; a test compares them."""
FIELDS_MAX: Final = 16
THEN_CHARACTERS_MAX: Final = 1000

_log = log.get("web")


def _told(handler: Callable[[Visit, OidcLogIns], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
    """Give a page that is there where a provider is, and tells people what went wrong; what was under way is over."""

    async def told(visit: Visit) -> Response:
        log_ins = visit.house.arrivals.oidc
        if log_ins is None:
            raise NoSuchAddress(_("There is no such page"))
        try:
            return await handler(visit, log_ins)
        except (PolicyRefused, NoSuchSession) as error:
            status, text = 400, error.public_text
        except Conflict:
            status, text = 409, _("This account, or the one at the provider, is linked otherwise; ask an administrator")
        except AuthenticationFailed:
            status, text = 403, _("What the provider says of you is not good here")
        except TryAgainLater as error:
            status, text = 429 if isinstance(error, TooManyFailures) else 503, error.public_text
        metrics.refused("web", str(status), "oidc")
        then = _then(visit)
        _forget(visit)
        return visit.show("oidc/failed.html", status, text=text, then=then)

    return told


async def offer(visit: Visit) -> Response:
    """Lead to the page of all ways in: this one was a page of its own once."""
    return visit.go("/log-in" if visit.begun is None else "/")


async def start(visit: Visit, log_ins: OidcLogIns) -> Response:
    """Send the browser to the provider."""
    sent = await log_ins.begin()
    # Lax, as both must be there when the provider sends the browser back.
    visit.set_cookie(UNDER_WAY, sent.secret.reveal(), LIFE_S, "Lax")
    then = local_path(visit.request.query_params.get("then", ""))
    if len(then) <= THEN_CHARACTERS_MAX:
        visit.set_cookie(THEN, quote(then, safe="/"), LIFE_S, "Lax")
    return visit.go(sent.url)


async def callback(visit: Visit, log_ins: OidcLogIns) -> Response:
    """Take what the browser has brought back. Spec: OpenID Connect Core §3.1.2.5, §3.1.2.6."""
    answer = _once_each(visit.request.url.query)
    outcome = await log_ins.finish(_cookie(visit, UNDER_WAY), answer, visit.peer, visit.program)
    if isinstance(outcome, Begun | FactorAsked):
        return _in_or_asked(visit, outcome)
    visit.set_cookie(LINK, outcome.token.reveal(), LIFE_S)
    return visit.show("oidc/link.html", name=log_ins.name, address=outcome.address[:320], error=None)


async def link(visit: Visit, log_ins: OidcLogIns) -> Response:
    """Take the password of the account that is to be linked."""
    fields = await visit.fields(FORM_OCTETS_MAX)
    secret, token = _cookie(visit, UNDER_WAY), _cookie(visit, LINK)
    address, password = fields.get("address", "").strip()[:320], Secret(fields.get("password", ""))
    try:
        outcome = await log_ins.link(secret, token, address, password, visit.peer, visit.program)
    except AuthenticationFailed:
        wrong = AuthenticationFailed(_("Address or password is wrong"))
        return visit.show("oidc/link.html", 403, name=log_ins.name, address=address, error=wrong)
    if isinstance(outcome, Begun):
        _log.info("an account was linked with the provider", account=str(outcome.actor.address))
    return _in_or_asked(visit, outcome)


async def factor(visit: Visit, log_ins: OidcLogIns) -> Response:
    """Take the second factor."""
    fields = await visit.fields(FORM_OCTETS_MAX)
    link_token = _cookie(visit, LINK) if visit.request.cookies.get(LINK) else None
    pending, secret = _cookie(visit, FACTOR), _cookie(visit, UNDER_WAY)
    code = Secret(fields.get("code", "").strip())
    try:
        begun = await log_ins.factor(secret, link_token, pending, code, visit.peer, visit.program)
    except AuthenticationFailed:
        return _factor_form(visit, AuthenticationFailed(_("The code is wrong")))
    return _in_or_asked(visit, begun)


def _in_or_asked(visit: Visit, outcome: Begun | FactorAsked) -> Response:
    """Give the session to the browser, a new one at each log-in (attack row 90), and leave the URL with the code."""
    if isinstance(outcome, FactorAsked):
        visit.set_cookie(FACTOR, outcome.token.reveal(), int(PENDING_LIFE.total_seconds()))
        return _factor_form(visit, has_device=FactorKind.TOTP in outcome.kinds)
    then = _then(visit)
    visit.keep(outcome)
    _forget(visit)
    return visit.go(then)


def _factor_form(visit: Visit, error: MailsteadError | None = None, *, has_device: bool = True) -> Response:
    return visit.show(
        "factor.html",
        200 if error is None else 403,
        action=PATH + "/factor",
        then="",
        error=error,
        has_device=has_device,
        passkey_options="",
    )


def _then(visit: Visit) -> str:
    return local_path(unquote(visit.request.cookies.get(THEN, "")))


def _cookie(visit: Visit, name: str) -> Secret:
    return Secret(visit.request.cookies.get(name, ""))


def _forget(visit: Visit) -> None:
    for name in (UNDER_WAY, LINK, FACTOR, THEN):
        visit.set_cookie(name, "", 0, "Lax")


def _once_each(query: str) -> Mapping[str, str]:
    """Read parameters, of which none may come twice. Spec: RFC 6749 §3.1. Errors: PolicyRefused."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise PolicyRefused(_("That answer has too many parts")) from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise PolicyRefused(_("That answer says something twice"))
    return found


PAGES: Final = (
    Page(PATH, offer, Who.ANYBODY),
    Page(PATH + "/start", _told(start), Who.ANYBODY),
    Page(PATH + "/callback", _told(callback), Who.ANYBODY),
    Page(PATH + "/link", _told(link), Who.ANYBODY, ("POST",)),
    Page(PATH + "/factor", _told(factor), Who.ANYBODY, ("POST",)),
)
