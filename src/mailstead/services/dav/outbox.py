"""The outbox: whoever wants to meet asks when others are busy.

Invitations themselves go by changing a meeting in a calendar; nothing else is posted here.

Spec: RFC 6638 §5, §10.2.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import BadObject, NotAllowed
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import Component, Property, write
from mailstead.pim.filters import TimeRange
from mailstead.pim.free_busy import vfreebusy
from mailstead.pim.values import moment
from mailstead.proto.dav import write as xml
from mailstead.proto.dav.names import caldav
from mailstead.services.dav.call import Call
from mailstead.usecases.free_busy import FreeBusy

ATTENDEES_MAX: Final = 100
"""Whom one request may ask about."""


async def post(call: Call, octets: bytes) -> Response:
    """Answer for each attendee. Errors: BadObject, NotAllowed (somebody else's outbox, or not the organizer)."""
    owner = await call.owner()
    if owner.account_id != call.actor.account_id:
        raise NotAllowed
    asked = calendar_object(octets, allows_method=True)
    if asked.component != "VFREEBUSY" or asked.method != "REQUEST":
        raise BadObject("The outbox takes questions about busy times", condition="valid-scheduling-message")
    if itip.organizer(asked) not in await call.house.meetings.own(owner):
        raise BadObject("Ask in your own name", condition="organizer-allowed")
    people = itip.attendees(asked.parts)
    if len(people) > ATTENDEES_MAX:
        raise BadObject("That is too many people at once", condition="max-attendees-per-instance")
    span = _span(asked)
    pieces = [await _answer(call.house.free_busy, asked, user, prop, span) for user, prop in people.items()]
    return Response(
        xml.document(caldav("schedule-response"), "".join(pieces)),
        media_type=xml.CONTENT_TYPE,
        headers={"cache-control": "no-store"},
    )


async def _answer(free_busy: FreeBusy, asked: CalendarObject, user: str, prop: Property, span: TimeRange) -> str:
    periods = await free_busy.of_user(user, span)
    recipient = xml.element(caldav("recipient"), xml.href(prop.value.strip()))
    if periods is None:
        return xml.element(
            caldav("response"), recipient + xml.text(caldav("request-status"), "3.7;Invalid calendar user")
        )
    assert span.start is not None
    assert span.end is not None
    organizer = next(each for part in asked.parts for each in part.all("ORGANIZER"))
    told = vfreebusy(periods, span.start, span.end, free_busy.clock.now(), uid=asked.uid, properties=[organizer, prop])
    head = [Property("VERSION", "2.0"), Property("PRODID", itip.PRODID), Property("METHOD", "REPLY")]
    data = write(Component("VCALENDAR", head, [told])).decode()
    return xml.element(
        caldav("response"),
        recipient + xml.text(caldav("request-status"), "2.0;Success") + xml.text(caldav("calendar-data"), data),
    )


def _span(asked: CalendarObject) -> TimeRange:
    part = asked.parts[0]
    start, end = part.first("DTSTART"), part.first("DTEND")
    if start is None or end is None:
        raise BadObject("A question about busy times has a start and an end", condition="valid-calendar-data")
    first, last = moment(start, asked.zones).utc(UTC), moment(end, asked.zones).utc(UTC)
    if last <= first:
        raise BadObject("The time that is asked for ends before it begins", condition="valid-calendar-data")
    return TimeRange(first, last)
