"""Where messages went: steps found by address, Message-ID, queue id or time, joined message by message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
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
    """For administrators: of the server all, of domains what concerns these, and no other's part of a message."""

    def __init__(self, storage: Storage) -> None:
        self._trace = storage.trace

    async def messages(self, actor: Actor, query: TraceQuery, limit: int) -> list[TracedMessage]:
        """The latest messages of which some step fits the query, newest first, each with all its steps.

        Of a message that went to several domains, their administrators see the steps of their own recipients only.
        Errors: NotAllowed, for who administers nothing.
        """
        domains = None if actor.is_admin else frozenset(actor.administered)
        if domains is not None and not domains:
            raise NotAllowed
        messages: list[TracedMessage] = []
        seen: set[str] = set()
        for step in await self._found(query, domains):
            if len(messages) >= limit:
                break
            if step.queue_id in seen:
                continue
            whole = await self._whole(step.queue_id) if step.queue_id else TracedMessage("", (step,))
            seen |= {step.queue_id} - {""}
            steps = whole.steps if domains is None else _visible(whole.steps, domains)
            if steps:
                messages.append(TracedMessage(whole.queue_id, steps))
        return messages

    async def _found(self, query: TraceQuery, domains: frozenset[str] | None) -> list[TraceEvent]:
        """Give the steps that fit, newest first: of these domains, where others' may fill the store's answer."""
        if domains is None or query.address or query.queue_id:
            return await self._trace.search(query)
        found = {step for name in domains for step in await self._trace.search(replace(query, address=f"@{name}"))}
        return sorted(found, key=lambda step: step.at, reverse=True)[: query.limit]

    async def _whole(self, queue_id: str) -> TracedMessage:
        steps = await self._trace.search(TraceQuery(queue_id=queue_id, limit=STEPS_PER_MESSAGE_MAX))
        return TracedMessage(queue_id, tuple(reversed(steps)))


def _visible(steps: tuple[TraceEvent, ...], domains: frozenset[str]) -> tuple[TraceEvent, ...]:
    """Give the steps that concern recipients in the domains, or what the domains sent themselves.

    A sender's address in one of them says nothing for what came in: anybody may write it.
    """

    def is_to(step: TraceEvent) -> bool:
        return step.recipient.rpartition("@")[2].casefold() in domains

    def is_sent(step: TraceEvent) -> bool:
        return step.direction == "out" and step.domain in domains

    is_theirs = any(is_to(step) or is_sent(step) for step in steps)
    return tuple(step for step in steps if is_to(step) or is_sent(step) or (is_theirs and not step.recipient))
