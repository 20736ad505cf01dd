"""ENABLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.commands import Enable
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def enable(session: ImapSession, command: Enable) -> Reply:
    """Enable what is known of the names; the rest is passed over.

    Spec: RFC 9051 §6.3.1; RFC 7162 §3.1 (with a mailbox selected, its modseq is told)
    """
    had_condstore = session.condstore
    session.connection.send(responses.enabled(session.connection.enable(command.capabilities)))
    if session.condstore and not had_condstore and session.selected is not None:
        highest = code.highestmodseq(session.selected.highestmodseq)
        session.connection.send(responses.ok("CONDSTORE is on", highest))
    return Reply(Result.OK, "ENABLE completed")
