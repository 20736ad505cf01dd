"""What a delivery status notification says to people: what has happened, why, and what to do.

Spec: RFC 3464 §2 (a part for people comes first), RFC 3463 (what the status codes mean).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Final


class Action(Enum):
    """What has become of a message for one recipient. Spec: RFC 3464 §2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


SUBJECTS: Final = {
    Action.FAILED: "Your message was not delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was passed on",
    Action.EXPANDED: "Your message was passed on to several recipients",
}
"""If recipients fared differently, the first of these that fits one of them is the subject."""

_OPENINGS: Final = {
    Action.FAILED: "could not be delivered to:",
    Action.DELAYED: "has not been delivered yet to:",
    Action.DELIVERED: "was delivered to:",
    Action.RELAYED: "was passed on, to a server that does not report deliveries, for:",
    Action.EXPANDED: "was passed on to several recipients behind:",
}

_ADVICE: Final = {
    Action.DELAYED: "You need do nothing, and please do not send it again: we keep trying{until}.",
    Action.DELIVERED: "It is in the mailbox. Whether it has been read, nobody can tell.",
    Action.RELAYED: "You will hear of it again only if that server cannot deliver it.",
    Action.EXPANDED: "You will hear of it again only if one of them cannot be reached.",
}

# RFC 3463 §3.2 to §3.8, RFC 7505 (x.1.10), RFC 8689 (x.7.30), RFC 7372 (x.7.20 to x.7.26)
_FAILURE_ADVICE: Final = {
    "1.1": "There is no such address. Check how it is spelt, or ask the recipient for it in another way.",
    "1.2": "There is no such domain. Check how the part behind the @ is spelt.",
    "1.3": "The address is not written correctly. Check how it is spelt.",
    "1.6": "The recipient has moved. Ask for the new address in another way.",
    "1.10": "That domain takes no mail at all. Check how the part behind the @ is spelt.",
    "2.1": "That mailbox is switched off. Ask the recipient in another way.",
    "2.2": "The recipient's mailbox is full. Try again later, or tell the recipient in another way.",
    "2.3": "The message is too large. Send it smaller, for example with links in the place of attachments.",
    "3.4": "The message is too large. Send it smaller, for example with links in the place of attachments.",
    "4.1": "The recipient's server could not be reached for too long. Try again later.",
    "4.4": "The recipient's domain names no server for mail. Check how the part behind the @ is spelt.",
    "4.6": "The message went round in a circle. Tell the recipient: some forwarding leads back to itself.",
    "4.7": "We have tried for as long as we may. Try again later, or tell the recipient in another way.",
    "6.7": "The recipient's server cannot take addresses with such letters. Ask for another address.",
    "7.1": "The recipient's server refused it. Its answer may say why; else ask the recipient in another way.",
    "7.30": "You asked for encryption on the whole way, and the recipient's server does not promise it.",
}
_FAILURE_ADVICE_BY_SUBJECT: Final = {
    "1": "Check how the address is spelt.",
    "2": "There is trouble with the recipient's mailbox. Tell the recipient in another way.",
    "4": "The recipient's server could not be reached. Try again later.",
    "6": "The recipient's server cannot take messages of this form. Send it as plain text.",
    "7": "The recipient's server refused it for reasons of policy. Its answer may say why; else show this to your"
    " administrator.",
}
_FAILURE_ADVICE_ELSE: Final = "If the answer above does not help, show this message to your administrator."


def told(action: Action, shown: Sequence[tuple[str, str, str]], retried_until: datetime | None) -> list[str]:
    """Give the lines that tell of the recipients with one action.

    Shapes: `shown` has an address, the answer of its server (or nothing) and the status of each.
    """
    if action is Action.FAILED:
        advice = [advice_on_failure(status) for _, _, status in shown]
    else:
        until = f" until {retried_until.astimezone(UTC):%d %B %Y, %H:%M} UTC" if retried_until else ""
        advice = [_ADVICE[action].format(until=until)]
    differs = len(set(advice)) > 1
    lines = [f"Your message {_OPENINGS[action]}", ""]
    for number, (address, answer, _) in enumerate(shown):
        lines.append(f"    {address}")
        if answer:
            lines.append(f"        {answer}")
        if differs:
            lines.append(f"        {advice[number]}")
    return [*lines, ""] if differs else [*lines, "", advice[0], ""]


def advice_on_failure(status: str) -> str:
    """Say what the author can do about a status code (``5.1.1``). Spec: RFC 3463 §3."""
    _, _, detail = status.partition(".")
    subject = detail.partition(".")[0]
    return _FAILURE_ADVICE.get(detail) or _FAILURE_ADVICE_BY_SUBJECT.get(subject, _FAILURE_ADVICE_ELSE)
