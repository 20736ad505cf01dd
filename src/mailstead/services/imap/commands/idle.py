"""IDLE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def idle(session: ImapSession, command: object) -> None:
    """Tell what has changed, then let changes be told as they happen. Spec: RFC 9051 §6.3.13."""
    del command
    if session.selected is not None:
        await session.tell_changes(may_expunge=True)
    session.connection.begin_idle()
    session.is_working = False
    session.begin_watching().begin_idle()


async def done(session: ImapSession, command: object) -> Reply:
    """End IDLE. Spec: RFC 9051 §6.3.13."""
    del command
    session.begin_watching().end_idle()
    return Reply(Result.OK, "IDLE completed")
