"""The outbox: whoever wants to meet asks when others are busy.

Invitations go by changing a meeting in a calendar; programs that know only older ways post them here.

Spec: RFC 6638 §5, §10.2; draft-desruisseaux-caldav-sched-04 §6.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final

from starlette.responses import Response

from mailstead.model.directory import Account
from mailstead.model.errors import BadObject, NotAllowed, TooManyMatches
from mailstead.pim import itip
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import Component, Property, write
from mailstead.pim.filters import TimeRange
from mailstead.pim.free_busy import vfreebusy
from mailstead.pim.rule import Budget
from mailstead.pim.values import moment
from mailstead.proto.dav import write as xml
from mailstead.proto.dav.names import caldav
from mailstead.services.dav.call import Call
from mailstead.usecases.free_busy import FreeBusy

ATTENDEES_MAX: Final = 100
"""Whom one request may ask about."""
SPAN_MAX: Final = timedelta(days=400)


async def post(call: Call, octets: bytes) -> Response:
    """Answer for each attendee. Errors: BadObject, NotAllowed (somebody else's outbox)."""
    owner = await call.owner()
    if owner.account_id != call.actor.account_id:
        raise NotAllowed
    asked = calendar_object(octets, allows_method=True)
    if asked.component in {"VEVENT", "VTODO"}:
        statuses = await call.house.scheduling.post(owner, asked, octets)
        pieces = [_response(user, status) for user, status in statuses.items()]
    else:
        pieces = await _busy_times(call, owner, asked)
    return Response(
        xml.document(caldav("schedule-response"), "".join(pieces)),
        media_type=xml.CONTENT_TYPE,
        headers={"cache-control": "no-store"},
    )


async def _busy_times(call: Call, owner: Account, asked: CalendarObject) -> list[str]:
    if asked.component != "VFREEBUSY" or asked.method != "REQUEST":
        raise BadObject("The outbox takes questions about busy times", condition="valid-scheduling-message")
    if itip.organizer(asked) not in await call.house.meetings.own(owner):
        raise BadObject("Ask in your own name", condition="organizer-allowed")
    people = itip.attendees(asked.parts)
    if len(people) > ATTENDEES_MAX:
        raise BadObject("That is too many people at once", condition="max-attendees-per-instance")
    span, free_busy = _span(asked), call.house.free_busy
    budget = free_busy.budget()
    return [await _answer(free_busy, owner, asked, user, prop, span, budget) for user, prop in people.items()]


async def _answer(
    free_busy: FreeBusy,
    owner: Account,
    asked: CalendarObject,
    user: str,
    prop: Property,
    span: TimeRange,
    budget: Budget,
) -> str:
    try:
        periods = await free_busy.of_user(owner, user, span, budget)
    except TooManyMatches:
        return _response(prop.value.strip(), "5.1;That is too much to tell")
    if periods is None:
        return _response(prop.value.strip(), "3.7;Invalid calendar user")
    assert span.start is not None
    assert span.end is not None
    organizer = next(each for part in asked.parts for each in part.all("ORGANIZER"))
    told = vfreebusy(periods, span.start, span.end, free_busy.clock.now(), uid=asked.uid, properties=[organizer, prop])
    head = [Property("VERSION", "2.0"), Property("PRODID", itip.PRODID), Property("METHOD", "REPLY")]
    data = write(Component("VCALENDAR", head, [told])).decode()
    return _response(prop.value.strip(), "2.0;Success", xml.text(caldav("calendar-data"), data))


def _response(user: str, status: str, data: str = "") -> str:
    recipient = xml.element(caldav("recipient"), xml.href(user))
    return xml.element(caldav("response"), recipient + xml.text(caldav("request-status"), status) + data)


def _span(asked: CalendarObject) -> TimeRange:
    part = asked.parts[0]
    start, end = part.first("DTSTART"), part.first("DTEND")
    if start is None or end is None:
        raise BadObject("A question about busy times has a start and an end", condition="valid-calendar-data")
    first, last = moment(start, asked.zones).utc(UTC), moment(end, asked.zones).utc(UTC)
    if last <= first:
        raise BadObject("The time that is asked for ends before it begins", condition="valid-calendar-data")
    if last - first > SPAN_MAX:
        raise BadObject(f"Ask about {SPAN_MAX.days} days at most", condition="valid-calendar-data")
    return TimeRange(first, last)
