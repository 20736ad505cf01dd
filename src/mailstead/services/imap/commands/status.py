"""STATUS, and the STATUS lines of LIST and NOTIFY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailstead.model.errors import NoSuchMailbox
from mailstead.model.flags import DELETED
from mailstead.model.mailbox import Mailbox
from mailstead.model.message import Wanted
from mailstead.model.search import HasFlag
from mailstead.proto.imap.types.commands import Status, StatusItem
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import responses
from mailstead.services.imap.commands.names import existing, mailboxid
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def status(session: ImapSession, command: Status) -> Reply:
    """Tell the counters of a mailbox. Spec: RFC 9051 §6.3.11; RFC 7162 §3.1.7 (HIGHESTMODSEQ enables CONDSTORE)."""
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.enable_condstore()
    mailbox = await session.store.mailbox(existing(command.mailbox))
    if not mailbox.is_selectable:
        raise NoSuchMailbox
    session.connection.send(await status_line(session, mailbox, command.items))
    return Reply(Result.OK, "STATUS completed")


async def status_line(session: ImapSession, mailbox: Mailbox, items: Sequence[StatusItem]) -> bytes:
    """Make the STATUS response of a mailbox. Spec: RFC 9051 §7.3.2."""
    values = [(item, await _value(session, mailbox, item)) for item in items]
    return responses.status_line(mailbox.name, values, is_utf8=session.is_utf8)


async def _value(session: ImapSession, mailbox: Mailbox, item: StatusItem) -> int | str | None:
    match item:
        case StatusItem.MESSAGES:
            return mailbox.message_count
        case StatusItem.RECENT:
            return 0
        case StatusItem.UIDNEXT:
            return mailbox.uidnext
        case StatusItem.UIDVALIDITY:
            return mailbox.uidvalidity
        case StatusItem.UNSEEN:
            return mailbox.unseen_count
        case StatusItem.DELETED:
            return mailbox.deleted_count
        case StatusItem.DELETED_STORAGE:
            return await _deleted_octets(session, mailbox)
        case StatusItem.SIZE:
            return mailbox.size_octets
        case StatusItem.HIGHESTMODSEQ:
            return mailbox.highestmodseq
        case StatusItem.APPENDLIMIT:
            return session.service.limits.append_octets_max
        case StatusItem.MAILBOXID:
            return mailboxid(mailbox.mailbox_id)


async def _deleted_octets(session: ImapSession, mailbox: Mailbox) -> int:
    """Count what EXPUNGE would free. Spec: RFC 9208 §4.1.4 (DELETED-STORAGE)."""
    if not mailbox.deleted_count:
        return 0
    uids = await session.service.mailboxes.search(session.actor, mailbox.mailbox_id, HasFlag(DELETED))
    records = await session.store.fetch(mailbox.mailbox_id, uids, Wanted.NARROW)
    return sum(record.size_octets for record in records)
