"""The small verbs of webmail, for pages and for the API; and what works for them behind."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.conversations import Conversations
from mailstead.usecases.emails import Emails
from mailstead.usecases.identities import Identities
from mailstead.usecases.message_reasons import MessageReasons
from mailstead.usecases.messages import Messages
from mailstead.usecases.outbox import DUTY as OUTBOX
from mailstead.usecases.outbox import Outbox
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.snoozing import DUTY as SNOOZE
from mailstead.usecases.snoozing import Snoozing
from mailstead.usecases.unsubscribing import Unsubscribing
from mailstead.usecases.waking import Waking
from mailstead.wiring.house import House


@dataclass(frozen=True, slots=True)
class Webmail:
    """Use cases by name."""

    conversations: Conversations
    identities: Identities
    message_reasons: MessageReasons
    outbox: Outbox
    preferences: OwnPreferences
    snoozing: Snoozing
    unsubscribing: Unsubscribing


def make_webmail(house: House) -> Webmail:
    """Give the verbs."""
    emails = Emails(house.storage, house.submissions, recipients_max=house.settings.smtp.recipients_max)
    hostname = house.settings.server.hostname
    messages, preferences = Messages(house.mailboxes), OwnPreferences(house.storage)
    identities = Identities(house.storage, house.addresses, house.mailboxes, messages, preferences, hostname=hostname)
    return Webmail(
        conversations=Conversations(house.mailboxes),
        identities=identities,
        message_reasons=MessageReasons(
            house.storage, house.addresses, house.mailboxes, messages, house.junk_filter, hostname=hostname
        ),
        outbox=Outbox(house.storage, house.mailboxes, messages, emails),
        preferences=preferences,
        snoozing=Snoozing(house.storage, house.mailboxes),
        unsubscribing=Unsubscribing(
            house.mailboxes, messages, emails, identities, house.resolver, house.web, hostname=hostname
        ),
    )


def make_waking(house: House) -> Waking:
    """Give what does at its moment what accounts have noted; works while `serve` runs it."""
    webmail = make_webmail(house)
    duties = {SNOOZE: webmail.snoozing.wake, OUTBOX: webmail.outbox.wake}
    return Waking(house.storage, house.bus, house.clock, duties)
