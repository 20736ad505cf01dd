"""Small messages of our own: notices, reports, samples. Composed by the standard library, with time and id given.

Spec: RFC 5322, RFC 2045. Delivery status notifications are composed by `mime.dsn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from hashlib import sha256
from typing import NamedTuple


class Heading(NamedTuple):
    """What the header of a composed message says."""

    sender: str
    recipients: Sequence[str]
    subject: str
    sent_at: datetime
    """Time-zone aware."""
    message_id: str
    """With its brackets."""


def composed(heading: Heading, text: str, *, html: str | None = None) -> bytes:
    """Compose a text message, with an HTML alternative if given; lines end in CRLF.

    Spec: RFC 5322 §3.6, RFC 2046 §5.1.4.
    """
    message = _headed(heading)
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
        message.set_boundary(_boundary(heading))
    return _octets(message, heading)


def _headed(heading: Heading) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = heading.sender
    message["To"] = ", ".join(heading.recipients)
    message["Subject"] = heading.subject
    message["Date"] = format_datetime(heading.sent_at)
    message["Message-ID"] = heading.message_id
    return message


def _boundary(heading: Heading) -> str:
    """Derive a boundary from the message-id, which is as unique; the library would throw dice."""
    return "=_" + sha256(heading.message_id.encode()).hexdigest()[:32]


def _octets(message: EmailMessage, heading: Heading) -> bytes:
    """Write with encoded words; raw UTF-8 only where an address cannot be written otherwise. Spec: RFC 6532 §3."""
    words = " ".join((heading.sender, *heading.recipients)).split()
    return message.as_bytes(policy=SMTP if all(word.isascii() for word in words if "@" in word) else SMTPUTF8)
