"""The site as a program of a telephone or computer: its manifest, and links to mail addresses that open here.

Spec: W3C Web Application Manifest; WICG Manifest Incubations §3 (protocol_handlers); RFC 6068 §2.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.site.assets import url_of
from mailstead.services.web.site.languages import direction, translations
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

MANIFEST: Final = "/site.webmanifest"
MAILTO: Final = "/mail/mailto"
URL_CHARACTERS_MAX: Final = 4000
_ICONS: Final = (("icon-192.png", 192, "any"), ("icon-512.png", 512, "any"), ("icon-whole-512.png", 512, "maskable"))
"""Name, edge in pixels, and for what; ``maskable`` ones reach to the edge, which the device cuts as it likes."""
_DESCRIPTION: Final = _("Your mail, on a server of your own")
_WRITE: Final = _("Write a message")


async def manifest(visit: Visit) -> Response:
    """Tell a browser how the site is installed. It asks without cookies, so the language is the browser's."""
    gettext = translations(visit.look.language).gettext
    content = {
        "id": "/",
        "name": "Mailstead",
        "short_name": "Mailstead",
        "description": gettext(_DESCRIPTION),
        "lang": visit.look.language,
        "dir": direction(visit.look.language),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f6f7f9",
        "theme_color": "#174ea6",
        "icons": [
            *(
                {"src": url_of(name), "sizes": f"{edge}x{edge}", "type": "image/png", "purpose": purpose}
                for name, edge, purpose in _ICONS
            ),
            {"src": url_of("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        ],
        "shortcuts": [{"name": gettext(_WRITE), "url": "/mail/write"}],
        "protocol_handlers": [{"protocol": "mailto", "url": f"{MAILTO}?url=%s"}],
    }
    headers = {"cache-control": "max-age=3600", "x-content-type-options": "nosniff", "vary": "Accept-Language"}
    return JSONResponse(content, headers=headers, media_type="application/manifest+json")


async def mailto(visit: Visit) -> Response:
    """Begin a message to whom a link names; nothing is sent before its writer says so."""
    return visit.go("/mail/write", **mailto_fields(visit.request.query_params.get("url", "")))


def mailto_fields(url: str) -> dict[str, str]:
    """Give what such a link says of a message: ``to``, ``cc``, ``subject``, ``body``, those that it names.

    Hidden recipients and other fields are left out: who writes should see where it goes. Spec: RFC 6068 §2, §7.
    Errors: PolicyRefused.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme.lower() != "mailto" or len(url) > URL_CHARACTERS_MAX:
        raise PolicyRefused(_("That is no link to a mail address"))
    path, _mark, query = rest.partition("?")
    to, found = [unquote(path)], dict[str, str]()
    for pair in query.partition("#")[0].split("&"):
        name, _equals, value = pair.partition("=")
        match name.lower():
            case "to":
                to.append(unquote(value))
            case "cc" | "subject":
                found[name.lower()] = " ".join(unquote(value).split())
            case "body":
                found["body"] = unquote(value).replace("\r\n", "\n").replace("\0", "")
            case _:
                pass
    addresses = ", ".join(" ".join(each.split()) for each in to if each.strip())
    return ({"to": addresses} if addresses else {}) | found


PAGES: Final = (Page(MANIFEST, manifest, Who.ANYBODY), Page(MAILTO, mailto, Who.OWNER))
