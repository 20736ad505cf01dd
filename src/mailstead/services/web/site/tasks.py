"""Tasks: what is to be done until when; made, changed, done, removed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused, PreconditionFailed
from mailstead.net.http_statuses import status_of
from mailstead.pim.task_form import HIGH, LOW, NORMAL, TaskForm, level_of
from mailstead.services.web.site.acting import with_query
from mailstead.services.web.site.calendar import NAMES, ShownCalendar, shown_calendar
from mailstead.services.web.site.days import Times, day_of, times_of, zone_names
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _
from mailstead.usecases.tasks import ShownTask

PRIORITIES: Final = {"": _("not said"), str(HIGH): _("high"), str(NORMAL): _("normal"), str(LOW): _("low")}
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::\d{2})?", re.ASCII)


async def tasks(visit: Visit) -> Response:
    """List what is to be done, or what is done; with a form for a new one."""
    return await _list(visit)


async def create(visit: Visit) -> Response:
    """Make one."""
    fields, times = await visit.fields(), await times_of(visit)
    try:
        await visit.house.diary.tasks.create(visit.actor, fields.get("calendar", ""), _form_of(fields, times))
    except MailsteadError as error:
        return await _list(visit, error, fields)
    return visit.go(with_query(local_path(fields.get("then", ""), "/tasks"), told="made"))


async def task(visit: Visit) -> Response:
    """GET: the form of one. POST: it is changed, unless somebody else has changed it meanwhile."""
    times, verbs, task_id = await times_of(visit), visit.house.diary.tasks, visit.request.path_params["task_id"]
    there = await verbs.show(visit.actor, task_id, times.zone)
    if visit.request.method == "GET":
        return await _one(visit, times, there, _fields_of(there, times))
    fields = await visit.fields()
    try:
        form = _form_of(fields, times, there)
        if fields.get("etag") != there.etag:
            raise PreconditionFailed
        await verbs.change(visit.actor, task_id, form, there.etag)
        if fields.get("calendar"):
            await verbs.move(visit.actor, task_id, fields["calendar"])
    except MailsteadError as error:
        return await _one(visit, times, there, fields, error)
    return visit.go("/tasks", told="changed")


async def finish(visit: Visit) -> Response:
    """Mark one as done, or as open again."""
    fields = await visit.fields()
    is_done = fields.get("verb") != "open"
    try:
        await visit.house.diary.tasks.finish(visit.actor, visit.request.path_params["task_id"], is_done=is_done)
    except MailsteadError as error:
        return await _list(visit, error)
    return visit.go(with_query(local_path(fields.get("then", ""), "/tasks"), told="done" if is_done else "open"))


async def delete(visit: Visit) -> Response:
    """Remove one."""
    fields = await visit.fields()
    try:
        task_id = visit.request.path_params["task_id"]
        await visit.house.diary.tasks.delete(visit.actor, task_id, fields.get("etag", ""))
    except MailsteadError as error:
        return await _list(visit, error)
    return visit.go("/tasks", told="removed")


async def _list(visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None) -> Response:
    times, query = await times_of(visit), visit.request.query_params
    lists = await _lists(visit)
    chosen = query.get("list", "")
    chosen = chosen if any(each.calendar_id == chosen for each in lists) else ""
    is_done = query.get("done") == "yes"
    found = await visit.house.diary.tasks.find(visit.actor, times.zone, calendar=chosen, is_done=is_done)
    writable = [each for each in lists if each.may_write]
    begun = {"calendar": chosen or (writable[0].calendar_id if writable else "")}
    return visit.show(
        "calendar/tasks.html",
        200 if error is None else status_of(error),
        tasks=[(each, shown_calendar(each.calendar), level_of(each.facts.form.priority)) for each in found],
        lists=lists,
        writable=writable,
        chosen=chosen,
        is_done=is_done,
        times=times,
        priorities=PRIORITIES,
        names=NAMES,
        levels={HIGH: "high", NORMAL: "normal", LOW: "low", 0: ""},
        f=_shown(fields or begun),
        then=visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else ""),
        error=error,
    )


async def _one(
    visit: Visit, times: Times, there: ShownTask, fields: Mapping[str, str], error: MailsteadError | None = None
) -> Response:
    own = str(there.facts.form.priority or "")
    return visit.show(
        "calendar/task.html",
        200 if error is None else status_of(error),
        task=there,
        writable=[each for each in await _lists(visit) if each.may_write],
        priorities=PRIORITIES if own in PRIORITIES else {**PRIORITIES, own: ""},
        f=_shown(fields),
        zones=zone_names(),
        times=times,
        is_conflict=isinstance(error, PreconditionFailed),
        error=error,
    )


async def _lists(visit: Visit) -> list[ShownCalendar]:
    return [shown_calendar(each) for each in await visit.house.diary.tasks.calendars(visit.actor)]


def _shown(fields: Mapping[str, str]) -> dict[str, str]:
    names = ("summary", "description", "due_on", "due_at", "zone", "priority", "calendar", "etag")
    return {name: fields.get(name, "") for name in names}


def _fields_of(task: ShownTask, times: Times) -> dict[str, str]:
    form = task.facts.form
    return {
        "summary": form.summary,
        "description": form.description,
        "due_on": "" if form.due is None else f"{form.due:%Y-%m-%d}",
        "due_at": "" if form.due is None or form.is_due_on_day else f"{form.due:%H:%M}",
        "zone": times.zone_name if form.is_due_on_day else form.zone,
        "priority": str(form.priority or ""),
        "calendar": shown_calendar(task.calendar).calendar_id,
        "etag": task.etag,
    }


def _form_of(fields: Mapping[str, str], times: Times, there: ShownTask | None = None) -> TaskForm:
    """Errors: PolicyRefused."""
    on, at, priority = fields.get("due_on", ""), fields.get("due_at", ""), fields.get("priority", "")
    day, clock = day_of(on), _CLOCK.fullmatch(at)
    if (on and day is None) or (at and clock is None) or (at and day is None):
        raise PolicyRefused(_("Say until which day, and at what time if it matters"))
    if priority and not (priority.isascii() and priority.isdigit() and 1 <= int(priority[:2]) <= 9):
        raise PolicyRefused(_("Say how urgent it is"))
    due = None if day is None else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - by the clock there
    if due is not None and clock is not None:
        due = due.replace(hour=int(clock[1]), minute=int(clock[2]))
    before = there.facts.form if there is not None else None
    if before is not None and due is not None and before.due is not None and before.due.replace(second=0) == due:
        due = before.due  # a form has no seconds
    text = fields.get("description", "").replace("\r\n", "\n")
    if before is not None and text.strip() == before.description.replace("\r\n", "\n").strip():
        text = before.description
    zone = "" if clock is None else fields.get("zone", times.zone_name).strip()
    return TaskForm(
        " ".join(fields.get("summary", "").split()), text, due, clock is None, zone, int(priority) if priority else 0
    )


PAGES: Final = (
    Page("/tasks", tasks, Who.OWNER),
    Page("/tasks", create, Who.OWNER, ("POST",)),
    Page("/tasks/{task_id}", task, Who.OWNER, ("GET", "POST")),
    Page("/tasks/{task_id}/done", finish, Who.OWNER, ("POST",)),
    Page("/tasks/{task_id}/delete", delete, Who.OWNER, ("POST",)),
)
