"""Events: seen, made, changed, answered, removed; of those that come again one, one and all that follow, or all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, NotAllowed, PolicyRefused, PreconditionFailed
from mailstead.net.http_statuses import status_of
from mailstead.pim.event_form import EventForm
from mailstead.pim.safe import safe_url
from mailstead.pim.values import Moment
from mailstead.pim.zones import iana_zone
from mailstead.services.web.site import event_fields
from mailstead.services.web.site.acting import with_query
from mailstead.services.web.site.calendar import NAMES, calendars_of, shown_calendar
from mailstead.services.web.site.days import Times, day_of, times_of, zone_names
from mailstead.services.web.site.event_fields import FREQUENCIES, KEPT, REMINDERS, begun, fields_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _
from mailstead.usecases.event_editing import OpenedEvent, Scope
from mailstead.usecases.mailed_invitations import ANSWERS

RID_CHARACTERS_MAX: Final = 16
FORM_OCTETS_MAX: Final = 256 * 1024


async def new(visit: Visit) -> Response:
    """GET: an empty form. POST: the event is made, and its guests are invited."""
    times, diary = await times_of(visit), visit.house.diary
    if visit.request.method == "GET":
        query = visit.request.query_params
        writable = [each for each in await calendars_of(visit) if each.may_write and each.takes("VEVENT")]
        calendar_id = writable[0].calendar_id if writable else ""
        on = day_of(query.get("on", "")) or times.today
        return await _form(visit, times, begun(on, query.get("at", ""), times, calendar_id))
    fields = await visit.fields(FORM_OCTETS_MAX)
    try:
        form = event_fields.form_of(fields, times)
        event_id = await diary.editing.create(visit.actor, fields.get("calendar", ""), form)
    except MailsteadError as error:
        return await _form(visit, times, fields, error=error)
    return visit.go(f"/calendar/events/{event_id}", told="made")


async def event(visit: Visit) -> Response:
    """Show one, or one time of it."""
    return await _event(visit)


async def edit(visit: Visit) -> Response:
    """GET: the form. POST: it is changed, unless somebody else has changed it meanwhile.

    `by`: it was dragged in a calendar, by so many minutes.
    """
    times, diary, event_id = await times_of(visit), visit.house.diary, visit.request.path_params["event_id"]
    fields = await visit.fields(FORM_OCTETS_MAX) if visit.request.method == "POST" else {}
    source = fields or visit.request.query_params
    scope, rid = _scope(source), _rid(source)
    opened = await diary.editing.show(visit.actor, event_id, "" if scope is Scope.ALL else rid)
    before, by_min = opened.facts.form, event_fields.minutes_of(source)
    if not fields or "by" in fields:
        if by_min and opened.is_guests:
            raise NotAllowed(_("Only who organizes it says when it is"))
        dragged = event_fields.moved(before, by_min)
        shown = fields_of(dragged) | {"etag": fields.get("etag", opened.etag), "scope": scope.value, "at": rid}
        shown["calendar"] = shown_calendar(opened.calendar).calendar_id
        if not fields:
            return await _form(visit, times, shown, opened)
        return await _drop(visit, times, opened, dragged, shown, fields.get("then", ""))
    try:
        read = event_fields.guests_form if opened.is_guests else event_fields.form_of
        form = read(fields, times, before)
        if fields.get("etag") != opened.etag:
            raise PreconditionFailed
        changed_id = await diary.editing.change(visit.actor, event_id, form, opened.etag, scope, rid)
        if scope is Scope.ALL and fields.get("calendar"):
            await diary.editing.move(visit.actor, changed_id, fields["calendar"])
    except MailsteadError as error:
        return await _form(visit, times, fields, opened, error)
    at = rid if scope is Scope.ONE else ""
    return visit.go(f"/calendar/events/{changed_id}", **({"at": at} if at else {}), told="changed")


async def _drop(
    visit: Visit, times: Times, opened: OpenedEvent, form: EventForm, shown: Mapping[str, str], then: str
) -> Response:
    """Keep an event that was dragged to another time, unless it is another one than what was dragged."""
    try:
        if shown["etag"] != opened.etag:
            raise PreconditionFailed
        scope = Scope(shown["scope"])
        await visit.house.diary.editing.change(visit.actor, opened.object_id, form, opened.etag, scope, shown["at"])
    except MailsteadError as error:
        return await _form(visit, times, shown, opened, error)
    return visit.go(with_query(local_path(then, "/calendar"), told="changed"))


async def delete(visit: Visit) -> Response:
    """Remove it, or times of it."""
    fields, event_id = await visit.fields(), visit.request.path_params["event_id"]
    try:
        await visit.house.diary.editing.delete(
            visit.actor, event_id, fields.get("etag", ""), _scope(fields), _rid(fields)
        )
    except MailsteadError as error:
        return await _event(visit, error, _rid(fields))
    return visit.go("/calendar", on=fields.get("on", ""), told="removed")


async def answer(visit: Visit) -> Response:
    """Answer an invitation; its organizer is told."""
    fields, event_id = await visit.fields(), visit.request.path_params["event_id"]
    rid = _rid(fields) if fields.get("scope") == Scope.ONE.value else ""
    try:
        if fields.get("answer") not in ANSWERS:
            raise PolicyRefused(_("Accept it, perhaps, or decline it"))
        await visit.house.diary.editing.answer(visit.actor, event_id, fields["answer"], rid)
    except MailsteadError as error:
        return await _event(visit, error, _rid(fields))
    at = {"at": _rid(fields)} if _rid(fields) else {}
    return visit.go(f"/calendar/events/{event_id}", **at, told="answered")


async def file(visit: Visit) -> Response:
    """Give one as a file."""
    octets = await visit.house.diary.editing.octets(visit.actor, visit.request.path_params["event_id"])
    return Response(octets, media_type="text/calendar; charset=utf-8", headers=kept_as("event.ics"))


def kept_as(name: str) -> dict[str, str]:
    """Give the header fields of a file that is kept, never shown as a page of ours (attack row 97)."""
    return {
        "cache-control": "private, no-store",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }


async def _event(visit: Visit, error: MailsteadError | None = None, rid: str = "") -> Response:
    times, event_id = await times_of(visit), visit.request.path_params["event_id"]
    rid = rid or _rid(visit.request.query_params)
    opened = await visit.house.diary.editing.show(visit.actor, event_id, rid)
    form = opened.facts.form
    start, end = (_at(each, form, times) for each in (form.start, form.end))
    return visit.show(
        "calendar/event.html",
        200 if error is None else status_of(error),
        opened=opened,
        form=form,
        start=start,
        end=end,
        calendar=shown_calendar(opened.calendar),
        event_id=event_id,
        rid=rid,
        query="?" + urlencode({"at": rid}) if rid else "",
        by_min=event_fields.minutes_of(visit.request.query_params),
        link=safe_url(form.location),
        times=times,
        names=NAMES,
        reminders=REMINDERS,
        frequencies=FREQUENCIES,
        error=error,
    )


def _at(local: datetime, form: EventForm, times: Times) -> datetime:
    """Give a time of a form as the reader's clock shows it."""
    if form.is_all_day or not form.zone:
        return local.replace(tzinfo=times.zone)
    zone = iana_zone(form.zone)
    return Moment(local, zone=zone).utc(times.zone).astimezone(times.zone)


async def _form(
    visit: Visit,
    times: Times,
    fields: Mapping[str, str],
    opened: OpenedEvent | None = None,
    error: MailsteadError | None = None,
) -> Response:
    calendars = [each for each in await calendars_of(visit) if each.may_write and each.takes("VEVENT")]
    names = ("summary", "location", "description", "start_on", "start_at", "end_on", "end_at", "zone", "repeat")
    more = ("interval", "ends", "count", "until", "reminder", "guests", "calendar", "etag", "scope", "at", "all_day")
    shown = {name: fields.get(name, "") for name in (*names, *more, "is_free")}
    reminders = dict(REMINDERS)
    if shown["reminder"] and shown["reminder"] not in {*REMINDERS, KEPT}:
        reminders[shown["reminder"]] = ""
    return visit.show(
        "calendar/edit.html",
        200 if error is None else status_of(error),
        f=shown,
        days={number for number in range(7) if fields.get(f"day-{number}") == "yes"},
        opened=opened,
        calendars=calendars,
        reminders=reminders,
        frequencies=FREQUENCIES,
        kept=KEPT,
        zones=zone_names(),
        times=times,
        names=NAMES,
        is_conflict=isinstance(error, PreconditionFailed),
        error=error,
    )


def _scope(source: Mapping[str, str]) -> Scope:
    """Errors: PolicyRefused."""
    try:
        scope = Scope(source.get("scope", "") or Scope.ALL.value)
    except ValueError:
        raise PolicyRefused(_("Say which times of it are meant")) from None
    if scope is not Scope.ALL and not _rid(source):
        raise PolicyRefused(_("Say which times of it are meant"))
    return scope


def _rid(source: Mapping[str, str]) -> str:
    rid = source.get("at", "")
    return rid if len(rid) <= RID_CHARACTERS_MAX and rid.isascii() and rid.isalnum() else ""


PAGES: Final = (
    Page("/calendar/new", new, Who.OWNER, ("GET", "POST")),
    Page("/calendar/events/{event_id}", event, Who.OWNER),
    Page("/calendar/events/{event_id}/edit", edit, Who.OWNER, ("GET", "POST")),
    Page("/calendar/events/{event_id}/delete", delete, Who.OWNER, ("POST",)),
    Page("/calendar/events/{event_id}/answer", answer, Who.OWNER, ("POST",)),
    Page("/calendar/events/{event_id}/file", file, Who.OWNER),
)
