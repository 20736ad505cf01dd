"""Calendar objects as a client wants them: whole, in part, or with their instances written out.

Spec: RFC 4791 §9.6.
"""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import CalendarObject
from mailstead.pim.component import Component, Property, write
from mailstead.pim.filters import CalendarData, CompChoice, TimeRange
from mailstead.pim.recurrence import Instance, instances, limits, overlaps, shifted, span_of
from mailstead.pim.rule import Budget
from mailstead.pim.values import Moment, Period, moment, moments, written_date, written_utc

_RECURRING: Final = frozenset(
    {"RRULE", "RDATE", "EXRULE", "EXDATE", "RECURRENCE-ID", "DTSTART", "DTEND", "DUE", "DURATION"}
)


def render(
    calendar_object: CalendarObject, octets: bytes, wanted: CalendarData, floating_zone: tzinfo, budget: Budget
) -> bytes:
    """Give an object in the form that is wanted; as it was put, where nothing special is.

    Errors: TooManyMatches, when its instances are too many.
    """
    if wanted.is_whole:
        return octets
    calendar = calendar_object.calendar.copy()
    if wanted.expand is not None:
        calendar = _expanded(calendar_object, wanted.expand, floating_zone, budget)
    elif wanted.limit_recurrence_set is not None:
        calendar = _limited(calendar_object, wanted.limit_recurrence_set, floating_zone, budget)
    if wanted.limit_freebusy_set is not None:
        _limit_freebusy(calendar, wanted.limit_freebusy_set, calendar_object, floating_zone)
    if wanted.choice is not None:
        calendar = _chosen(calendar, wanted.choice)
    return write(calendar)


def _expanded(calendar_object: CalendarObject, span: TimeRange, floating_zone: tzinfo, budget: Budget) -> Component:
    """Spec: RFC 4791 §9.6.5."""
    calendar = Component("VCALENDAR", list(calendar_object.calendar.properties))
    found = list(instances(calendar_object, span.start, span.end, floating_zone, budget))
    for each in found:
        calendar.components.append(_written_out(each, calendar_object))
    if not found:
        # What has no instances in time (a task without date) is given as it is.
        calendar.components += [
            part.copy() for part in calendar_object.parts if part.first("DTSTART") is None and part.first("DUE") is None
        ]
    return calendar


def _written_out(instance: Instance, calendar_object: CalendarObject) -> Component:
    """Give one instance with its times in UTC, as a component of its own."""
    source = instance.component
    part = Component(source.name, [], [each.copy() for each in source.components])
    for prop in source.properties:
        if prop.name in _RECURRING:
            continue
        tzid = prop.parameter("TZID")
        part.properties.append(_in_utc(prop, calendar_object) if tzid else prop)
    at = _times(instance, calendar_object)
    if instance.recurrence_id is not None:
        at.insert(0, _moment_property("RECURRENCE-ID", instance.recurrence_id, instance.recurrence_id.is_date))
    part.properties[1:1] = at
    return part


def _times(instance: Instance, calendar_object: CalendarObject) -> list[Property]:
    source = instance.component
    found = []
    end_name = "DUE" if source.name == "VTODO" else "DTEND"
    if source.first("DTSTART") is not None or end_name == "DTEND":
        found.append(_moment_property("DTSTART", instance.at, instance.is_all_day))
    if source.first(end_name) is not None or not _lasts_as_written(instance, calendar_object):
        found.append(_moment_property(end_name, instance.at.plus(instance.length), instance.is_all_day))
    elif source.first("DURATION") is not None:
        found.append(Property("DURATION", source.value("DURATION")))
    return found


def _lasts_as_written(instance: Instance, calendar_object: CalendarObject) -> bool:
    """Whether a length that stands in an object is that of an instance in UTC as well.

    An instance from a PERIOD lasts as long as that says, and days of a zone may have other hours than days of UTC.
    """
    own = span_of(instance.component, calendar_object)
    if own is None or own.length != instance.length:
        return own is None
    return instance.at.zone is None or instance.end - instance.start == instance.length.exact


def _moment_property(name: str, at: Moment, is_date: bool) -> Property:
    """Write a moment in UTC; a day stays a day, a floating time floats on."""
    if is_date:
        return Property(name, written_date(at.local), (("VALUE", ("DATE",)),))
    if at.zone is None:
        return Property(name, f"{at.local:%Y%m%dT%H%M%S}".rjust(15, "0"))
    return Property(name, written_utc(at.utc(UTC)))


def _in_utc(prop: Property, calendar_object: CalendarObject) -> Property:
    """Write a property's local times in UTC, as no VTIMEZONE goes with them."""
    try:
        found = moments(prop, calendar_object.zones)
    except BadObject:
        return prop
    texts = []
    for each in found:
        if isinstance(each, Period) or each.is_date or each.zone is None:
            return prop
        texts.append(written_utc(each.utc(UTC)))
    parameters = tuple(each for each in prop.parameters if each[0] != "TZID")
    return Property(prop.name, ",".join(texts), parameters, prop.group)


def _limited(calendar_object: CalendarObject, span: TimeRange, floating_zone: tzinfo, budget: Budget) -> Component:
    """Leave out changed instances that neither are nor were in a span. Spec: RFC 4791 §9.6.6."""
    begin, end = limits(span.start, span.end)
    length = _length(calendar_object)
    kept: list[Component] = []
    for part in calendar_object.overrides:
        budget.step()
        prop = part.first("RECURRENCE-ID")
        assert prop is not None
        try:
            original = moment(prop, calendar_object.zones).utc(floating_zone)
        except BadObject:
            kept.append(part)
            continue
        alone = CalendarObject(
            calendar_object.calendar,
            calendar_object.component,
            calendar_object.uid,
            None,
            [part],
            calendar_object.zones,
        )
        is_now = next(instances(alone, begin, end, floating_zone, budget), None) is not None
        is_range = (prop.parameter("RANGE") or "").upper() == "THISANDFUTURE"
        was = overlaps(original, shifted(original, length), begin, end)
        if is_now or was or (is_range and original < end):
            kept.append(part)
    calendar = calendar_object.calendar.copy()
    gone = [part for part in calendar_object.overrides if not any(part is each for each in kept)]
    positions = {at for at, each in enumerate(calendar_object.calendar.components) if any(each is one for one in gone)}
    calendar.components = [each for at, each in enumerate(calendar.components) if at not in positions]
    return calendar


def _length(calendar_object: CalendarObject) -> timedelta:
    """Give how long an instance is that nothing has changed."""
    try:
        span = span_of(calendar_object.master, calendar_object) if calendar_object.master is not None else None
    except BadObject:
        span = None
    return span.length.exact if span is not None else timedelta()


def _limit_freebusy(
    calendar: Component, span: TimeRange, calendar_object: CalendarObject, floating_zone: tzinfo
) -> None:
    """Spec: RFC 4791 §9.6.7."""
    begin, end = limits(span.start, span.end)
    for part in calendar.children("VFREEBUSY"):
        properties: list[Property] = []
        for prop in part.properties:
            if prop.name != "FREEBUSY":
                properties.append(prop)
                continue
            texts = []
            for text in prop.value.split(","):
                try:
                    (found,) = moments(Property(prop.name, text, prop.parameters), calendar_object.zones)
                except (BadObject, ValueError):
                    continue
                if isinstance(found, Period) and overlaps(
                    found.start.utc(floating_zone), found.end.utc(floating_zone), begin, end
                ):
                    texts.append(text)
            if texts:
                properties.append(Property(prop.name, ",".join(texts), prop.parameters))
        part.properties = properties


def _chosen(component: Component, choice: CompChoice) -> Component:
    """Give the parts of a component that are wanted. Spec: RFC 4791 §9.6.1 to §9.6.4."""
    if choice.props is None:
        properties = list(component.properties)
    else:
        named = {each.name: each.no_value for each in choice.props}
        properties = [
            Property(each.name, "", each.parameters, each.group) if named[each.name] else each
            for each in component.properties
            if each.name in named
        ]
    if choice.comps is None:
        components = list(component.components)
    else:
        inner = {each.name: each for each in choice.comps}
        components = [_chosen(each, inner[each.name]) for each in component.components if each.name in inner]
    return Component(component.name, properties, components)
