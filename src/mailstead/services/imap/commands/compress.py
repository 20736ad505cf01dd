"""COMPRESS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def compress(session: ImapSession, command: object) -> None:
    """Answer uncompressed; the driver then compresses both ways.

    Spec: RFC 4978 §3; attack row 49 (the wire allows it after log-in only, and bounds what comes out by its limits)
    """
    del command
    session.finish(Reply(Result.OK, "DEFLATE is on"))
    session.line.start_deflate()
    session.connection.compression_started()
