"""SELECT and EXAMINE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.model.flags import SYSTEM_FLAGS
from mailstead.model.message import FlagChange, Wanted
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.commands import QresyncKnown, Select
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, fetch, responses
from mailstead.services.imap.commands.names import existing, mailboxid
from mailstead.services.imap.errors import Refused, Reply
from mailstead.services.imap.numbers import wire_uids
from mailstead.services.imap.selected import Selected

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def select(session: ImapSession, command: Select) -> Reply:
    """Open a mailbox. Whatever was open before is closed, even if this fails.

    Spec: RFC 9051 §6.3.2, §6.3.3; RFC 7162 §3.1.8 (CONDSTORE), §3.2.5 (QRESYNC); RFC 8474 §4.2 (MAILBOXID)
    """
    connection = session.connection
    if command.qresync is not None and not session.qresync:
        raise Refused("QRESYNC must be enabled first", b"CLIENTBUG", Result.BAD)
    if session.selected is not None:
        session.close_selected()
        connection.unselect()
        # Spec: RFC 9051 §7.1 (CLOSED): what follows is about the new mailbox
        connection.send(responses.ok("The previous mailbox is closed", b"CLOSED"))
    session.is_stale = False
    snapshot = await session.store.snapshot(existing(command.mailbox))
    selected = Selected(snapshot, is_read_only=command.is_examine)
    session.selected = selected
    connection.select()
    if command.condstore:
        connection.enable(("CONDSTORE",))
    mailbox = snapshot.mailbox
    flags = (*SYSTEM_FLAGS, *selected.keywords)
    lines = [responses.flags(flags)]
    if command.is_examine:
        lines.append(responses.ok("Nothing can be changed", code.permanentflags(())))
    else:
        lines.append(responses.ok("New keywords can be made", code.permanentflags((*flags, "\\*"))))
    lines.append(responses.exists(selected.view.message_count))
    if not session.rev2:
        lines.append(responses.recent())
        first_unseen = snapshot.first_unseen_uid
        seqnum = None if first_unseen is None else selected.view.seqnum(first_unseen)
        if seqnum is not None:
            lines.append(responses.ok("First unseen", code.unseen(seqnum)))
    lines += (
        responses.ok("UIDs valid", code.uidvalidity(mailbox.uidvalidity)),
        responses.ok("Predicted next UID", code.uidnext(mailbox.uidnext)),
        responses.ok("Highest", code.highestmodseq(mailbox.highestmodseq)),
        responses.ok("Object id", code.mailboxid(mailboxid(mailbox.mailbox_id))),
    )
    if session.rev2:
        lines.append(responses.list_line(mailbox.name, (), is_utf8=session.is_utf8))
    connection.send(b"".join(lines))
    if command.qresync is not None and command.qresync.uidvalidity == mailbox.uidvalidity:
        await _resynchronise(session, selected, command.qresync)
    if command.is_examine:
        return Reply(Result.OK, "EXAMINE completed", b"READ-ONLY")
    return Reply(Result.OK, "SELECT completed", b"READ-WRITE")


async def _resynchronise(session: ImapSession, selected: Selected, known: QresyncKnown) -> None:
    """Tell what has vanished and changed since the client was here last.

    Our expunge log is complete, so the sequence match data, which helps servers that have forgotten, is not needed.

    Spec: RFC 7162 §3.2.5, §3.2.5.1
    """
    if known.modseq >= selected.highestmodseq:
        return
    uids = selected.view.uids
    of_interest = (
        wire_uids(known.known_uids, selected) if known.known_uids is not None else UidSet(((1, selected.uidnext),))
    )
    vanished = await session.store.vanished_since(selected.mailbox_id, known.modseq)
    session.connection.send(responses.vanished((vanished & of_interest) - uids, is_earlier=True))
    records = await session.store.fetch(selected.mailbox_id, uids & of_interest, Wanted.NARROW, known.modseq)
    changes = [FlagChange(record.uid, record.flags, record.modseq) for record in records]
    seqnums = selected.view.seqnums([change.uid for change in changes])
    session.connection.send(fetch.flag_lines(seqnums, changes, with_uid=True, with_modseq=True))
