"""Small messages of our own: notices, reports, samples. Composed by the standard library, with time and id given.

Spec: RFC 5322, RFC 2045; RFC 3462 and RFC 3464 (delivery status notifications).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
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
    return _octets(message, heading)


def composed_report(
    heading: Heading, text: str, status: Sequence[Sequence[tuple[str, str]]], original_header: bytes
) -> bytes:
    """Compose a delivery status notification: words for people, fields for machines, the header that it is about.

    Shapes: `status` holds the fields of the message first, then those of each recipient.
    Spec: RFC 3462, RFC 3464 §2.
    """
    message = _headed(heading)
    message["Auto-Submitted"] = "auto-replied"
    message.set_content(text)
    message.make_mixed()
    message.set_type("multipart/report")
    message.set_param("report-type", "delivery-status")
    groups = ("".join(f"{name}: {value}\r\n" for name, value in fields) for fields in status)
    message.add_attachment("\r\n".join(groups).encode(), "message", "delivery-status", cte="8bit")
    is_ascii = original_header.isascii()
    message.add_attachment(original_header, "text", "rfc822-headers", cte="7bit" if is_ascii else "8bit")
    for part in message.iter_attachments():
        del part["Content-Disposition"]
    return _octets(message, heading)


def _headed(heading: Heading) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = heading.sender
    message["To"] = ", ".join(heading.recipients)
    message["Subject"] = heading.subject
    message["Date"] = format_datetime(heading.sent_at)
    message["Message-ID"] = heading.message_id
    return message


def _octets(message: EmailMessage, heading: Heading) -> bytes:
    """Write with encoded words; raw UTF-8 only where an address cannot be written otherwise (RFC 6532)."""
    is_ascii = all(
        "@" not in word or word.isascii() for one in (heading.sender, *heading.recipients) for word in one.split()
    )
    return message.as_bytes(policy=SMTP if is_ascii else SMTPUTF8)
