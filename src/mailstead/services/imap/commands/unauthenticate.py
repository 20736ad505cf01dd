"""UNAUTHENTICATE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def unauthenticate(session: ImapSession, command: object) -> Reply:
    """Become nobody again: mailbox closed, watches ended, nothing enabled; TLS stays.

    Once compression is on, the wire's table lets nobody come this far.

    Spec: RFC 8437 §2
    """
    del command
    session.log_out()
    session.connection.log_out()
    return Reply(Result.OK, "You are nobody again")
