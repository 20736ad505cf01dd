"""The small verbs of webmail, for pages and for the API; and what works for them behind."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.emails import Emails
from mailstead.usecases.messages import Messages
from mailstead.usecases.outbox import DUTY as OUTBOX
from mailstead.usecases.outbox import Outbox
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.snoozing import DUTY as SNOOZE
from mailstead.usecases.snoozing import Snoozing
from mailstead.usecases.waking import Waking
from mailstead.wiring.house import House


@dataclass(frozen=True, slots=True)
class Webmail:
    """Use cases by name."""

    outbox: Outbox
    preferences: OwnPreferences
    snoozing: Snoozing


def make_webmail(house: House) -> Webmail:
    """Give the verbs."""
    emails = Emails(house.storage, house.submissions, recipients_max=house.settings.smtp.recipients_max)
    return Webmail(
        outbox=Outbox(house.storage, house.mailboxes, Messages(house.mailboxes), emails),
        preferences=OwnPreferences(house.storage),
        snoozing=Snoozing(house.storage, house.mailboxes),
    )


def make_waking(house: House) -> Waking:
    """Give what does at its moment what accounts have noted; works while `serve` runs it."""
    webmail = make_webmail(house)
    duties = {SNOOZE: webmail.snoozing.wake, OUTBOX: webmail.outbox.wake}
    return Waking(house.storage, house.bus, house.clock, duties)
