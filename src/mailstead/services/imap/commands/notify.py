"""NOTIFY: which changes the client wants to hear of without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailstead.model.errors import BadMailboxName
from mailstead.model.mailbox import normal_name
from mailstead.proto.imap.types.commands import Notify, NotifyEvent, NotifyGroup, NotifyMailboxes
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code
from mailstead.services.imap.errors import Refused, Reply
from mailstead.services.imap.notifying import MAILBOXES_MAX, Notifying

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

OFFERED: Final = (
    NotifyEvent.MESSAGE_NEW,
    NotifyEvent.MESSAGE_EXPUNGE,
    NotifyEvent.FLAG_CHANGE,
    NotifyEvent.MAILBOX_NAME,
    NotifyEvent.SUBSCRIPTION_CHANGE,
)
SELECTED: Final = (NotifyMailboxes.SELECTED, NotifyMailboxes.SELECTED_DELAYED)
_MESSAGE_EVENTS: Final = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE})


async def notify(session: ImapSession, command: Notify) -> Reply:
    """Set what is to be told, or with NONE nothing any more.

    Spec: RFC 5465 §3 (SET, NONE, STATUS), §5 (BADEVENT), §5.8 (NOTIFICATIONOVERFLOW)
    """
    if not command.groups:
        if session.watching is not None:
            session.watching.set_notifying(None)
        return Reply(Result.OK, "You will not be told anything")
    groups = [_checked(group) for group in command.groups]
    notifying = Notifying(groups)
    mailboxes = await session.store.mailboxes()
    if len(mailboxes) > MAILBOXES_MAX and any(group.scope not in SELECTED for group in groups):
        raise Refused("There are too many mailboxes to watch", b"NOTIFICATIONOVERFLOW")
    notifying.begin(mailboxes)
    if command.with_status:
        session.connection.send(notifying.all_status(session, mailboxes))
    session.begin_watching().set_notifying(notifying)
    return Reply(Result.OK, "NOTIFY completed")


def _checked(group: NotifyGroup) -> NotifyGroup:
    """Refuse what we do not offer, and combinations that the RFC forbids. Spec: RFC 5465 §5.1–5.3."""
    if not group.events <= set(OFFERED):
        raise Refused("Some of these events are not offered", code.badevent([event.value for event in OFFERED]))
    messages = group.events & _MESSAGE_EVENTS
    if messages and messages != _MESSAGE_EVENTS:
        raise Refused("MessageNew and MessageExpunge go together", b"CLIENTBUG", Result.BAD)
    if NotifyEvent.FLAG_CHANGE in group.events and not messages:
        raise Refused("FlagChange needs MessageNew and MessageExpunge", b"CLIENTBUG", Result.BAD)
    names: list[str] = []
    for name in group.names:
        try:
            names.append(normal_name(name))
        except BadMailboxName:
            continue  # nothing will ever happen in a mailbox that cannot be
    return NotifyGroup(group.scope, tuple(names), group.events, group.new_message_items)
