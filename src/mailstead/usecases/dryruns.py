"""A script tried on mail that is there already: what it would have done, with nothing changed or sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from mailstead.mime.header import first_values, header_end, text_of, unfolded
from mailstead.model.ids import Uid
from mailstead.model.mailbox import INBOX
from mailstead.model.message import MessageRecord, OctetRange, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.storage import AccountStore
from mailstead.sieve import actions
from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts
from mailstead.sieve.script import Script
from mailstead.usecases.rulings import in_words

OCTETS_MAX: Final = 4 * 1024 * 1024
"""Of a longer message only the beginning is looked at, and of several together not much more is in memory."""
MESSAGES_AT_ONCE: Final = 50
DELIVERIES_WORTH_MAX: Final = 20
"""All messages together may take as many steps as so many deliveries; of what is left nothing is said."""


class Foreseen(NamedTuple):
    """What would happen to one message."""

    uid: Uid
    mailbox: str
    """Where it would be; empty: nowhere."""
    subject: str
    does: str
    """All actions in words, and what is wrong."""


class Grounds(NamedTuple):
    """What a dry run knows beside the messages."""

    own_addresses: frozenset[str]
    mailboxes: dict[str, str | None]
    scripts: dict[str, bytes]
    now: datetime
    steps_max: int
    redirects_max: int


async def dry_run(store: AccountStore, script: Script, grounds: Grounds, limit: int) -> list[Foreseen]:
    """Try a script on the last `limit` messages of INBOX, the newest first.

    Errors: of the store. Effects: none; runs in threads.
    """
    steps_left = grounds.steps_max * DELIVERIES_WORTH_MAX
    foreseen: list[Foreseen] = []
    async with aclosing(latest(store, INBOX, limit)) as batches:
        async for batch, texts in batches:
            found, steps = await asyncio.to_thread(_tried, script, grounds, batch, texts)
            foreseen += found
            steps_left -= steps
            if steps_left <= 0:
                break
    return foreseen


async def latest(
    store: AccountStore, mailbox: str, limit: int
) -> AsyncGenerator[tuple[list[MessageRecord], Sequence[bytes]], None]:
    """Give the last messages of a mailbox with their octets, the newest first, some MiB at a time.

    Errors: NoSuchMailbox.
    """
    snapshot = await store.snapshot(mailbox)
    mailbox_id = snapshot.mailbox.mailbox_id
    uids = list(islice(reversed(list(snapshot.uids)), limit))
    for start in range(0, len(uids), MESSAGES_AT_ONCE):
        records = await store.fetch(mailbox_id, UidSet.of(uids[start : start + MESSAGES_AT_ONCE]), Wanted.NARROW)
        waiting = sorted(records, key=lambda record: record.uid, reverse=True)
        while waiting:
            batch = _take_batch(waiting)
            yield batch, await store.read_octets([OctetRange(record.blob_id, 0, OCTETS_MAX) for record in batch])


def _take_batch(waiting: list[MessageRecord]) -> list[MessageRecord]:
    batch = [waiting.pop(0)]
    octets = batch[0].size_octets
    while waiting and octets + waiting[0].size_octets <= OCTETS_MAX:
        octets += waiting[0].size_octets
        batch.append(waiting.pop(0))
    return batch


def _tried(
    script: Script, grounds: Grounds, batch: Sequence[MessageRecord], texts: Sequence[bytes]
) -> tuple[list[Foreseen], int]:
    foreseen: list[Foreseen] = []
    steps = 0
    for record, octets in zip(batch, texts, strict=True):
        budget = Budget(grounds.steps_max, grounds.redirects_max)
        values = first_values(octets[: header_end(octets)])
        outcome = script.run(facts_of(grounds, octets, values), budget)
        steps += budget.steps_used
        words = [in_words(action) for action in outcome.actions] + [f"({problem})" for problem in outcome.problems]
        subject = text_of(values.get(b"subject", b""))
        foreseen.append(Foreseen(record.uid, _place(outcome), subject, ", ".join(words) or "discard"))
    return foreseen, steps


def facts_of(grounds: Grounds, octets: bytes, values: dict[bytes, bytes]) -> Facts:
    """Give what a script may know; the envelope is read from the trace fields that our delivery has put in front."""
    return_path, delivered_to = values.get(b"return-path"), values.get(b"delivered-to")
    return Facts(
        octets=octets,
        now=grounds.now,
        mail_from=None if return_path is None else unfolded(return_path).decode("utf-8", "replace").strip("<>"),
        rcpt_to=None if delivered_to is None else unfolded(delivered_to).decode("utf-8", "replace"),
        own_addresses=grounds.own_addresses,
        mailboxes=grounds.mailboxes,
        scripts=grounds.scripts,
    )


def _place(outcome: actions.Outcome) -> str:
    for action in outcome.actions:
        if isinstance(action, actions.Keep):
            return INBOX
        if isinstance(action, actions.FileInto):
            return action.mailbox
    return ""
