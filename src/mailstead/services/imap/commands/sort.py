"""SORT and THREAD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.mime.threading import written_threads
from mailstead.model.ids import Uid
from mailstead.proto.imap.types.commands import Sort, Thread
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.search import ThreadAlgorithm
from mailstead.proto.imap.write import responses
from mailstead.services.imap.commands.search import find, highest_modseq, shown, tell_extended
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def sort(session: ImapSession, command: Sort) -> Reply:
    """Find messages and put them in order. Spec: RFC 5256 §3; RFC 5957; RFC 5267 §3 (RETURN); RFC 7162 §3.1.6."""
    if command.has_modseq:
        session.enable_condstore()
    uids = await find(session, command.key)
    mailboxes, mailbox_id = session.service.mailboxes, session.open_selected().mailbox_id
    found = await mailboxes.sort(session.actor, mailbox_id, uids, command.criteria)
    if command.returns is not None:
        await tell_extended(session, command, found, command.returns)
    else:
        modseq = await highest_modseq(session, found) if command.has_modseq else None
        session.connection.send(responses.sort(shown(session, found, by_uid=command.by_uid), modseq))
    return Reply(Result.OK, "SORT completed")


async def thread(session: ImapSession, command: Thread) -> Reply:
    """Find messages and group them into threads. Spec: RFC 5256 §3, §4."""
    uids = await find(session, command.key)
    by_references = command.algorithm is ThreadAlgorithm.REFERENCES
    selected = session.open_selected()
    threads = await session.service.mailboxes.thread(
        session.actor, selected.mailbox_id, uids, by_references=by_references
    )
    if command.by_uid:
        written = written_threads(threads, int)
    else:
        numbers: dict[Uid, int] = dict(zip(uids, selected.view.seqnums(uids), strict=True))
        written = written_threads(threads, numbers.__getitem__)
    session.connection.send(responses.thread(written))
    return Reply(Result.OK, "THREAD completed")
