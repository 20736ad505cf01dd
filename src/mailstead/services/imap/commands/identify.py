"""ID: who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailstead.proto.imap.types.commands import Id
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import responses
from mailstead.services.imap.errors import Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def identify(session: ImapSession, command: Id) -> Reply:
    """Say our name; the version is nobody's business before log-in, and of no use after it.

    Spec: RFC 2971 §3.1, §4 (no decisions are made by what the client says)
    """
    del command
    session.connection.send(responses.id_line({"name": "Mailstead"}))
    return Reply(Result.OK, "ID completed")
