"""GETMETADATA and SETMETADATA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailstead.model.errors import LimitReached, NotAllowed
from mailstead.proto.imap.types.commands import GetMetadata, SetMetadata
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.commands.names import existing
from mailstead.services.imap.errors import Refused, Reply

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

VALUE_OCTETS_MAX: Final = 64 * 1024
_PRIVATE: Final = "/private/"
_SHARED: Final = "/shared/"


async def get_metadata(session: ImapSession, command: GetMetadata) -> Reply:
    """Tell annotations of a mailbox or of the server; what is not there is NIL.

    Spec: RFC 5464 §4.2 (MAXSIZE, DEPTH, LONGENTRIES)
    """
    name = _name(command.mailbox)
    stored = await session.store.annotations(name)
    found: dict[str, bytes | None] = {}
    for asked in command.entries:
        entry = asked.lower().rstrip("/")
        if entry in stored or command.depth == 0:
            found[entry] = stored.get(entry)
        if command.depth != 0:
            found.update((other, value) for other, value in stored.items() if _is_below(other, entry, command.depth))
    longest = 0
    if command.max_size_octets is not None:
        too_long = {entry for entry, value in found.items() if value and len(value) > command.max_size_octets}
        longest = max((len(found[entry] or b"") for entry in too_long), default=0)
        found = {entry: value for entry, value in found.items() if entry not in too_long}
    if found:
        session.connection.send(responses.metadata(name, found.items(), is_utf8=session.is_utf8))
    if longest:
        return Reply(Result.OK, "Some entries were too long", code.metadata_longentries(longest))
    return Reply(Result.OK, "GETMETADATA completed")


async def set_metadata(session: ImapSession, command: SetMetadata) -> Reply:
    """Set or remove annotations, all or none. The server's own shared ones are the administrator's.

    Spec: RFC 5464 §4.3 (MAXSIZE, TOOMANY, NOPRIVATE)
    """
    entries: dict[str, bytes | None] = {}
    for asked, value in command.entries:
        entry = asked.lower().rstrip("/")
        if not entry.startswith((_PRIVATE, _SHARED)) or "//" in entry or "*" in entry or "%" in entry:
            raise Refused("An entry is named /private/… or /shared/…", b"CLIENTBUG", Result.BAD)
        if value is not None and len(value) > VALUE_OCTETS_MAX:
            raise Refused("That annotation is too long", code.metadata_maxsize(VALUE_OCTETS_MAX))
        entries[entry] = value
    if command.mailbox is None and any(entry.startswith(_SHARED) for entry in entries):
        raise NotAllowed
    try:
        await session.store.set_annotations(_name(command.mailbox), entries)
    except LimitReached as error:
        raise Refused(error.public_text, b"METADATA TOOMANY") from None
    return Reply(Result.OK, "SETMETADATA completed")


def _name(mailbox: str | None) -> str | None:
    return None if mailbox is None else existing(mailbox)


def _is_below(other: str, entry: str, depth: int | None) -> bool:
    """Whether an entry lies below another, at most so deep (None: however deep). Spec: RFC 5464 §4.2.2."""
    if not other.startswith(entry + "/"):
        return False
    return depth is None or other.count("/", len(entry)) <= depth
