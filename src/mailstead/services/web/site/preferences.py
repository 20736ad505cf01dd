"""How somebody wants the web: language, colours, time; and, with a mailbox, how mail is read and written.

It is kept with the account, so that it is the same in every browser.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.preferences import UNDO_S_MAX, Preferences, Theme, WeekStart
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.languages import LANGUAGES
from mailstead.services.web.site.log_in import remember_look
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

_NO_CITIES: Final = ("Etc", "posix", "right")


async def preferences(visit: Visit) -> Response:
    """GET: the form. POST: what it says is kept."""
    there = await visit.house.preferences.get(visit.actor)
    if visit.request.method == "GET":
        return _form(visit, there)
    fields = await visit.fields()
    has_mail = visit.actor.account_id is not None
    typed = _typed(there, fields, has_mail=has_mail)
    try:
        undo = fields.get("undo_s", "")
        if has_mail and (not undo.isdecimal() or int(undo[:3]) > UNDO_S_MAX):
            raise PolicyRefused(_("Say for how many seconds a message can be taken back"))
        await visit.house.preferences.change(visit.actor, lambda now: _typed(now, fields, has_mail=has_mail))
    except MailsteadError as error:
        return _form(visit, typed, error)
    theme = "auto" if typed.theme is Theme.SYSTEM else typed.theme.value
    remember_look(visit, theme=theme, **({"language": typed.language} if typed.language else {}))
    return visit.go("/me/preferences", told="changed")


def _typed(before: Preferences, fields: Mapping[str, str], *, has_mail: bool) -> Preferences:
    """Give the preferences as a form says them; what none of its choices says stays as it was."""
    language, theme, week = (fields.get(name, "") for name in ("language", "theme", "week_start"))
    after = replace(
        before,
        language=language if language in {"", *LANGUAGES} else before.language,
        theme=Theme(theme) if theme in set(Theme) else before.theme,
        time_zone=fields.get("time_zone", "")[:100],
        week_start=WeekStart(week) if week in set(WeekStart) else before.week_start,
    )
    if not has_mail:
        return after
    undo = fields.get("undo_s", "")
    return replace(
        after,
        display_name=" ".join(fields.get("display_name", "").split()),
        signature=fields.get("signature", "").replace("\r\n", "\n").rstrip(),
        undo_s=int(undo[:3]) if undo.isdecimal() else before.undo_s,
        image_senders=tuple(fields.get("image_senders", "").replace(",", " ").split()),
        has_shortcuts=fields.get("has_shortcuts") == "yes",
        writes_formatted=fields.get("writes_formatted") == "yes",
    )


@cache
def _zones() -> Mapping[str, tuple[str, ...]]:
    """Give the names of time zones by continent: those that are called by a city."""
    found: dict[str, list[str]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        continent, slash, _city = name.partition("/")
        if slash and continent not in _NO_CITIES:
            found.setdefault(continent, []).append(name)
    return {continent: tuple(names) for continent, names in found.items()}


def _form(visit: Visit, there: Preferences, error: MailsteadError | None = None) -> Response:
    return visit.show(
        "me/preferences.html",
        200 if error is None else status_of(error),
        there=there,
        undo_max=UNDO_S_MAX,
        zones=_zones(),
        error=error,
    )


PAGES: Final = (Page("/me/preferences", preferences, Who.PERSON, ("GET", "POST")),)
