"""Reports on calendars: calendar-query, calendar-multiget and free-busy-query.

Spec: RFC 4791 §7.8 to §7.10; RFC 7809 §4, §7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import TooManyMatches
from mailstead.proto.dav import write
from mailstead.proto.dav.types import CalendarMultiget, CalendarQuery, FreeBusyQuery
from mailstead.services.dav.reports.answers import Answers, ReportCall, cut_short, multistatus
from mailstead.usecases.calendar_objects import Wanted


async def calendar_query(call: ReportCall, report: CalendarQuery) -> Response:
    """Answer a calendar-query; asked of one object, it is about that object.

    The Depth header is not looked at: on a calendar it can only mean what is in it, and many clients leave it out.
    Spec: RFC 4791 §7.8.
    """
    opened = await call.opened(CollectionKind.CALENDAR)
    objects = call.house.calendar_objects
    zone = objects.floating_zone(opened, report.timezone, report.timezone_id)
    wanted = Wanted(report.wanted.calendar_data, zone, call.wants_zones)
    answers = Answers(call, opened, report.wanted)

    async def pieces() -> AsyncIterator[str]:
        try:
            async for page in objects.query(opened, report.filter, wanted, limit=report.limit, name=call.resource_name):
                for found in page:
                    yield answers.of(found)
        except TooManyMatches as error:
            yield cut_short(call, error.public_text)
        yield write.end()

    return await multistatus(pieces())


async def calendar_multiget(call: ReportCall, report: CalendarMultiget) -> Response:
    """Answer a calendar-multiget, in the order of its hrefs; 404 for what is not in the calendar.

    Spec: RFC 4791 §7.9.
    """
    opened = await call.opened(CollectionKind.CALENDAR)
    objects = call.house.calendar_objects
    wanted = Wanted(report.wanted.calendar_data, objects.floating_zone(opened), call.wants_zones)
    answers = Answers(call, opened, report.wanted)

    async def pieces() -> AsyncIterator[str]:
        named, others = answers.names(report.hrefs)
        try:
            async for part, found in objects.multiget(opened, list(named), wanted):
                for name in part:
                    yield answers.of(found[name]) if name in found else write.bare_response(named[name], 404)
        except TooManyMatches as error:
            yield cut_short(call, error.public_text)
        for href in others:
            yield write.bare_response(href, 404)
        yield write.end()

    return await multistatus(pieces())


async def free_busy_query(call: ReportCall, report: FreeBusyQuery) -> Response:
    """Answer with a VFREEBUSY. Spec: RFC 4791 §7.10."""
    opened = await call.opened(CollectionKind.CALENDAR)
    octets = await call.house.calendar_objects.free_busy(opened, report.range)
    return Response(octets, media_type="text/calendar; charset=utf-8")


REPORTS: Final = {CalendarQuery: calendar_query, CalendarMultiget: calendar_multiget, FreeBusyQuery: free_busy_query}
