"""Makes pages of templates: the frame around them, the languages, and what browsers are told to forbid.

Spec: W3C CSP Level 3; RFC 9110 §12.5.4 (Accept-Language); attack rows 86, 99.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mailstead.model.envelope import Actor
from mailstead.model.preferences import Preferences, Theme
from mailstead.policy.label_names import label_of
from mailstead.services.web.rendering import language_asked, size_in_words
from mailstead.services.web.site.assets import url_of
from mailstead.services.web.site.languages import LANGUAGES, NAMES, direction, translations
from mailstead.services.web.site.told import Told

REPORTS: Final = "/csp-report"
CONTENT_SECURITY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    f"frame-ancestors 'none'; report-uri {REPORTS}"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
THEMES: Final = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Look:
    """How a visitor wants pages."""

    language: str = "en"
    theme: str = "auto"
    time_zone: str = ""
    """Name of the IANA database; empty: the browser's, and UTC where no script runs."""


def look_of(cookies: dict[str, str], accept_language: str) -> Look:
    """Give the look that a browser remembers, or asks for."""
    language, theme = cookies.get("language", ""), cookies.get("theme", "")
    return Look(
        language if language in LANGUAGES else language_asked(accept_language, LANGUAGES),
        theme if theme in THEMES else "auto",
    )


def look_kept(look: Look, preferences: Preferences) -> Look:
    """Give the look that somebody has chosen for all browsers; what was never chosen is as in this one."""
    asked = preferences.language
    return replace(
        look,
        language=language_asked(asked, (look.language, *LANGUAGES)) if asked else look.language,
        theme=look.theme if preferences.theme is Theme.SYSTEM else preferences.theme.value,
        time_zone=preferences.time_zone,
    )


class Frame:
    """Templates and all that they share."""

    def __init__(self) -> None:
        self._environments: dict[str, Environment] = {}

    def page(
        self, template: str, look: Look, status: int = 200, *, actor: Actor | None, path: str, **values: Any
    ) -> Response:
        """Give a page; in it stand `values`, the visitor's look, and who is logged in (None: nobody)."""
        text = (
            self._environment(look.language)
            .get_template(template)
            .render(values, actor=actor, path=path, look=look, direction=direction(look.language), languages=NAMES)
        )
        return HTMLResponse(text, status, HEADERS)

    def _environment(self, language: str) -> Environment:
        """Give the templates with the words of a language."""
        made = self._environments.get(language)
        if made is None:
            made = Environment(
                loader=PackageLoader("mailstead.services.web", "templates"),
                autoescape=True,
                trim_blocks=True,
                lstrip_blocks=True,
                undefined=StrictUndefined,
                extensions=["jinja2.ext.i18n"],
            )
            words = translations(language)
            made.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]  # by the extension
            # In contrast to _(…), what comes of it is escaped: a text may name what somebody else wrote.
            made.filters["told"] = Told(words)
            made.globals["asset"] = url_of
            made.filters["size"] = size_in_words
            made.filters["label"] = label_of
            made.filters["moment"] = _moment_here
            self._environments[language] = made
        return made


def moment(at: datetime, time_zone: str = "") -> Markup:
    """Write a moment so that a script can show it in the reader's zone; without scripts it is in `time_zone`."""
    try:
        zone, name = (ZoneInfo(time_zone), time_zone) if time_zone else (UTC, "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone, name = UTC, "UTC"
    return Markup('<time datetime="{exact}">{text} {name}</time>').format(
        exact=at.astimezone(UTC).isoformat(timespec="seconds"), text=f"{at.astimezone(zone):%Y-%m-%d %H:%M}", name=name
    )


@pass_context
def _moment_here(context: Context, at: datetime) -> Markup:
    look = context.get("look")
    return moment(at, look.time_zone if isinstance(look, Look) else "")
