"""STARTTLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.events import Result
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def starttls(session: ImapSession, command: object) -> None:
    """Answer in clear text; the driver then puts TLS in between and drops what was pipelined.

    Spec: RFC 9051 §6.2.1; attack row 3
    """
    del command
    session.finish(Reply(Result.OK, "Begin TLS now"))
    session.line.start_tls()
    session.connection.tls_started()
