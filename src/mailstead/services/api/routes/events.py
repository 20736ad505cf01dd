"""Events and tasks of calendars. Spec: reference forwardemail 4.3, 4.10 (CalendarEvent)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.people import Page
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.preconditions import etag_field, wanted_etag
from mailstead.services.api.values import Moment
from mailstead.usecases.events import EventQuery, Events, ShownEvent

ICAL_OCTETS_MAX: Final = 10 * 1024 * 1024
_Name = Annotated[str, Field(max_length=200)]
_Ical = Annotated[str, Field(min_length=1, max_length=ICAL_OCTETS_MAX)]


class EventsQuery(Listed):
    """Which events."""

    calendar_id: _Name = ""
    start_date: Moment | None = None
    end_date: Moment | None = None
    include_deleted: bool = False


class NewEvent(Model):
    """An event or task to be put into a calendar."""

    calendar_id: _Name = ""
    ical: _Ical
    event_id: Annotated[str, Field(max_length=512)] = ""


class EventChange(Model):
    """What is to be another of an event."""

    calendar_id: _Name = ""
    ical: _Ical | None = None
    event_id: Annotated[str, Field(max_length=512)] = ""
    etag: Annotated[str, Field(max_length=200)] = ""


class CalendarEvent(Shown):
    """An event or task."""

    id: str
    object: Literal["calendar_event"] = "calendar_event"
    calendar_id: str
    uid: str
    ical: str
    summary: str
    description: str
    location: str
    start_date: Moment | None
    end_date: Moment | None
    status: str
    organizer: str
    deleted_at: Moment | None
    created_at: Moment | None
    updated_at: Moment | None


def event_of(shown: ShownEvent) -> CalendarEvent:
    """Give an event as it is shown; of one that was deleted some time ago, what is remembered of it."""
    view, resource = shown.view, shown.resource
    return CalendarEvent(
        id=shown.object_id,
        calendar_id=shown.calendar_object_id,
        uid=view.uid,
        ical="" if resource is None else resource.octets.decode("utf-8", "replace"),
        summary=view.summary,
        description=view.description,
        location=view.location,
        start_date=view.start_at,
        end_date=view.end_at,
        status=view.status,
        organizer=view.organizer,
        deleted_at=shown.deleted_at,
        created_at=None if resource is None else resource.created_at,
        updated_at=shown.deleted_at if resource is None else resource.modified_at,
    )


async def list_events(call: Call) -> Answer:
    """Events and tasks of one calendar or all."""
    asked: EventsQuery = call.query
    query = EventQuery(asked.calendar_id, asked.start_date, asked.end_date, asked.include_deleted)
    page = await _events(call).find(call.actor, query, listing_of(asked))
    items = tuple(event_of(each) for each in page.items)
    return Answer(list(items), page=Page(items, page.item_count))


async def create_event(call: Call) -> Answer:
    """Put one into a calendar."""
    body: NewEvent = call.body
    octets = body.ical.encode("utf-8", "replace")
    return _answer(await _events(call).create(call.actor, body.calendar_id, octets, body.event_id))


async def show_event(call: Call) -> Answer:
    """Give one."""
    return _answer(await _events(call).show(call.actor, call.path["event_id"]))


async def change_event(call: Call) -> Answer:
    """Replace one, or move it."""
    body: EventChange = call.body
    octets = None if body.ical is None else body.ical.encode("utf-8", "replace")
    etag = wanted_etag(call.request, body.etag)
    changed = await _events(call).change(
        call.actor, call.path["event_id"], octets=octets, calendar=body.calendar_id, etag=etag
    )
    return _answer(changed)


async def delete_event(call: Call) -> Answer:
    """Remove one; the answer is as it was, with the moment of its removal."""
    gone = await _events(call).delete(call.actor, call.path["event_id"], wanted_etag(call.request))
    return Answer(event_of(gone))


def _events(call: Call) -> Events:
    return call.house.events


def _answer(shown: ShownEvent) -> Answer:
    headers = {} if shown.resource is None else {"etag": etag_field(shown.resource.etag)}
    return Answer(event_of(shown), headers=headers)


_OF_ALIAS: Final = (Auth.ALIAS, Right.CALLER)
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/calendar-events",
        "list-events",
        "Events and tasks, a page at a time",
        "calendars",
        *_OF_ALIAS,
        list_events,
        query=EventsQuery,
        shows=list[CalendarEvent],
        description=(
            "With `start_date` and `end_date` those that have an instance in between, recurrence included. "
            "`include_deleted` adds what was deleted, as far as it is remembered: without `ical`."
        ),
    ),
    Endpoint(
        "POST",
        "/v1/calendar-events",
        "create-event",
        "Put an event or a task into a calendar",
        "calendars",
        *_OF_ALIAS,
        create_event,
        body=NewEvent,
        shows=CalendarEvent,
        description="Attendees are invited, exactly as when a CalDAV client puts it.",
        body_octets_max=ICAL_OCTETS_MAX + 64 * 1024,
    ),
    Endpoint(
        "GET",
        "/v1/calendar-events/{event_id}",
        "show-event",
        "One event or task",
        "calendars",
        *_OF_ALIAS,
        show_event,
        shows=CalendarEvent,
    ),
    Endpoint(
        "PUT",
        "/v1/calendar-events/{event_id}",
        "change-event",
        "Replace an event, or move it to another calendar",
        "calendars",
        *_OF_ALIAS,
        change_event,
        body=EventChange,
        shows=CalendarEvent,
        description="With `etag` or `If-Match` only if nobody has changed it meanwhile: 412.",
        body_octets_max=ICAL_OCTETS_MAX + 64 * 1024,
    ),
    Endpoint(
        "DELETE",
        "/v1/calendar-events/{event_id}",
        "delete-event",
        "Remove an event or a task",
        "calendars",
        *_OF_ALIAS,
        delete_event,
        shows=CalendarEvent,
        description="CalDAV clients learn of it, attendees are told. It is remembered: see `include_deleted`.",
    ),
)
