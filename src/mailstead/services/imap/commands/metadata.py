"""GETMETADATA and SETMETADATA. Accounts of chatmail domains find more: what the server tells, and tokens for push.

Spec: reference chatmail, section 6.4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mailstead.model.errors import LimitReached, NotAllowed
from mailstead.proto.imap.types.commands import GetMetadata, SetMetadata
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.commands.names import existing
from mailstead.services.imap.errors import Refused, Reply
from mailstead.usecases.push_tokens import check_token

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

VALUE_OCTETS_MAX: Final = 64 * 1024
DEVICE_TOKEN: Final = "/private/devicetoken"  # noqa: S105  # the name of an entry
"""The same on every mailbox: setting adds to a set, getting gives all."""
_SERVER: Final = "/shared/vendor/deltachat/"
APP_VERSIONS: Final = f"{_SERVER}appversions"
_LITERALS: Final = frozenset({DEVICE_TOKEN, APP_VERSIONS})
_PRIVATE: Final = "/private/"
_SHARED: Final = "/shared/"


async def get_metadata(session: ImapSession, command: GetMetadata) -> Reply:
    """Tell annotations of a mailbox or of the server; what is not there is NIL.

    Spec: RFC 5464 §4.2 (MAXSIZE, DEPTH, LONGENTRIES)
    """
    name = _name(command.mailbox)
    stored = {**await session.store.annotations(name), **await _told(session, name, command.entries)}
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
        literals = _LITERALS if session.is_chatmail else ()
        session.connection.send(
            responses.metadata(name, found.items(), is_utf8=session.is_utf8, literals=literals),
        )
    if longest:
        return Reply(Result.OK, "Some entries were too long", code.metadata_longentries(longest))
    return Reply(Result.OK, "Getmetadata completed")


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
    tokens = session.service.push_tokens if session.is_chatmail else None
    token = None
    if tokens is not None and DEVICE_TOKEN in entries:
        if command.mailbox is None:
            raise Refused("A device token is set on a mailbox", b"CANNOT")
        token = entries.pop(DEVICE_TOKEN)  # NIL removes nothing: other devices have theirs there, too
        if token is not None:
            check_token(token)
    try:
        # without entries it still says whether there is such a mailbox
        await session.store.set_annotations(_name(command.mailbox), entries)
    except LimitReached as error:
        raise Refused(error.public_text, b"METADATA TOOMANY") from None
    if tokens is not None and token is not None:
        assert session.actor.account_id is not None
        await tokens.add(session.actor.account_id, token)
    return Reply(Result.OK, "Setmetadata completed")


async def _told(session: ImapSession, name: str | None, asked: Sequence[str]) -> dict[str, bytes]:
    """Give what is not stored as an annotation but found among them all the same."""
    announcements, tokens = session.service.announcements, session.service.push_tokens
    if not session.is_chatmail or announcements is None:
        return {}
    if name is not None:
        if tokens is None or DEVICE_TOKEN not in {entry.lower() for entry in asked}:
            return {}
        assert session.actor.account_id is not None
        return {DEVICE_TOKEN: b" ".join(await tokens.valid(session.actor.account_id))}
    announced = await announcements.announced(session.actor)
    if announced is None:
        return {}
    told = {
        "/shared/admin": announced.admin,
        f"{_SERVER}irohrelay": announced.iroh_relay,
        f"{_SERVER}turn": announced.turn,
        f"{_SERVER}maxsmtprecipients": str(announced.recipients_max),
        APP_VERSIONS: announced.app_versions,
    }
    return {entry: value.encode() for entry, value in told.items() if value}


def _name(mailbox: str | None) -> str | None:
    return None if mailbox is None else existing(mailbox)


def _is_below(other: str, entry: str, depth: int | None) -> bool:
    """Whether an entry lies below another, at most so deep (None: however deep). Spec: RFC 5464 §4.2.2."""
    if not other.startswith(entry + "/"):
        return False
    return depth is None or other.count("/", len(entry)) <= depth
