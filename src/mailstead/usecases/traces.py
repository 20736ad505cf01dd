"""Where messages went: steps found by address, Message-ID, queue id or time, joined message by message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.ports.storage import Storage

STEPS_PER_MESSAGE_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """One message and what happened to it, in the order in which it happened."""

    queue_id: str
    """Empty for what was refused before there was a message."""
    steps: tuple[TraceEvent, ...]

    def first(self, name: str) -> str:
        """The first value of a field that any step has."""
        return next((str(value) for step in self.steps if (value := getattr(step, name))), "")

    @property
    def recipients(self) -> list[str]:
        """Every recipient that the steps name, once."""
        return list(dict.fromkeys(step.recipient for step in self.steps if step.recipient))


class Traces:
    """For administrators only (NotAllowed)."""

    def __init__(self, storage: Storage) -> None:
        self._trace = storage.trace

    async def messages(self, actor: Actor, query: TraceQuery, limit: int) -> list[TracedMessage]:
        """The latest messages of which some step fits the query, newest first, each with all its steps."""
        actor.must_be_admin()
        messages: list[TracedMessage] = []
        seen: set[str] = set()
        for step in await self._trace.search(query):
            if len(messages) >= limit:
                break
            if not step.queue_id:
                messages.append(TracedMessage("", (step,)))
            elif step.queue_id not in seen:
                seen.add(step.queue_id)
                messages.append(await self._whole(step.queue_id))
        return messages

    async def _whole(self, queue_id: str) -> TracedMessage:
        steps = await self._trace.search(TraceQuery(queue_id=queue_id, limit=STEPS_PER_MESSAGE_MAX))
        return TracedMessage(queue_id, tuple(reversed(steps)))
