r"""FETCH: lists at the speed of joins, bodies at the pace of the client.

The way (docs/journeys/fetch.md): set \Seen in one unit of work, collect records in short reads, read octets in batches,
and hold nothing of the store while the client reads slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from mailstead.model.flags import SEEN, FlagOperation
from mailstead.model.ids import ModSeq
from mailstead.model.message import MessageRecord, Wanted
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.commands import Fetch
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.fetch import Attribute, FetchItem
from mailstead.proto.imap.write import fetch as write
from mailstead.proto.imap.write import responses, values
from mailstead.services.imap.errors import Reply
from mailstead.services.imap.fetch_plan import Ask, Plan, ask_for, marks_seen, plan_of
from mailstead.services.imap.numbers import part_of, wire_uids
from mailstead.usecases.mailboxes import INLINE_OCTETS_MAX
from mailstead.usecases.octets import octet_batches

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession

RECORDS_PER_READ: Final = 1000
"""Messages whose records are collected in one hop; the next hop runs while these are being written."""

FLUSH_OCTETS: Final = 256 * 1024


async def fetch(session: ImapSession, command: Fetch) -> Reply:
    """Answer FETCH and UID FETCH.

    Spec: RFC 9051 §6.4.5; RFC 7162 §3.1.4 (CHANGEDSINCE), §3.2.6 (VANISHED); RFC 9394 §3.4 (PARTIAL)
    """
    selected = session.open_selected()
    items = command.items
    if command.changed_since is not None or Attribute.MODSEQ in items:
        session.enable_condstore()
    uids = selected.view.select(command.messages, by_uid=command.by_uid)
    changed_since = command.changed_since
    if command.vanished and changed_since is not None:
        gone = await session.store.vanished_since(selected.mailbox_id, changed_since)
        asked = wire_uids(command.messages, selected)
        session.connection.send(responses.vanished((gone & asked) - selected.view.uids, is_earlier=True))
    if command.partial is not None:
        if changed_since is not None:
            changed = await session.store.fetch(selected.mailbox_id, uids, Wanted.NARROW, changed_since)
            uids = UidSet.of(record.uid for record in changed)
        uids = UidSet.of(part_of(list(uids), command.partial))
    if marks_seen(items) and not selected.is_read_only:
        items = await _mark_seen(session, uids, items)
    found = await send_messages(session, uids, items, changed_since)
    if changed_since is None and found < len(uids):
        # Spec: RFC 2180 §4.1.3: what others have expunged is passed over
        return Reply(Result.OK, "Some of these messages were expunged meanwhile", b"EXPUNGEISSUED")
    return Reply(Result.OK, "FETCH completed")


async def _mark_seen(session: ImapSession, uids: UidSet, items: tuple[FetchItem, ...]) -> tuple[FetchItem, ...]:
    r"""Set \Seen; if that changed anything, the answers carry FLAGS (and MODSEQ). Spec: RFC 9051 §6.4.5."""
    selected = session.open_selected()
    stored = await session.store.store_flags(selected.mailbox_id, uids, FlagOperation.ADD, (SEEN,))
    changed = [change for change in stored.changed if change.modseq > selected.highestmodseq]
    if not changed:
        return items
    selected.view.known(changed)
    added: tuple[FetchItem, ...] = (Attribute.FLAGS, Attribute.MODSEQ) if session.condstore else (Attribute.FLAGS,)
    return tuple(dict.fromkeys((*added, *items)))


async def send_messages(
    session: ImapSession,
    uids: UidSet,
    items: Sequence[FetchItem],
    changed_since: ModSeq | None = None,
    *,
    in_pieces: bool = True,
) -> int:
    """Send the FETCH responses of these messages; gives how many were there.

    Without `in_pieces` each list leaves as a whole, so that nothing else can fall into the middle of a response.
    """
    view = session.open_selected().view
    plan = plan_of(items)
    count = 0
    async for found in _record_lists(session, uids, plan.wanted, changed_since):
        records = found
        seqnums = view.seqnums([record.uid for record in records])
        if 0 in seqnums:
            pairs = [(seqnum, record) for seqnum, record in zip(seqnums, records, strict=True) if seqnum]
            seqnums = [seqnum for seqnum, _ in pairs]
            records = [record for _, record in pairs]
        count += len(records)
        if plan.octet_items:
            await _send_with_octets(session, plan, seqnums, records, in_pieces=in_pieces)
        else:
            lines = write.fetch_lines(seqnums, plan.columns(records, is_utf8=session.is_utf8))
            await _send_lines(session, lines, in_pieces=in_pieces)
    return count


async def _record_lists(
    session: ImapSession, uids: UidSet, wanted: Wanted, changed_since: ModSeq | None
) -> AsyncIterator[list[MessageRecord]]:
    """Yield records by ascending UID; while one list is being written, the next is read."""
    mailbox_id = session.open_selected().mailbox_id
    numbers = list(uids)
    ends = range(0, len(numbers), RECORDS_PER_READ)
    slices = [(numbers[start], numbers[min(start + RECORDS_PER_READ, len(numbers)) - 1]) for start in ends]
    reads = (
        session.store.fetch(mailbox_id, uids & UidSet((run,)) if len(slices) > 1 else uids, wanted, changed_since)
        for run in slices
    )
    first = next(reads, None)
    coming = asyncio.ensure_future(first) if first is not None else None
    try:
        while coming is not None:
            records = await coming
            following = next(reads, None)
            coming = asyncio.ensure_future(following) if following is not None else None
            yield records
    finally:
        if coming is not None:
            coming.cancel()


async def _send_lines(session: ImapSession, lines: list[bytes], *, in_pieces: bool) -> None:
    """Send whole lines in large pieces."""
    connection, line = session.connection, session.line
    octets = values.without_nul(b"".join(lines))
    if len(octets) <= FLUSH_OCTETS or not in_pieces:
        connection.send(octets)
        await line.drain()
        return
    for start in range(0, len(octets), FLUSH_OCTETS):
        connection.send(octets[start : start + FLUSH_OCTETS])
        await line.drain()


async def _send_with_octets(
    session: ImapSession, plan: Plan, seqnums: Sequence[int], records: Sequence[MessageRecord], *, in_pieces: bool
) -> None:
    """Send messages with items that need their octets, in the order of the list."""
    heads = write.fetch_heads(seqnums, plan.columns(records, is_utf8=session.is_utf8))
    asks, leads, tail = _asks(plan, [values.without_nul(head) for head in heads], records)
    connection, line = session.connection, session.line
    out: list[bytes] = []
    octets_out = 0
    gathered: list[bytes] = []
    async for batch in octet_batches(session.store, [ask.octet_range for ask in asks]):
        for index, octets, is_first, is_last in batch:
            ask = asks[index]
            if is_first:
                out.append(leads[index])
            if octets is None:
                if not is_first and ask.transform is None:
                    # In the middle of a literal there is nothing else that could be said
                    line.abort()
                    raise ConnectionAbortedError("message octets vanished while they were sent")
                if is_first or is_last:
                    out.append(ask.label + b" NIL")
                gathered.clear()
            elif ask.transform is None:
                if is_first:
                    octet_range = ask.octet_range
                    size_octets = octet_range.stop - octet_range.start
                    out.append(write.literal_head(ask.label, size_octets, is_literal8=ask.is_literal8))
                out.append(octets if ask.is_literal8 else values.without_nul(octets))
                octets_out += len(octets)
            else:
                gathered.append(octets)
                if is_last:
                    value = await _transformed(ask, b"".join(gathered))
                    gathered.clear()
                    out.append(value)
                    octets_out += len(value)
            if octets_out >= FLUSH_OCTETS and in_pieces:
                connection.send(b"".join(out))
                out.clear()
                octets_out = 0
                await line.drain()
    out.append(tail)
    connection.send(b"".join(out))
    await line.drain()


async def _transformed(ask: Ask, octets: bytes) -> bytes:
    assert ask.transform is not None
    if len(octets) <= INLINE_OCTETS_MAX:
        return ask.transform(octets)
    return await asyncio.to_thread(ask.transform, octets)


def _asks(plan: Plan, heads: Sequence[bytes], records: Sequence[MessageRecord]) -> tuple[list[Ask], list[bytes], bytes]:
    """Give the octets to read, what is to be sent ahead of each, and what is to be sent at the end."""
    asks: list[Ask] = []
    leads: list[bytes] = []
    lead = b""
    last = len(plan.octet_items) - 1
    for head, record in zip(heads, records, strict=True):
        lead += head
        for position, item in enumerate(plan.octet_items):
            ask = ask_for(item, record)
            if isinstance(ask, Ask):
                asks.append(ask)
                leads.append(lead)
                lead = b""
            else:
                lead += ask
            if position != last:
                lead += b" "
        lead += write.FETCH_TAIL
    return asks, leads, lead
