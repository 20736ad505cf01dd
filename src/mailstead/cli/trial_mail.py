"""A mail program for trials: sends through this machine's submission, and looks into its mailboxes over IMAP."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from mailstead.cli.answers import Port, ports_of, tls_context

if TYPE_CHECKING:
    from mailstead.config.settings import Settings

STEP_LIMIT_S: Final = 20.0
"""How long a server may take for one answer."""
TRIAL_ERRORS: Final = (OSError, smtplib.SMTPException, imaplib.IMAP4.error)
"""What the verbs raise; the text says what the server has against it."""


@dataclass(frozen=True, slots=True)
class TrialProgram:
    """Logged in as one account; each verb is a conversation of its own."""

    submission: Port
    imap: Port
    address: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, address: str, password: str) -> TrialProgram | None:
        """Give one for this machine's ports; None where submission and IMAP are not both here. Errors: BadSettings."""
        ports = ports_of(settings)
        submission, imap = _chosen(ports, "submission"), _chosen(ports, "imap")
        return None if submission is None or imap is None else cls(submission, imap, address, password)

    def send(self, to: str, subject: str, text: str, message_id: str) -> None:
        """Send a message. Errors: `TRIAL_ERRORS`."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.address, to, subject
        message["Date"], message["Message-ID"] = formatdate(), message_id
        message.set_content(text)
        port, context = self.submission, tls_context(self.submission.alpn)
        client: smtplib.SMTP
        if port.is_tls:
            client = smtplib.SMTP_SSL(port.host, port.number, timeout=STEP_LIMIT_S, context=context)
        else:
            client = smtplib.SMTP(port.host, port.number, timeout=STEP_LIMIT_S)
        with client:
            if not port.is_tls:
                client.starttls(context=context)
            client.login(self.address, self.password)
            client.send_message(message)

    def found_in(self, *criteria: str) -> str:
        """Give the mailbox, of INBOX and Junk, that has a message by IMAP's search criteria; or nothing.

        Errors: `TRIAL_ERRORS`. Spec: RFC 9051 §6.4.4.
        """
        with self._reading() as client:
            for mailbox in ("INBOX", "Junk"):
                client.select(mailbox, readonly=True)
                if client.search(None, *criteria)[1][0]:
                    return mailbox
        return ""

    @contextmanager
    def _reading(self) -> Iterator[imaplib.IMAP4]:
        port, context = self.imap, tls_context(self.imap.alpn)
        client: imaplib.IMAP4
        if port.is_tls:
            client = imaplib.IMAP4_SSL(port.host, port.number, ssl_context=context, timeout=STEP_LIMIT_S)
        else:
            client = imaplib.IMAP4(port.host, port.number, timeout=STEP_LIMIT_S)
        with client:
            if not port.is_tls:
                client.starttls(ssl_context=context)
            client.login(self.address, self.password)
            yield client


def _chosen(ports: Sequence[Port], service: str) -> Port | None:
    """Give the port to be tried, TLS from the first octet before others; those for proxies are not for us."""
    fitting = [port for port in ports if port.service == service and not port.is_behind_proxy]
    return min(fitting, key=lambda port: not port.is_tls, default=None)
