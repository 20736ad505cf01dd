"""How often somebody may call one thing in a day, counted over all processes and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from mailstead.model.envelope import Actor
from mailstead.policy.failures import network_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

_KIND = "calls"


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands at a limit."""

    limit: int
    left: int
    """Less than 0: it is passed."""
    reset_at: datetime

    @property
    def is_passed(self) -> bool:
        """Whether this call is one too many."""
        return self.left < 0


class CallLimits:
    """Counts calls by user, by account, or by network where nobody has logged in."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._memory = storage.memory
        self._clock = clock

    async def count(self, name: str, actor: Actor, limit: int) -> Standing:
        """Count a call of `name`; days are those of UTC. Errors: StorageUnavailable, StorageFull."""
        now = self._clock.now()
        reset_at = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        key = f"{now.date()} {name} {caller_of(actor)}"
        counts = await self._memory.count(_KIND, {key: 1}, now, reset_at)
        return Standing(limit, limit - counts[key], reset_at)


def caller_of(actor: Actor) -> str:
    """Give whose calls are counted together, and whose idempotency keys are his own."""
    if actor.user_id is not None:
        return f"u:{actor.user_id}"
    if actor.account_id is not None:
        return f"a:{actor.account_id}"
    return f"n:{network_of(actor.peer)}"
