"""Calendars and tasks on the pages: the verbs for them."""

from __future__ import annotations

from mailstead.services.dav.public import PREFIX
from mailstead.services.web.site.diary import Diary
from mailstead.usecases.agenda import Agenda
from mailstead.usecases.calendars import Calendars
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.event_editing import EventEditing
from mailstead.usecases.mailed_invitations import MailedInvitations
from mailstead.usecases.tasks import Tasks
from mailstead.wiring.house import House, dav_base_url


def make_diary(house: House) -> Diary:
    """Give them."""
    objects = DavObjects(house.storage, house.collections)
    agenda = Agenda(objects, house.meetings)
    calendar_objects, meetings, clock = house.calendar_objects, house.meetings, house.clock
    return Diary(
        agenda=agenda,
        calendar_files=house.calendar_files,
        calendar_objects=calendar_objects,
        calendars=Calendars(objects, house.collections),
        editing=EventEditing(objects, calendar_objects, meetings, clock),
        invitations=MailedInvitations(house.mailboxes, objects, calendar_objects, meetings, agenda, clock),
        objects=objects,
        sharings=house.sharings,
        subscriptions=house.subscriptions,
        tasks=Tasks(objects, calendar_objects, clock),
        public_url=f"{dav_base_url(house.settings)}{PREFIX}",
    )
