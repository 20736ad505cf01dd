"""Message octets for a reader that may be slow: bounded batches, one read ahead, nothing of the store held between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, NamedTuple

from mailstead.model.errors import NoSuchMessage
from mailstead.model.message import OctetRange
from mailstead.ports.storage import AccountStore

BATCH_OCTETS: Final = 2 * 1024 * 1024
"""One hop to a reader thread brings about so much: the hop is cheap then, and many clients can be served."""

BATCH_RANGES: Final = 2000


class Piece(NamedTuple):
    """Some octets of one of the ranges asked for."""

    number: int
    """Which range."""
    octets: bytes | None
    """None: the message was expunged meanwhile, and nothing more of this range will come."""
    is_first: bool
    is_last: bool


async def octet_batches(
    store: AccountStore, ranges: Sequence[OctetRange], batch_octets: int = BATCH_OCTETS
) -> AsyncIterator[list[Piece]]:
    """Yield all ranges in order, cut and grouped into batches; the next batch is read while one is being used.

    Shapes: every range comes as one or more pieces, also an empty one.
    Effects: holds at most two batches of octets, and no snapshot of the store.
    """
    batches = _batches(ranges, batch_octets)
    batch = next(batches, None)
    coming = asyncio.ensure_future(_read(store, batch)) if batch is not None else None
    try:
        while coming is not None:
            pieces = await coming
            batch = next(batches, None)
            coming = asyncio.ensure_future(_read(store, batch)) if batch is not None else None
            yield pieces
    finally:
        if coming is not None:
            coming.cancel()


class _Cut(NamedTuple):
    number: int
    octet_range: OctetRange
    is_first: bool
    is_last: bool


def _batches(ranges: Sequence[OctetRange], batch_octets: int) -> Iterator[list[_Cut]]:
    """Group ranges into batches of about `batch_octets`, cutting those that are larger."""
    batch: list[_Cut] = []
    octets = 0
    for index, whole in enumerate(ranges):
        start = whole.start
        while True:
            stop = min(whole.stop, start + batch_octets)
            batch.append(_Cut(index, OctetRange(whole.blob_id, start, stop), start == whole.start, stop >= whole.stop))
            octets += stop - start
            if octets >= batch_octets or len(batch) >= BATCH_RANGES:
                yield batch
                batch, octets = [], 0
            start = stop
            if stop >= whole.stop:
                break
    if batch:
        yield batch


async def _read(store: AccountStore, cuts: list[_Cut]) -> list[Piece]:
    found: Sequence[bytes | None]
    try:
        found = await store.read_octets([cut.octet_range for cut in cuts])
    except NoSuchMessage:
        found = [await _read_one(store, cut) for cut in cuts]
    return [Piece(cut.number, octets, cut.is_first, cut.is_last) for cut, octets in zip(cuts, found, strict=True)]


async def _read_one(store: AccountStore, cut: _Cut) -> bytes | None:
    try:
        return (await store.read_octets([cut.octet_range]))[0]
    except NoSuchMessage:
        return None
