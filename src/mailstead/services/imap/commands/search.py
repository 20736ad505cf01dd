"""SEARCH."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mailstead.model import search as keys
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import ModSeq, Uid
from mailstead.model.message import Wanted
from mailstead.model.uidset import NO_UIDS, UidSet
from mailstead.proto.imap.search_model import to_model
from mailstead.proto.imap.types.commands import Search, Sort
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.search import ReturnOptions, WireKey
from mailstead.proto.imap.write import responses
from mailstead.services.imap.errors import Reply
from mailstead.services.imap.numbers import part_of

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


async def search(session: ImapSession, command: Search) -> Reply:
    """Find messages.

    Spec: RFC 9051 §6.4.4; RFC 7162 §3.1.5 (MODSEQ); RFC 5182 (SAVE); RFC 9394 (PARTIAL)
    """
    if command.has_modseq:
        session.enable_condstore()
    returns = command.returns
    if returns is None and session.rev2:
        returns = ReturnOptions(all=True)
    view = session.open_selected().view
    try:
        uids = await find(session, command.key)
    except MailsteadError:
        if returns is not None and returns.save:
            view.saved = NO_UIDS  # Spec: RFC 5182 §2.1: a failed SAVE leaves nothing
        raise
    found = list(uids)
    if returns is not None:
        await tell_extended(session, command, found, returns)
        return Reply(Result.OK, "SEARCH completed")
    modseq = await highest_modseq(session, found) if command.has_modseq else None
    session.connection.send(responses.search(shown(session, found, by_uid=command.by_uid), modseq))
    return Reply(Result.OK, "SEARCH completed")


async def find(session: ImapSession, key: WireKey) -> UidSet:
    """Give the messages of the view that match. Spec: RFC 9585 (INPROGRESS)."""
    selected = session.open_selected()
    now_s = int(session.service.mailboxes.clock.now().timestamp())
    model_key = to_model(key, selected.view.select, now_s)
    if isinstance(model_key, keys.Everything):
        return selected.view.uids
    session.begin_progress()
    mailboxes = session.service.mailboxes
    uids = await mailboxes.search(session.actor, selected.mailbox_id, model_key, session.progress)
    return uids & selected.view.uids


async def tell_extended(
    session: ImapSession, command: Search | Sort, found: Sequence[Uid], returns: ReturnOptions
) -> None:
    """Tell what RETURN asks for, of messages in the order of the result.

    Spec: RFC 9051 §7.3.4; RFC 5267 §3; RFC 5182 §2.4 (what SAVE keeps); RFC 7162 §3.1.10 (MODSEQ of what is told)
    """
    shown_part = part_of(found, returns.partial) if returns.partial is not None else ()
    ends: list[Uid] = []
    if found and returns.min:
        ends.append(found[0])
    if found and returns.max:
        ends.append(found[-1])
    is_only_ends = bool(returns.min or returns.max) and not (returns.all or returns.count or returns.partial)
    if returns.save:
        saved: Iterable[int] = found
        if is_only_ends:
            saved = ends
        elif returns.partial is not None and not (returns.all or returns.count):
            saved = shown_part
        session.open_selected().view.saved = UidSet.of(saved)
    if not (returns.min or returns.max or returns.all or returns.count or returns.partial):
        return  # SAVE alone is not answered
    modseq = None
    if command.has_modseq and found:
        modseq = await highest_modseq(session, ends if is_only_ends else found)
    by_uid = command.by_uid
    partial = None
    if returns.partial is not None:
        partial = (returns.partial, shown(session, [Uid(uid) for uid in shown_part], by_uid=by_uid))
    numbers = shown(session, found, by_uid=by_uid) if returns.all or ends else []
    line = responses.esearch(
        session.tag,
        by_uid=by_uid,
        min_=numbers[0] if found and returns.min else None,
        max_=numbers[-1] if found and returns.max else None,
        count=len(found) if returns.count else None,
        all_=numbers if returns.all else None,
        partial=partial,
        modseq=modseq,
    )
    session.connection.send(line)


def shown(session: ImapSession, uids: Sequence[Uid], *, by_uid: bool) -> Sequence[int]:
    """Give the numbers that the client uses for messages."""
    if by_uid:
        return uids
    return session.open_selected().view.seqnums(uids)


async def highest_modseq(session: ImapSession, uids: Sequence[Uid]) -> ModSeq | None:
    """Give the highest modseq of some messages; None for none. Spec: RFC 7162 §3.1.5."""
    mailbox_id = session.open_selected().mailbox_id
    records = await session.store.fetch(mailbox_id, UidSet.of(uids), Wanted.NARROW)
    return max((record.modseq for record in records), default=None)
