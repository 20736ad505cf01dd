"""NOOP and CHECK: nothing to do; the session tells changes after every command, and looks for them after these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def noop(session: ImapSession, command: object) -> Reply:
    """Answer NOOP. Spec: RFC 9051 §6.1.2."""
    del session, command
    return Reply(Result.OK, "NOOP completed")


async def check(session: ImapSession, command: object) -> Reply:
    """Answer CHECK: everything acknowledged is on stable storage already. Spec: RFC 3501 §6.4.1."""
    del session, command
    return Reply(Result.OK, "CHECK completed")
