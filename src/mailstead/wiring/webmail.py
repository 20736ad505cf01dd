"""The small verbs of webmail, for pages and for the API; and what works for them behind."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.snoozing import DUTY as SNOOZE
from mailstead.usecases.snoozing import Snoozing
from mailstead.usecases.waking import Waking
from mailstead.wiring.house import House


@dataclass(frozen=True, slots=True)
class Webmail:
    """Use cases by name."""

    preferences: OwnPreferences
    snoozing: Snoozing


def make_webmail(house: House) -> Webmail:
    """Give the verbs."""
    return Webmail(OwnPreferences(house.storage), Snoozing(house.storage, house.mailboxes))


def make_waking(house: House) -> Waking:
    """Give what does at its moment what accounts have noted; works while `serve` runs it."""
    webmail = make_webmail(house)
    return Waking(house.storage, house.bus, house.clock, {SNOOZE: webmail.snoozing.wake})
