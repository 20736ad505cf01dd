"""Mailbox names and object ids, as IMAP needs them."""

from __future__ import annotations

from mailstead.model.errors import BadMailboxName, NoSuchMailbox
from mailstead.model.ids import MailboxId
from mailstead.model.mailbox import normal_name


def existing(name: str) -> str:
    """Give the normal form of a name that should exist; what cannot be a name does not exist.

    Errors: NoSuchMailbox (attack row 51).
    """
    try:
        return normal_name(name)
    except BadMailboxName:
        raise NoSuchMailbox from None


def mailboxid(mailbox_id: MailboxId) -> str:
    """Give the MAILBOXID of a mailbox. Spec: RFC 8474 §4."""
    return f"M{mailbox_id}"
