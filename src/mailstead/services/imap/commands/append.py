"""APPEND, MULTIAPPEND and REPLACE: messages that arrive as literals.

Whatever can refuse is asked before the literal is let in: size, quota, target mailbox, memory (attack row 50).

Spec: RFC 9051 §6.3.12; RFC 3502 (MULTIAPPEND); RFC 7889 (APPENDLIMIT); RFC 8508 (REPLACE); RFC 6855 §4 (UTF8)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mailstead.model.errors import MessageTooLarge, NoSuchMailbox, OverQuota
from mailstead.model.flags import flag_set
from mailstead.model.ids import Uid
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.commands import Append, AppendMessage, Replace
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.sequence import SequenceSet
from mailstead.proto.imap.write import code, responses
from mailstead.services.imap.commands.names import existing
from mailstead.services.imap.errors import Refused, Reply
from mailstead.telemetry import metrics
from mailstead.usecases.mailboxes import Draft

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

MESSAGES_MAX: Final = 1000
"""In one APPEND."""

TOGETHER_FACTOR: Final = 2
"""The messages of one APPEND may together have so many times the octets of the largest single one."""


class Incoming:
    """The messages of one APPEND or REPLACE, as far as they are here."""

    __slots__ = ("drafts", "message", "name", "octets", "replaces", "staged_octets")

    def __init__(self, name: str, replaces: Uid | None) -> None:
        self.name = name
        self.replaces = replaces
        self.drafts: list[Draft] = []
        self.message: AppendMessage | None = None
        self.octets = bytearray()
        self.staged_octets = 0

    def end_message(self) -> None:
        """The literal is complete."""
        if self.message is not None:
            self.drafts.append(Draft(self.octets, flag_set(self.message.flags), self.message.internaldate))
            self.message, self.octets = None, bytearray()


async def begin(session: ImapSession, command: Append | Replace, message: AppendMessage) -> None:
    """Decide about the first message. Spec: RFC 9051 §6.3.12 (TRYCREATE), RFC 8508 §3.3.

    Errors: NoSuchMailbox, OverQuota, MessageTooLarge, TryAgainLater; BadSequence for REPLACE.
    """
    replaces = None
    if isinstance(command, Replace):
        selected = session.writable()
        numbers = SequenceSet(((command.number, command.number),))
        uids = list(selected.view.select(numbers, by_uid=command.by_uid))
        if not uids:
            raise Refused("There is no such message", b"EXPUNGEISSUED")
        replaces = uids[0]
    name = existing(command.mailbox)
    mailbox = await session.store.mailbox(name)
    if not mailbox.is_selectable:
        raise NoSuchMailbox
    session.incoming = Incoming(name, replaces)
    await go_on(session, message)


async def go_on(session: ImapSession, message: AppendMessage) -> None:
    """Decide about a further message of the same APPEND. Spec: RFC 3502 §6.3.11.

    Errors: OverQuota, MessageTooLarge, TryAgainLater.
    """
    incoming = session.incoming
    assert incoming is not None
    incoming.end_message()
    if not message.size_octets:
        # Spec: RFC 3502 §6.3.11: an empty message cancels the whole command
        raise Refused("An empty message cancels the command")
    octets_max = session.service.limits.append_octets_max
    together_octets = incoming.staged_octets + message.size_octets
    if message.size_octets > octets_max or together_octets > octets_max * TOGETHER_FACTOR:
        raise MessageTooLarge
    if len(incoming.drafts) >= MESSAGES_MAX:
        raise Refused(f"One APPEND takes at most {MESSAGES_MAX} messages", b"LIMIT")
    usage = await session.store.usage()
    if usage.quota_octets is not None and usage.size_octets + together_octets > usage.quota_octets:
        raise OverQuota
    session.service.mailboxes.staging.take(message.size_octets)
    incoming.staged_octets = together_octets
    incoming.message = message


def take_chunk(session: ImapSession, data: bytes | bytearray) -> None:
    """Take octets of the message that was let in."""
    assert session.incoming is not None
    session.incoming.octets += data


def drop(session: ImapSession) -> None:
    """Forget what has arrived: the command is over, one way or the other."""
    if session.incoming is not None:
        session.service.mailboxes.staging.give_back(session.incoming.staged_octets)
        session.incoming = None


async def end(session: ImapSession, command: object) -> Reply:
    """All is here: store it. Spec: RFC 9051 §6.3.12 (APPENDUID), RFC 8508 §3.4.

    Errors: NoSuchMailbox, OverQuota, LimitReached, NoSuchMessage.
    """
    del command
    incoming = session.incoming
    assert incoming is not None
    incoming.end_message()
    mailboxes = session.service.mailboxes
    try:
        if incoming.replaces is not None:
            return await _replace(session, incoming, incoming.replaces)
        appended = await mailboxes.append(session.actor, incoming.name, incoming.drafts)
        session.is_stale = True
        metrics.DELIVERED.labels("imap").inc(len(appended))
        uids = UidSet.of(one.uid for one in appended)
        return Reply(Result.OK, "APPEND completed", code.appenduid(appended[0].uidvalidity, uids))
    finally:
        drop(session)


async def _replace(session: ImapSession, incoming: Incoming, uid: Uid) -> Reply:
    """Append and expunge in one unit: APPENDUID first, then the EXPUNGE, then the reply. Spec: RFC 8508 §3.4."""
    selected = session.open_selected()
    appended = await session.service.mailboxes.replace(
        session.actor, selected.mailbox_id, uid, incoming.name, incoming.drafts[0]
    )
    metrics.DELIVERED.labels("imap").inc()
    appenduid = code.appenduid(appended.uidvalidity, UidSet(((appended.uid, appended.uid),)))
    session.connection.send(responses.ok("Replacement is stored", appenduid))
    await session.tell_changes(may_expunge=True)
    if session.condstore:
        return Reply(Result.OK, "REPLACE completed", code.highestmodseq(selected.highestmodseq))
    return Reply(Result.OK, "REPLACE completed")
