"""Calendars. Spec: reference forwardemail 4.3, 4.10 (Calendar)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.people import Page
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.collections import Opened
from mailstead.usecases.dav_objects import collection_object_id

_Name = Annotated[str, Field(max_length=200)]


class CalendarBody(Model):
    """What is to be said of a calendar; of a change only what is to be another."""

    name: _Name | None = None
    calendar_id: _Name = ""
    description: Annotated[str, Field(max_length=2000)] | None = None
    color: Annotated[str, Field(max_length=9)] | None = None
    timezone: Annotated[str, Field(max_length=64 * 1024)] | None = None
    order: int | None = None


class NewCalendar(CalendarBody):
    """A calendar to be made."""

    name: _Name


class Calendar(Shown):
    """A calendar."""

    id: str
    object: Literal["calendar"] = "calendar"
    name: str
    description: str
    color: str
    timezone: str
    order: int
    created_at: Moment | None
    updated_at: Moment | None


def calendar_of(opened: Opened) -> Calendar:
    """Give a calendar as it is shown. When it was made nobody has noted, so the dates are null."""
    traits = opened.traits
    return Calendar(
        id=collection_object_id(opened),
        name=traits.display_name or opened.name,
        description=traits.description,
        color=traits.color,
        timezone=traits.timezone_id or traits.timezone,
        order=traits.order or 0,
        created_at=None,
        updated_at=None,
    )


async def list_calendars(call: Call) -> Answer:
    """Calendars of the account, and those that others share with it."""
    page = await call.house.calendars.find(call.actor, listing_of(call.query))
    items = tuple(calendar_of(each) for each in page.items)
    return Answer(list(items), page=Page(items, page.item_count))


async def create_calendar(call: Call) -> Answer:
    """Make one."""
    return Answer(calendar_of(await call.house.calendars.create(call.actor, _wish(call), call.body.calendar_id)))


async def show_calendar(call: Call) -> Answer:
    """Give one."""
    return Answer(calendar_of(await call.house.calendars.show(call.actor, call.path["calendar_id"])))


async def change_calendar(call: Call) -> Answer:
    """Change one; what is not named stays. Its name in paths (``calendar_id``) always does."""
    changed = await call.house.calendars.change(call.actor, call.path["calendar_id"], _wish(call))
    return Answer(calendar_of(changed))


async def delete_calendar(call: Call) -> Answer:
    """Remove one; the answer is as it was."""
    return Answer(calendar_of(await call.house.calendars.delete(call.actor, call.path["calendar_id"])))


def _wish(call: Call) -> CalendarWish:
    body: CalendarBody = call.body
    return CalendarWish(body.name, body.description, body.color, body.timezone, body.order)


_OF_ALIAS: Final = (Auth.ALIAS, Right.CALLER)
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/calendars",
        "list-calendars",
        "Calendars, a page at a time",
        "calendars",
        *_OF_ALIAS,
        list_calendars,
        query=Listed,
        shows=list[Calendar],
        command="calendar list",
    ),
    Endpoint(
        "POST",
        "/v1/calendars",
        "create-calendar",
        "Make a calendar",
        "calendars",
        *_OF_ALIAS,
        create_calendar,
        body=NewCalendar,
        shows=Calendar,
        description="`calendar_id` becomes its name in CalDAV paths; 409 where one is so called already.",
        command="calendar add",
    ),
    Endpoint(
        "GET",
        "/v1/calendars/{calendar_id}",
        "show-calendar",
        "One calendar",
        "calendars",
        *_OF_ALIAS,
        show_calendar,
        shows=Calendar,
        command="calendar list",
    ),
    Endpoint(
        "PUT",
        "/v1/calendars/{calendar_id}",
        "change-calendar",
        "Change a calendar",
        "calendars",
        *_OF_ALIAS,
        change_calendar,
        body=CalendarBody,
        shows=Calendar,
        description="What is not named stays.",
        command="calendar rename",
    ),
    Endpoint(
        "DELETE",
        "/v1/calendars/{calendar_id}",
        "delete-calendar",
        "Remove a calendar with its events",
        "calendars",
        *_OF_ALIAS,
        delete_calendar,
        shows=Calendar,
        description="Events of other calendars stay. A calendar that is shared with the account is only left.",
        command="calendar remove",
    ),
)
