"""COPY and MOVE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.commands import Copy, Move
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.commands.names import existing
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def copy(session: ImapSession, command: Copy) -> Reply:
    """Copy all or none. Spec: RFC 9051 §6.4.7; RFC 4315 §3 (COPYUID); RFC 9585 (INPROGRESS)."""
    selected = session.open_selected()
    uids = selected.view.select(command.messages, by_uid=command.by_uid)
    session.begin_progress()
    copied = await session.store.copy(selected.mailbox_id, uids, existing(command.mailbox))
    session.is_stale = True
    if not copied.source_uids:
        return Reply(Result.OK, "There was nothing to copy")
    return Reply(Result.OK, "COPY completed", code.copyuid(copied.uidvalidity, copied.source_uids, copied.target_uids))


async def move(session: ImapSession, command: Move) -> Reply:
    """Move in one unit of work: COPYUID first, then the EXPUNGEs, then the reply.

    Spec: RFC 9051 §6.4.8 (RFC 6851 §3.3, §4.3); RFC 7162 §3.2.9 (HIGHESTMODSEQ)
    """
    selected = session.writable()
    uids = selected.view.select(command.messages, by_uid=command.by_uid)
    session.begin_progress()
    moved = await session.store.move(selected.mailbox_id, uids, existing(command.mailbox))
    if not moved.source_uids:
        return Reply(Result.OK, "There was nothing to move")
    copyuid = code.copyuid(moved.uidvalidity, moved.source_uids, moved.target_uids)
    session.connection.send(responses.ok("Moved", copyuid))
    await session.tell_changes(may_expunge=True)
    if session.condstore:
        return Reply(Result.OK, "MOVE completed", code.highestmodseq(selected.highestmodseq))
    return Reply(Result.OK, "MOVE completed")
