"""Calendars and contacts of an account, as the API's use cases see them, over a real store."""

from dataclasses import dataclass

from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.calendars import Calendars
from mailstead.usecases.cards import Cards
from mailstead.usecases.collections import Collections
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.events import Events
from mailstead.usecases.resources import ResourceTerms


@dataclass
class ApiHome:
    collections: Collections
    calendar_objects: CalendarObjects
    contacts: Contacts
    objects: DavObjects
    calendars: Calendars
    events: Events
    cards: Cards


def api_home(storage, clock, scheduling=None):
    terms = ResourceTerms("https://mail.example.test")
    collections = Collections(storage)
    calendar_objects = CalendarObjects(terms, scheduling, clock)
    contacts = Contacts(terms)
    objects = DavObjects(storage, collections)
    return ApiHome(
        collections,
        calendar_objects,
        contacts,
        objects,
        Calendars(objects, collections),
        Events(objects, calendar_objects, clock),
        Cards(objects, contacts),
    )


def event(uid="one", start="20260110T090000Z", *more, summary="Meeting", component="VEVENT"):
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//test//EN",
        f"BEGIN:{component}",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
        *((f"DTSTART:{start}",) if start else ()),
        f"SUMMARY:{summary}",
        *more,
        f"END:{component}",
        "END:VCALENDAR",
        "",
    )
    return "\r\n".join(lines).encode()
