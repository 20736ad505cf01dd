"""Reading request bodies.

Spec: RFC 4918 §9, §14; RFC 4791 §5.3.1, §7, §9; RFC 5689 §3; RFC 6352 §8, §10; RFC 6578 §3; RFC 3744 §9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from mailstead.pim.filters import (
    AddressData,
    CalendarData,
    CardFilter,
    CompChoice,
    CompFilter,
    ParamFilter,
    PropChoice,
    PropFilter,
    TextMatch,
    TimeRange,
)
from mailstead.proto.dav import types
from mailstead.proto.dav.names import caldav, calendarserver, carddav, dav, push
from mailstead.proto.dav.types import Expansion, MakeCollection, PropertyChange, PropertyUpdate, PropFind, PropFindKind
from mailstead.proto.dav.xml import LANGUAGE, BadRequest, Element, parse

COLLATIONS: Final = frozenset({"i;ascii-casemap", "i;octet", "i;unicode-casemap"})
MATCH_TYPES: Final = frozenset({"contains", "equals", "starts-with", "ends-with"})
FILTERS_MAX: Final = 200
"""Conditions of one query."""
quirk_moment_without_zone: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z?)?", re.ASCII)
"""A moment in UTC, as filters have it; some clients send a date alone, or leave the Z out."""
quirk_either_body: Final = frozenset({dav("mkcol"), caldav("mkcalendar")})
"""Bodies that make a collection; each is taken with MKCOL and with MKCALENDAR."""


def propfind(octets: bytes) -> PropFind:
    """Read the body of PROPFIND; none at all asks for all. Spec: RFC 4918 §9.1. Errors: BadRequest."""
    if not octets.strip():
        return PropFind(PropFindKind.ALLPROP)
    root = _root(octets, dav("propfind"))
    return _wanted(root) or _refuse("PROPFIND wants prop, allprop or propname")


def propertyupdate(octets: bytes) -> PropertyUpdate:
    """Read the body of PROPPATCH. Spec: RFC 4918 §9.2. Errors: BadRequest."""
    changes = _changes(_root(octets, dav("propertyupdate")))
    if not changes:
        raise BadRequest("PROPPATCH names no property")
    return PropertyUpdate(tuple(changes))


def make_collection(octets: bytes) -> MakeCollection:
    """Read the body of MKCOL or MKCALENDAR, which may be none.

    Spec: RFC 5689 §3; RFC 4791 §5.3.1.2.
    Errors: BadRequest (415 for another root).
    """
    if not octets.strip():
        return MakeCollection()
    root = parse(octets)
    if root.name not in quirk_either_body:
        raise BadRequest("MKCOL has a body of another kind", 415)
    changes = _changes(root)
    kinds = next((each.element for each in changes if each.name == dav("resourcetype")), None)
    resource_types = frozenset(each.name for each in kinds.children) if kinds is not None else frozenset()
    kept = tuple(each for each in changes if each.name != dav("resourcetype"))
    return MakeCollection(kept, resource_types)


def report(octets: bytes) -> types.Report:
    """Read the body of REPORT. Spec: RFC 3253 §3.6. Errors: BadRequest; 403 supported-report for an unknown one."""
    root = parse(octets)
    reader = _REPORTS.get(root.name)
    if reader is None:
        raise BadRequest("That report is not supported", 403, dav("supported-report"))
    return reader(root)


def share(octets: bytes) -> types.ShareRequest | types.InviteReply | None:
    """Read a POST about sharing; None: it is about something else. Errors: BadRequest."""
    root = parse(octets)
    if root.name == calendarserver("share"):
        # Elements that are not known are passed over: RFC 4918 §17.
        known = (each for each in root.children if each.name in {calendarserver("set"), calendarserver("remove")})
        return types.ShareRequest(tuple(map(_share_change, known)))
    if root.name == dav("share-resource"):
        return types.ShareRequest(tuple(map(_sharee, root.all(dav("sharee")))))
    if root.name == calendarserver("invite-reply"):
        host = root.child(calendarserver("hosturl"))
        return types.InviteReply(
            host.child_text(dav("href")) if host is not None else "",
            root.child(calendarserver("invite-accepted")) is not None,
            root.child_text(calendarserver("in-reply-to")),
            root.child_text(calendarserver("summary")),
        )
    return None


def push_register(octets: bytes) -> types.PushRegister | None:
    """Read a POST that registers for push; None: it is about something else. Errors: BadRequest."""
    root = parse(octets)
    if root.name != push("push-register"):
        return None
    subscription = root.child(push("subscription"))
    web_push = subscription.child(push("web-push-subscription")) if subscription is not None else None
    if web_push is None:
        raise BadRequest("Only Web Push is known", 403, push("invalid-subscription"))
    trigger = root.child(push("trigger"))
    return types.PushRegister(
        web_push.child_text(push("push-resource")),
        web_push.child_text(push("subscription-public-key")),
        web_push.child_text(push("auth-secret")),
        trigger is None or trigger.child(push("content-update")) is not None,
        trigger is not None and trigger.child(push("property-update")) is not None,
        root.child_text(push("expires")),
    )


# properties


def _root(octets: bytes, name: str) -> Element:
    root = parse(octets)
    if root.name != name:
        raise BadRequest(f"The body is no {name.rpartition('}')[2]}")
    return root


def _refuse(text: str) -> PropFind:
    raise BadRequest(text)


def _wanted(root: Element) -> PropFind | None:
    if root.child(dav("allprop")) is not None:
        include = root.child(dav("include"))
        props = tuple(each.name for each in include.children) if include is not None else ()
        return PropFind(PropFindKind.ALLPROP, props)
    if root.child(dav("propname")) is not None:
        return PropFind(PropFindKind.PROPNAME)
    prop = root.child(dav("prop"))
    if prop is None:
        return None
    calendar, address = prop.child(caldav("calendar-data")), prop.child(carddav("address-data"))
    return PropFind(
        PropFindKind.PROP,
        tuple(dict.fromkeys(each.name for each in prop.children)),
        _calendar_data(calendar) if calendar is not None else None,
        _address_data(address) if address is not None else None,
    )


def _report_wanted(root: Element) -> PropFind:
    return _wanted(root) or PropFind(PropFindKind.PROP)


def _changes(root: Element) -> list[PropertyChange]:
    """Give all changes in the order of the document. Spec: RFC 4918 §9.2."""
    found = []
    for action in root.children:
        if action.name not in {dav("set"), dav("remove")}:
            continue
        for prop in action.all(dav("prop")):
            language = (
                prop.attributes.get(LANGUAGE) or action.attributes.get(LANGUAGE) or root.attributes.get(LANGUAGE, "")
            )
            for each in prop.children:
                element = each if action.name == dav("set") else None
                found.append(PropertyChange(each.name, element, each.attributes.get(LANGUAGE, language)))
    return found


# reports


def _calendar_query(root: Element) -> types.CalendarQuery:
    condition = root.child(caldav("filter"))
    comp = condition.child(caldav("comp-filter")) if condition is not None else None
    if comp is None:
        raise BadRequest("calendar-query has no filter", 403, caldav("valid-filter"))
    counter = _Counter()
    read = _comp_filter(comp, counter)
    if read.name != "VCALENDAR":
        # quirk_bare_comp_filter: some clients leave the outermost one out.
        read = CompFilter("VCALENDAR", comps=(read,))
    return types.CalendarQuery(
        _report_wanted(root),
        read,
        root.child_text(caldav("timezone")),
        root.child_text(caldav("timezone-id")),
        _limit(root, caldav("limit"), caldav("nresults")),
    )


quirk_bare_comp_filter: Final = "VCALENDAR"
"""What is put around a filter of Fantastical and older tsdav, who begin with VEVENT."""


def _calendar_multiget(root: Element) -> types.CalendarMultiget:
    return types.CalendarMultiget(_report_wanted(root), _hrefs(root))


def _free_busy_query(root: Element) -> types.FreeBusyQuery:
    found = root.child(caldav("time-range"))
    if found is None:
        raise BadRequest("free-busy-query has no time-range")
    span = _time_range(found)
    if span.start is None or span.end is None:
        raise BadRequest("The time-range of free-busy-query has start and end")
    return types.FreeBusyQuery(span)


def _addressbook_query(root: Element) -> types.AddressbookQuery:
    found = root.child(carddav("filter"))
    if found is None:
        raise BadRequest("addressbook-query has no filter", 403, carddav("valid-filter"))
    counter = _Counter()
    props = tuple(_card_prop_filter(each, counter) for each in found.all(carddav("prop-filter")))
    condition = CardFilter(props, found.attributes.get("test", "anyof") != "allof")
    limit = _limit(root, carddav("limit"), carddav("nresults"))
    return types.AddressbookQuery(_report_wanted(root), condition, limit)


def _addressbook_multiget(root: Element) -> types.AddressbookMultiget:
    return types.AddressbookMultiget(_report_wanted(root), _hrefs(root))


def _sync_collection(root: Element) -> types.SyncCollection:
    level = root.child_text(dav("sync-level"))
    if level not in {"", "1", "infinite"}:
        raise BadRequest("sync-level is 1 or infinite")
    if root.child(dav("sync-token")) is None:
        raise BadRequest("sync-collection has no sync-token")
    return types.SyncCollection(
        root.child_text(dav("sync-token")),
        _report_wanted(root),
        _limit(root, dav("limit"), dav("nresults")),
        level == "infinite",
    )


def _expand_property(root: Element) -> types.ExpandProperty:
    counter = _Counter()
    return types.ExpandProperty(tuple(_expansion(each, counter) for each in root.all(dav("property"))))


def _expansion(element: Element, counter: _Counter) -> Expansion:
    counter.count()
    namespace, name = element.attributes.get("namespace", "DAV:"), element.attributes.get("name", "")
    if not name:
        raise BadRequest("A property to expand has no name")
    return Expansion(
        f"{{{namespace}}}{name}", tuple(_expansion(each, counter) for each in element.all(dav("property")))
    )


def _principal_match(root: Element) -> types.PrincipalMatch:
    named = root.child(dav("principal-property"))
    prop = named.children[0].name if named is not None and named.children else ""
    return types.PrincipalMatch(_report_wanted(root), root.child(dav("self")) is not None, prop)


def _principal_property_search(root: Element) -> types.PrincipalPropertySearch:
    searches = []
    for each in root.all(dav("property-search")):
        prop = each.child(dav("prop"))
        names = tuple(one.name for one in prop.children) if prop is not None else ()
        searches.append((names, each.child_text(dav("match"))))
    if not searches:
        raise BadRequest("principal-property-search searches for nothing")
    return types.PrincipalPropertySearch(
        _report_wanted(root),
        tuple(searches),
        root.attributes.get("test", "allof") == "anyof",
        root.child(dav("apply-to-principal-collection-set")) is not None,
    )


_REPORTS: Final[dict[str, Callable[[Element], types.Report]]] = {
    caldav("calendar-query"): _calendar_query,
    caldav("calendar-multiget"): _calendar_multiget,
    caldav("free-busy-query"): _free_busy_query,
    carddav("addressbook-query"): _addressbook_query,
    carddav("addressbook-multiget"): _addressbook_multiget,
    dav("sync-collection"): _sync_collection,
    dav("expand-property"): _expand_property,
    dav("principal-match"): _principal_match,
    dav("principal-property-search"): _principal_property_search,
    dav("principal-search-property-set"): lambda _: types.PrincipalSearchPropertySet(),
    dav("acl-principal-prop-set"): lambda root: types.AclPrincipalPropSet(_report_wanted(root)),
}


def _hrefs(root: Element) -> tuple[str, ...]:
    return tuple(each.text.strip() for each in root.children if each.name == dav("href"))


def _limit(root: Element, limit: str, nresults: str) -> int | None:
    found = root.child(limit)
    text = found.child_text(nresults) if found is not None else ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise BadRequest("nresults is no number")
    return int(text[:10])


# filters


class _Counter:
    """Counts the conditions of one query."""

    def __init__(self) -> None:
        self._left = FILTERS_MAX

    def count(self) -> None:
        """Errors: BadRequest."""
        self._left -= 1
        if self._left < 0:
            raise BadRequest("The filter has too many conditions", 403, caldav("valid-filter"))


def _comp_filter(element: Element, counter: _Counter) -> CompFilter:
    counter.count()
    name = element.attributes.get("name", "").upper()
    if not name:
        raise BadRequest("A comp-filter has no name", 403, caldav("valid-filter"))
    span = element.child(caldav("time-range"))
    return CompFilter(
        name,
        element.child(caldav("is-not-defined")) is not None,
        _time_range(span) if span is not None else None,
        tuple(_prop_filter(each, counter) for each in element.all(caldav("prop-filter"))),
        tuple(_comp_filter(each, counter) for each in element.all(caldav("comp-filter"))),
        element.attributes.get("test") == "anyof",
    )


def _prop_filter(element: Element, counter: _Counter) -> PropFilter:
    counter.count()
    span = element.child(caldav("time-range"))
    return PropFilter(
        _named(element, caldav("valid-filter")),
        element.child(caldav("is-not-defined")) is not None,
        _time_range(span) if span is not None else None,
        tuple(_text_match(each, caldav("supported-collation")) for each in element.all(caldav("text-match"))),
        tuple(_param_filter(each, caldav, counter) for each in element.all(caldav("param-filter"))),
        element.attributes.get("test") == "anyof",
    )


def _card_prop_filter(element: Element, counter: _Counter) -> PropFilter:
    counter.count()
    return PropFilter(
        _named(element, carddav("valid-filter")),
        element.child(carddav("is-not-defined")) is not None,
        None,
        tuple(_text_match(each, carddav("supported-collation")) for each in element.all(carddav("text-match"))),
        tuple(_param_filter(each, carddav, counter) for each in element.all(carddav("param-filter"))),
        element.attributes.get("test", "anyof") != "allof",
    )


def _param_filter(element: Element, names: Callable[[str], str], counter: _Counter) -> ParamFilter:
    counter.count()
    found = element.child(names("text-match"))
    return ParamFilter(
        _named(element, names("valid-filter")),
        element.child(names("is-not-defined")) is not None,
        _text_match(found, names("supported-collation")) if found is not None else None,
    )


def _named(element: Element, condition: str) -> str:
    name = element.attributes.get("name", "").upper()
    if not name:
        raise BadRequest("A filter has no name", 403, condition)
    return name


def _text_match(element: Element, condition: str) -> TextMatch:
    collation = element.attributes.get("collation", "i;ascii-casemap")
    if collation == "default":
        collation = "i;ascii-casemap"
    if collation not in COLLATIONS:
        raise BadRequest("That collation is not supported", 403, condition)
    match_type = element.attributes.get("match-type", "contains")
    if match_type not in MATCH_TYPES:
        raise BadRequest("That match-type is not known")
    return TextMatch(element.text, collation, match_type, element.attributes.get("negate-condition") == "yes")


def _time_range(element: Element) -> TimeRange:
    start, end = element.attributes.get("start"), element.attributes.get("end")
    if start is None and end is None:
        raise BadRequest("A time-range has start or end", 403, caldav("valid-filter"))
    span = TimeRange(_utc(start) if start else None, _utc(end) if end else None)
    if span.start is not None and span.end is not None and span.end <= span.start:
        raise BadRequest("A time-range ends after its start", 403, caldav("valid-filter"))
    return span


def _utc(text: str) -> datetime:
    """Read a moment; a date alone, and one without Z, are taken as UTC."""
    read = quirk_moment_without_zone.fullmatch(text.strip())
    try:
        if read is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(each or 0) for each in read.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise BadRequest("A moment is written as 20260101T000000Z", 403, caldav("valid-filter")) from None


# which data


def _calendar_data(element: Element) -> CalendarData:
    comp = element.child(caldav("comp"))
    spans = {
        name: _time_range(found) if found is not None else None
        for name in ("expand", "limit-recurrence-set", "limit-freebusy-set")
        for found in (element.child(caldav(name)),)
    }
    media_type = element.attributes.get("content-type", "text/calendar")
    version = element.attributes.get("version", "2.0")
    if media_type != "text/calendar" or version != "2.0":
        raise BadRequest("Calendar objects come as text/calendar 2.0", 403, caldav("supported-calendar-data"))
    for name in ("expand", "limit-recurrence-set"):
        span = spans[name]
        if span is not None and (span.start is None or span.end is None):
            raise BadRequest(f"{name} has start and end")
    return CalendarData(
        _comp_choice(comp) if comp is not None else None,
        spans["expand"],
        spans["limit-recurrence-set"],
        spans["limit-freebusy-set"],
    )


def _comp_choice(element: Element) -> CompChoice:
    props: tuple[PropChoice, ...] | None = tuple(map(_prop_choice, element.all(caldav("prop"))))
    comps: tuple[CompChoice, ...] | None = tuple(map(_comp_choice, element.all(caldav("comp"))))
    if element.child(caldav("allprop")) is not None:
        props = None
    if element.child(caldav("allcomp")) is not None:
        comps = None
    return CompChoice(element.attributes.get("name", "").upper(), props, comps)


def _prop_choice(element: Element) -> PropChoice:
    return PropChoice(element.attributes.get("name", "").upper(), element.attributes.get("novalue") == "yes")


def _address_data(element: Element) -> AddressData:
    media_type = element.attributes.get("content-type", "text/vcard")
    version = element.attributes.get("version", "")
    if media_type not in {"text/vcard", "text/x-vcard", "text/directory"} or version not in {"", "3.0", "4.0"}:
        raise BadRequest("Contacts come as text/vcard 3.0 or 4.0", 403, carddav("supported-address-data"))
    props = tuple(map(_prop_choice, element.all(carddav("prop"))))
    is_whole = not props or element.child(carddav("allprop")) is not None
    return AddressData(None if is_whole else props, media_type, version)


# sharing


def _share_change(element: Element) -> types.ShareChange:
    access = ""
    if element.name == calendarserver("set"):
        access = "read-write" if element.child(calendarserver("read-write")) is not None else "read"
    return types.ShareChange(
        element.child_text(dav("href")),
        access,
        element.child_text(calendarserver("summary")),
        element.child_text(calendarserver("common-name")),
    )


def _sharee(element: Element) -> types.ShareChange:
    found = element.child(dav("share-access"))
    words = {each.name.rpartition("}")[2] for each in found.children} if found is not None else set()
    access = "read-write" if "read-write" in words else "" if "no-access" in words else "read"
    return types.ShareChange(element.child_text(dav("href")), access, element.child_text(dav("comment")))
