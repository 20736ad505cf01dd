"""What a page is: one object from which routing, rights and the test of all pages are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.net.http_requests import peer_of
from mailstead.services.web.site.frame import Frame, Look
from mailstead.services.web.site.house import SiteHouse
from mailstead.services.web.site.words import _
from mailstead.usecases.web_sessions import LIFE, Begun

SESSION: Final = "__Host-session"
"""Cookie of the session. Spec: RFC 6265bis §4.1.3.2."""
FORM_OCTETS_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 200


class Who(Enum):
    """Who sees a page; deny by default: each page says it."""

    ANYBODY = "anybody"
    PERSON = "person"
    """Whoever is logged in."""
    OWNER = "owner"
    """Who has a mailbox."""
    MEMBER = "member"
    """Who has a part in at least one domain; which addresses are his own, the use cases know."""
    DOMAIN_ADMIN = "domain admin"
    """Who looks after at least one domain; which, the use cases ask."""
    SERVER_ADMIN = "server admin"


@dataclass(slots=True)
class Visit:
    """One request for a page, by somebody."""

    request: Request
    house: SiteHouse
    frame: Frame
    look: Look
    """Language and theme."""
    begun: Begun | None = None
    """None: nobody is logged in."""
    cookies: list[str] = field(default_factory=list)
    """``Set-Cookie`` fields of the answer."""

    @property
    def actor(self) -> Actor:
        """Who acts. Errors: AuthenticationFailed, where nobody does."""
        if self.begun is None:
            raise AuthenticationFailed
        return self.begun.actor

    async def is_fresh(self) -> bool:
        """Whether the visitor has shown lately who he is."""
        return self.begun is not None and await self.house.web_sessions.is_fresh(self.begun)

    async def must_be_fresh(self) -> None:
        """Errors: AuthenticationFailed, FactorNeeded, which leads to the page that asks and back."""
        if self.begun is None:
            raise AuthenticationFailed
        await self.house.web_sessions.must_be_fresh(self.begun)

    @property
    def peer(self) -> Peer:
        """Who is connected."""
        return peer_of(self.request)

    @property
    def program(self) -> str:
        """What the browser calls itself, for the list of sessions."""
        return self.request.headers.get("user-agent", "")

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """Give a page made of a template; of a live one its parts alone, where the field ``X-Part`` asks for them."""
        actor = self.begun.actor if self.begun is not None else None
        path, told = self.request.url.path, self.request.query_params.get("told", "")
        values = {"told": told, "is_part": "x-part" in self.request.headers, **values}
        return self._with_cookies(self.frame.page(template, self.look, status, actor=actor, path=path, **values))

    def go(self, path: str, **query: str) -> Response:
        """Lead the browser to another page of ours, which it asks for with GET. Spec: RFC 9110 §15.4.4."""
        url = f"{path}?{urlencode(query)}" if query else path
        return self._with_cookies(RedirectResponse(url, 303, {"cache-control": "no-store"}))

    async def fields(self, octets_max: int = FORM_OCTETS_MAX) -> Mapping[str, str]:
        """Read the form. Errors: PolicyRefused, for one that is too large or says something twice."""
        octets = bytearray()
        async for piece in self.request.stream():
            octets += piece
            if len(octets) > octets_max:
                raise PolicyRefused(_("That is too much"))
        try:
            pairs = parse_qsl(octets.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise PolicyRefused(_("That form has too many fields")) from None
        found = dict(pairs)
        if len(found) != len(pairs):
            raise PolicyRefused(_("That form says something twice"))
        return found

    # the session

    def keep(self, begun: Begun) -> None:
        """Give the session's new token to the browser (attack row 90)."""
        self.begun = begun
        self.set_cookie(SESSION, begun.token.reveal(), int(LIFE.total_seconds()), "Lax")

    def token(self) -> Secret:
        """Give the session's token as the browser has it."""
        return Secret(self.request.cookies.get(SESSION, ""))

    def set_cookie(self, name: str, value: str, life_s: int, same_site: str = "Strict") -> None:
        """Set a cookie of this host alone, over TLS only, out of reach of scripts; a life of 0 takes it away."""
        self.cookies.append(f"{name}={value}; Max-Age={life_s}; Path=/; Secure; HttpOnly; SameSite={same_site}")

    def _with_cookies(self, response: Response) -> Response:
        for cookie in self.cookies:
            response.headers.append("set-cookie", cookie)
        return response


@dataclass(frozen=True, slots=True)
class Page:
    """One path."""

    path: str
    handler: Callable[[Visit], Awaitable[Response]]
    who: Who
    methods: tuple[str, ...] = ("GET",)


def local_path(text: str, otherwise: str = "/") -> str:
    """Give a path of ours that a form or a query names; `otherwise` for anything else (attack row 99)."""
    if not text.startswith("/") or text.startswith("//") or "\\" in text or any(ord(each) < 0x21 for each in text):
        return otherwise
    return text
