"""EXPUNGE and UID EXPUNGE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.commands import Expunge
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def expunge(session: ImapSession, command: Expunge) -> Reply:
    r"""Remove what is \Deleted (of the UIDs given), and tell it.

    Spec: RFC 9051 §6.4.3, §6.4.9; RFC 7162 §3.2.7 (HIGHESTMODSEQ in the reply)
    """
    selected = session.writable()
    uids = None if command.uids is None else selected.view.select(command.uids, by_uid=True)
    removed = await session.store.expunge(selected.mailbox_id, uids)
    await session.tell_changes(may_expunge=True)
    if removed and session.condstore:
        return Reply(Result.OK, "EXPUNGE completed", code.highestmodseq(selected.highestmodseq))
    return Reply(Result.OK, "EXPUNGE completed")
