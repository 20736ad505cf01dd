"""NOTIFY: which changes the client wants to hear of without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.model.errors import BadMailboxName
from mailstead.model.mailbox import normal_name
from mailstead.proto.imap.types.commands import Notify, NotifyGroup
from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Refused, Reply
from mailstead.services.imap.notifying import MAILBOXES_MAX, Notifying

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def notify(session: ImapSession, command: Notify) -> Reply:
    """Set what is to be told, or with NONE nothing any more.

    Spec: RFC 5465 §3 (SET, NONE, STATUS), §5.8 (NOTIFICATIONOVERFLOW); the wire knows which events there are (BADEVENT)
    """
    if not command.groups:
        if session.watching is not None:
            session.watching.set_notifying(None)
        return Reply(Result.OK, "You will not be told anything")
    notifying = Notifying([_with_normal_names(group) for group in command.groups])
    mailboxes = await session.store.mailboxes()
    if len(mailboxes) > MAILBOXES_MAX and notifying.groups:
        raise Refused("There are too many mailboxes to watch", b"NOTIFICATIONOVERFLOW")
    notifying.begin(mailboxes)
    if notifying.wants_annotations:
        notifying.begin_annotations(await session.store.annotation_marks())
    if command.with_status:
        session.connection.send(notifying.all_status(session, mailboxes))
    session.begin_watching().set_notifying(notifying)
    return Reply(Result.OK, "NOTIFY completed")


def _with_normal_names(group: NotifyGroup) -> NotifyGroup:
    names: list[str] = []
    for name in group.names:
        try:
            names.append(normal_name(name))
        except BadMailboxName:
            continue  # nothing will ever happen in a mailbox that cannot be
    return NotifyGroup(group.scope, tuple(names), group.events, group.new_message_items)
