"""CLOSE and UNSELECT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def close(session: ImapSession, command: object) -> Reply:
    r"""Expunge what is \Deleted, without saying so, and leave the mailbox. Spec: RFC 9051 §6.4.1."""
    selected = session.open_selected()
    if not selected.is_read_only:
        await session.store.expunge(selected.mailbox_id, None)
    await unselect(session, command)
    return Reply(Result.OK, "CLOSE completed")


async def unselect(session: ImapSession, command: object) -> Reply:
    """Leave the mailbox as it is. Spec: RFC 9051 §6.4.2."""
    del command
    session.close_selected()
    session.connection.unselect()
    return Reply(Result.OK, "UNSELECT completed")
