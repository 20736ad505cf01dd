"""Figures of the house over time, for graphs: counted by each process, added up in the store, shown by hour and day."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.queue import RecipientState
from mailstead.model.statistics import Amounts, Figures, Span
from mailstead.policy.statistics import GROUPS, REFUSED, group_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.telemetry.readings import readings

_log = log.get("statistics")

FLUSH_S: Final = 60.0
KEPT: Final = {Span.HOUR: 48, Span.DAY: 400}
"""How many spans are kept and shown, the present one included."""
_LENGTH: Final = {Span.HOUR: timedelta(hours=1), Span.DAY: timedelta(days=1)}
_TAKING_MAIL: Final = frozenset({"mx", "submission", "mxdeliv"})
_OUTCOMES: Final = {RecipientState.DELIVERED.value: "mail_out", RecipientState.FAILED.value: "bounced"}
_GAUGES: Final = ("queue_length", "storage_octets")
_COUNTS: Final = ("mail_in", "mail_out", "junk", "bounced", "log_ins", "failed_log_ins")


def counted() -> dict[str, int]:
    """Give what the metrics of this process stand at, by name of the figure.

    Nothing counts for the figures alone: what the metrics count anyway is read once a minute.
    """
    found: Counter[str] = Counter()
    for reading in readings(metrics.DELIVERED):
        if reading.labels["service"] in _TAKING_MAIL:
            found["mail_in"] += reading.value
    for reading in readings(metrics.JUNK):
        found["junk"] += reading.value
    for reading in readings(metrics.RELAYED):
        name = _OUTCOMES.get(reading.labels["state"])
        if name is not None:
            found[name] += reading.value
    for reading in readings(metrics.LOG_INS):
        found["log_ins" if reading.labels["result"] == "ok" else "failed_log_ins"] += reading.value
    for reading in readings(metrics.REFUSALS):
        if reading.labels["service"] in _TAKING_MAIL:
            group = group_of(reading.labels["code"], reading.labels["reason"])
            if group is not None:
                found[REFUSED + group] += reading.value
    return dict(found)


class StatisticsCounting:
    """Adds what this process has counted to the figures, now and then and a last time at the end."""

    def __init__(self, storage: Storage, clock: Clock, source: Callable[[], Mapping[str, int]] = counted) -> None:
        """What `source` stands at now is not counted any more. Other sources are for tests."""
        self._statistics = storage.statistics
        self._clock = clock
        self._source = source
        self._before = source()

    async def flush(self) -> None:
        """Add what has come since the last time. Errors: of the store; nothing is lost then."""
        # In a thread: with hundreds of labels, reading takes milliseconds.
        now = await asyncio.to_thread(self._source)
        added = {name: value - self._before.get(name, 0) for name, value in now.items()}
        added = {name: amount for name, amount in added.items() if amount > 0}
        if added:
            await self._statistics.record(self._clock.now(), Amounts(added=added))
        self._before = now

    async def run(self, stop: asyncio.Event) -> None:
        """Do so until told to stop. Figures never end a process."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_S)
            try:
                await self.flush()
            except MailsteadError as error:
                _log.warning("figures are not written yet", error=error.public_text)


class Statistics:
    """Shows the figures, to administrators of the server (NotAllowed), and keeps the table."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._statistics = storage.statistics
        self._queue = storage.queue
        self._memory = storage.memory
        self._clock = clock

    async def show(self, actor: Actor, span: Span) -> list[Figures]:
        """Give one row for each of the last hours or days, oldest first, without gaps. Errors: of the store."""
        actor.must_be_admin()
        first = self._begin(span, self._clock.now()) - (KEPT[span] - 1) * _LENGTH[span]
        found = await self._statistics.read(span, first)
        moments = [first + number * _LENGTH[span] for number in range(KEPT[span])]
        return [_figures(begins_at, found.get(begins_at, {})) for begins_at in moments]

    async def look_after(self, now: datetime) -> None:
        """Measure what is not counted, and forget what is too old; a chore of housekeeping. Errors: of the store."""
        states = await self._queue.count()
        waiting = sum(states.get(state, 0) for state in (RecipientState.WAITING, RecipientState.HELD))
        latest: dict[str, int] = {}
        hour = now.strftime("%Y-%m-%dT%H")
        # Each store is looked at, so once an hour is enough.
        if await self._memory.remember_first("statistics", hour, b"", now, now + timedelta(hours=2)) is None:
            latest["storage_octets"] = await self._statistics.store_octets()
        await self._statistics.record(now, Amounts(highest={"queue_length": waiting}, latest=latest))
        for span, count in KEPT.items():
            await self._statistics.expire(span, self._begin(span, now) - (count - 1) * _LENGTH[span])

    @staticmethod
    def _begin(span: Span, now: datetime) -> datetime:
        now = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return now if span is Span.HOUR else now.replace(hour=0)


def _figures(begins_at: datetime, values: Mapping[str, int]) -> Figures:
    refused = {group: values[REFUSED + group] for group in GROUPS if values.get(REFUSED + group)}
    counts = {name: values.get(name, 0) for name in _COUNTS}
    gauges = {name: values.get(name) for name in _GAUGES}
    return Figures(begins_at, refused=refused, **counts, **gauges)  # type: ignore[arg-type]  # as the names say
