"""Calendars themselves: made, called, coloured, shared, subscribed to, linked, brought in and taken out as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits, Subscription
from mailstead.model.errors import MailsteadError, NotAllowed, ObjectTooLarge, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.calendar import ShownCalendar, calendars_of, shown_calendar
from mailstead.services.web.site.events import kept_as
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.calendars import CalendarWish
from mailstead.usecases.exports import file_name
from mailstead.usecases.object_imports import ObjectImport
from mailstead.usecases.sharings import link_id
from mailstead.usecases.subscriptions import web_address

FILE_OCTETS_MAX: Final = 16 * 1024 * 1024
REFUSED_SHOWN_MAX: Final = 50
COLORS: Final = ("#4a78c8", "#2f8f5b", "#c2603a", "#8a5bb5", "#b8860b", "#b5476b", "#2b8a9e", "#6b7280")
"""Of new calendars, one after the other."""
LIVES: Final = {"week": timedelta(days=7), "month": timedelta(days=30), "year": timedelta(days=365)}


async def calendars(visit: Visit) -> Response:
    """List them, with forms for a new one."""
    return await _list(visit)


async def create(visit: Visit) -> Response:
    """Make one, or subscribe to one that is elsewhere."""
    fields, diary = await visit.fields(), visit.house.diary
    name, color = " ".join(fields.get("name", "").split()), fields.get("color", "")
    try:
        if fields.get("verb") == "subscribe":
            url = web_address(fields.get("url", ""))
            wish = CollectionTraits(display_name=name or url.partition("://")[2].partition("/")[0], color=color)
            owner = await diary.objects.account(visit.actor)
            opened = await diary.subscriptions.subscribe(visit.actor, owner, url, _path_name(visit), traits=wish)
        else:
            if not name:
                raise PolicyRefused(_("Say what the calendar is called"))
            opened = await diary.calendars.create(visit.actor, CalendarWish(name=name, color=color))
    except MailsteadError as error:
        return await _list(visit, error, fields)
    return visit.go(f"/calendar/calendars/{shown_calendar(opened).calendar_id}", told="made")


async def one(visit: Visit) -> Response:
    """Show one: what it is called, whom it is shared with, its links and files."""
    return await _one(visit)


async def change(visit: Visit) -> Response:
    """Change it, share it, link it, fetch it anew, or remove it."""
    fields, diary = await visit.fields(), visit.house.diary
    calendar_id = visit.request.path_params["calendar_id"]
    try:
        opened = await diary.calendars.show(visit.actor, calendar_id)
        match fields.get("verb"):
            case "change":
                wish = CalendarWish(
                    name=" ".join(fields.get("name", "").split()),
                    description=fields.get("description", "").replace("\r\n", "\n").rstrip(),
                    color=fields.get("color") or None,
                )
                await diary.calendars.change(visit.actor, calendar_id, wish)
            case "delete":
                if fields.get("sure") != "yes":
                    raise PolicyRefused(_("Tick that you are sure: what is in it goes with it"))
                await diary.calendars.delete(visit.actor, calendar_id)
                return visit.go("/calendar/calendars", told="removed")
            case "share":
                access = Access.WRITE if fields.get("access") == "write" else Access.READ
                await diary.sharings.share(
                    visit.actor, opened, Address.parse(fields.get("address", "").strip()), access
                )
            case "unshare":
                await diary.sharings.unshare(visit.actor, opened, Address.parse(fields.get("address", "")))
            case "link":
                life, hides = LIVES.get(fields.get("life", "")), fields.get("hides_details") == "yes"
                made = await diary.sharings.link(visit.actor, opened, life=life, hides_details=hides)
                return await _one(visit, link=f"{diary.public_url}{made.token}.ics")
            case "unlink":
                owner = await diary.objects.account(visit.actor)
                await diary.sharings.unlink(visit.actor, owner, fields.get("link_id", ""))
            case "refresh":
                refreshed = await diary.subscriptions.refresh(opened)
                if refreshed.failure:
                    return await _one(visit, failure=refreshed.failure)
            case _:
                raise PolicyRefused(_("Say what is to be done"))
    except MailsteadError as error:
        return await _one(visit, error, fields)
    return visit.go(f"/calendar/calendars/{calendar_id}", told="changed")


async def file(visit: Visit) -> Response:
    """Give all of it as one file."""
    opened = await visit.house.diary.calendars.show(visit.actor, visit.request.path_params["calendar_id"])
    octets, _count = await visit.house.diary.calendar_files.file(opened)
    name = file_name(opened.traits.display_name or opened.name, ".ics")
    return Response(octets, media_type="text/calendar; charset=utf-8", headers=kept_as(name))


async def bring(visit: Visit) -> Response:
    """Put all events and tasks of a file into it, and tell what could not be taken."""
    try:
        opened = await visit.house.diary.calendars.show(visit.actor, visit.request.path_params["calendar_id"])
        octets = await _uploaded(visit)
        report = await visit.house.diary.calendar_objects.import_all(opened, octets)
    except MailsteadError as error:
        return await _one(visit, error)
    return await _one(visit, report=report)


async def _uploaded(visit: Visit) -> bytes:
    """Read the file of a form. Errors: ObjectTooLarge, PolicyRefused."""
    length = visit.request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > FILE_OCTETS_MAX:
        raise ObjectTooLarge(_("Such a file has at most 16 MiB; take it apart"))
    try:
        form = await visit.request.form(max_files=1, max_fields=10, max_part_size=64 * 1024)
    except MultiPartException:
        raise PolicyRefused(_("Choose a file")) from None
    found = form.get("file")
    if not isinstance(found, UploadFile) or not found.filename:
        raise PolicyRefused(_("Choose a file"))
    return await found.read()


async def _list(visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None) -> Response:
    found = await calendars_of(visit)
    return visit.show(
        "calendar/calendars.html",
        200 if error is None else status_of(error),
        calendars=found,
        failures={each: failure for each, failure in (await _failures(visit, found)).items() if failure},
        fields=fields or {},
        color=COLORS[len(found) % len(COLORS)],
        error=error,
    )


async def _failures(visit: Visit, calendars: Sequence[ShownCalendar]) -> dict[str, str]:
    subscribed = {each.collection_id: each for each in await _subscriptions(visit)}
    return {
        each.calendar_id: subscribed[each.opened.collection.collection_id].failure
        for each in calendars
        if each.opened.is_own and each.opened.collection.collection_id in subscribed
    }


async def _subscriptions(visit: Visit) -> Sequence[Subscription]:
    owner = await visit.house.diary.objects.account(visit.actor)
    return await visit.house.diary.subscriptions.of(visit.actor, owner)


async def _one(
    visit: Visit,
    error: MailsteadError | None = None,
    fields: Mapping[str, str] | None = None,
    *,
    link: str = "",
    failure: str = "",
    report: ObjectImport | None = None,
) -> Response:
    diary = visit.house.diary
    opened = await diary.objects.collection(
        visit.actor, CollectionKind.CALENDAR, visit.request.path_params["calendar_id"]
    )
    shown = shown_calendar(opened)
    links = []
    if opened.is_own and opened.share is None:
        collection_id = opened.collection.collection_id
        try:
            found = await diary.sharings.links(visit.actor, opened.owner)
        except NotAllowed:
            found = []
        links = [(link_id(each), each) for each in found if each.collection_id == collection_id]
    subscription = next(
        (each for each in await _subscriptions(visit) if each.collection_id == opened.collection.collection_id), None
    )
    return visit.show(
        "calendar/calendar_settings.html",
        200 if error is None else status_of(error),
        calendar=shown,
        given=await diary.sharings.given(visit.actor, opened),
        links=links,
        link=link,
        subscription=subscription if shown.is_from_elsewhere and opened.is_own else None,
        failure=failure,
        report=report,
        refused=report.refused[:REFUSED_SHOWN_MAX] if report is not None else [],
        fields=fields or {},
        error=error,
    )


def _path_name(visit: Visit) -> str:
    """Give a subscription's name in paths."""
    return f"subscribed-{int(visit.house.clock.now().timestamp() * 1000):x}"


PAGES: Final = (
    Page("/calendar/calendars", calendars, Who.OWNER),
    Page("/calendar/calendars", create, Who.OWNER, ("POST",)),
    Page("/calendar/calendars/{calendar_id}", one, Who.OWNER),
    Page("/calendar/calendars/{calendar_id}", change, Who.OWNER, ("POST",)),
    Page("/calendar/calendars/{calendar_id}/file", file, Who.OWNER),
    Page("/calendar/calendars/{calendar_id}/import", bring, Who.OWNER, ("POST",)),
)
