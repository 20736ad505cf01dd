"""Tasks by forms on a real store: due, overdue, done, again; what a form does not know stays."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailstead.model.errors import NoSuchResource, PolicyRefused, PreconditionFailed
from mailstead.pim.task_form import HIGH, TaskForm
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.collections import DEFAULT
from mailstead.usecases.tasks import Tasks
from usecases.api_home import api_home, event

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = datetime(2026, 1, 1)


@pytest.fixture
def home(storage, clock):
    return api_home(storage, clock)


@pytest.fixture
def tasks(home, clock):
    return Tasks(home.objects, home.calendar_objects, clock)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


async def listed(tasks, actor, **query):
    return [each.facts.form.summary for each in await tasks.find(actor, BERLIN, **query)]


async def test_tasks_are_listed_by_what_is_due_first(tasks, actor):
    late = TaskForm("late", due=TODAY.replace(year=2025, month=12, day=31))
    hour = TaskForm("hour", due=TODAY.replace(hour=2), is_due_on_day=False, zone="Europe/Berlin")
    for form in (TaskForm("some time", "Notes;\nmore", priority=HIGH), TaskForm("today", due=TODAY), hour, late):
        await tasks.create(actor, DEFAULT, form)
    found = await tasks.find(actor, BERLIN)
    assert [each.facts.form for each in found[:2]] == [late, hour]
    assert [each.facts.form.summary for each in found] == ["late", "hour", "today", "some time"]
    assert [each.is_overdue for each in found] == [True, False, False, False]
    assert found[1].due.astimezone(UTC) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert found[3].facts.form.description == "Notes;\nmore"


async def test_a_task_is_done_and_open_again(tasks, actor):
    task_id = await tasks.create(actor, DEFAULT, TaskForm("one"))
    await tasks.finish(actor, task_id)
    assert (await listed(tasks, actor), await listed(tasks, actor, is_done=True)) == ([], ["one"])
    shown = await tasks.show(actor, task_id, BERLIN)
    assert (shown.facts.is_done, shown.facts.percent) == (True, 100)
    await tasks.finish(actor, task_id, is_done=False)
    assert await listed(tasks, actor) == ["one"]


async def test_a_task_that_comes_again_is_moved_on_until_it_ends(tasks, home, actor):
    octets = event("again", "20260102T090000Z", "DUE:20260102T100000Z", "RRULE:FREQ=DAILY;COUNT=2", component="VTODO")
    task_id = (await home.events.create(actor, "", octets)).object_id
    await tasks.finish(actor, task_id)
    (shown,) = await tasks.find(actor, BERLIN)
    assert (shown.due.astimezone(UTC), shown.facts.is_recurring) == (datetime(2026, 1, 3, 10, tzinfo=UTC), True)
    await tasks.finish(actor, task_id)
    assert await listed(tasks, actor) == []


async def test_what_a_form_does_not_know_stays_and_nothing_is_overwritten(tasks, home, actor):
    odd = 'X-ODD;X-P="q":' + "long " * 20 + "end"
    octets = event("odd", "", "DURATION:PT5M", odd, "STATUS:IN-PROCESS", component="VTODO")
    task_id = (await home.events.create(actor, "", octets)).object_id
    there = await tasks.show(actor, task_id, BERLIN)
    await tasks.change(actor, task_id, replace(there.facts.form, due=TODAY, summary="New"), there.etag)
    placed = await home.events.show(actor, task_id)
    assert odd.encode() in placed.resource.octets
    assert b"STATUS:IN-PROCESS" in placed.resource.octets
    assert b"DURATION" not in placed.resource.octets  # a task has DUE or DURATION
    with pytest.raises(PreconditionFailed):
        await tasks.change(actor, task_id, there.facts.form, there.etag)
    with pytest.raises(PreconditionFailed):
        await tasks.delete(actor, task_id, there.etag)
    await tasks.delete(actor, task_id, (await tasks.show(actor, task_id, BERLIN)).etag)
    assert await listed(tasks, actor) == []


async def test_lists_of_tasks_and_what_is_none(tasks, home, actor):
    await home.calendars.create(actor, CalendarWish("Chores"), "chores")
    task_id = await tasks.create(actor, DEFAULT, TaskForm("one"))
    await tasks.move(actor, task_id, "chores")
    assert await listed(tasks, actor, calendar="chores") == ["one"]
    assert await listed(tasks, actor, calendar=DEFAULT) == []
    meeting = (await home.events.create(actor, "", event())).object_id
    with pytest.raises(NoSuchResource):
        await tasks.show(actor, meeting, BERLIN)
    with pytest.raises(PolicyRefused):
        await tasks.create(actor, DEFAULT, TaskForm("  "))
