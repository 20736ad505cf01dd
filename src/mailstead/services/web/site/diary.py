"""What the pages of calendars and tasks need of the house. Made by `wiring.diary`."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.agenda import Agenda
from mailstead.usecases.calendar_files import CalendarFiles
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.calendars import Calendars
from mailstead.usecases.dav_objects import DavObjects
from mailstead.usecases.event_editing import EventEditing
from mailstead.usecases.mailed_invitations import MailedInvitations
from mailstead.usecases.sharings import Sharings
from mailstead.usecases.subscriptions import Subscriptions
from mailstead.usecases.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Diary:
    """Use cases by name."""

    agenda: Agenda
    calendar_files: CalendarFiles
    calendar_objects: CalendarObjects
    calendars: Calendars
    editing: EventEditing
    invitations: MailedInvitations
    objects: DavObjects
    sharings: Sharings
    subscriptions: Subscriptions
    tasks: Tasks
    public_url: str
    """Of calendars with a private link; the token and ``.ics`` follow."""
