"""Reports that we send, as mail.

Spec: RFC 8460 §5.3 (TLS-RPT), RFC 9990 §5.4 (DMARC).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who sends reports: us."""

    organization: str
    address: str
    """From whom they come, and whom one may ask."""
    hostname: str
    """Also the last part of message ids, and who has sent in file names."""


@dataclass(frozen=True, slots=True)
class OutgoingReport:
    """A report to one of those who want it."""

    domain: str
    """That it is about."""
    mail_to: str
    """Address for which `octets` is a mail from the reporter's address, which must be signed with DKIM; else empty."""
    url: str
    """Where else `octets` is to be posted, as it is."""
    media_type: str
    octets: bytes


class Letter(NamedTuple):
    """What stands around the report."""

    subject: str
    text: str
    fields: Sequence[tuple[str, str]]
    media_type: str
    """Of the report: ``application/…``."""
    file_name: str
    report_type: str
    """Makes it a multipart/report; empty: multipart/mixed."""
    report_id: str


def packed(text: str) -> bytes:
    """Pack with gzip; of the same text the same octets. Spec: RFC 1952."""
    return gzip.compress(text.encode(), mtime=0)


def composed(reporter: Reporter, recipient: str, letter: Letter, report: bytes, now: datetime) -> bytes:
    """Compose the mail that carries a report; lines end in CRLF.

    Spec: RFC 6522 (multipart/report); RFC 3834 §5 (Auto-Submitted).
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = reporter.address
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter.report_id}.{sha256(recipient.encode()).hexdigest()[:8]}@{reporter.hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    for name, value in letter.fields:
        message[name] = value
    message.set_content(letter.text)
    maintype, _, subtype = letter.media_type.partition("/")
    message.add_attachment(report, maintype=maintype, subtype=subtype, filename=letter.file_name)
    if letter.report_type:
        message.set_type("multipart/report")
        message.set_param("report-type", letter.report_type)
    message.set_boundary("=_" + sha256(letter.report_id.encode()).hexdigest()[:32])
    return message.as_bytes()
