"""How the whole is: version, services, how many of what, room on the disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailstead.model.envelope import Actor
from mailstead.ports.clock import Clock
from mailstead.ports.probes import Probes
from mailstead.ports.storage import Storage


@dataclass(frozen=True, slots=True)
class Overview:
    """A glance at the server."""

    version: str
    services: tuple[str, ...]
    """Of the process that answers."""
    started_at: datetime
    domain_count: int
    account_count: int
    queue: Mapping[str, int]
    """Recipients by state."""
    disk_free_octets: int
    disk_total_octets: int


class Overviews:
    """For administrators of the server (NotAllowed)."""

    def __init__(self, storage: Storage, clock: Clock, probes: Probes, version: str, services: Sequence[str]) -> None:
        self._directory = storage.directory
        self._queue = storage.queue
        self._probes = probes
        self._version = version
        self._services = tuple(services)
        self._started_at = clock.now()

    async def show(self, actor: Actor) -> Overview:
        """Look. Errors: of the store; ProbeFailed, where the disk cannot be asked."""
        actor.must_be_admin()
        disk = await self._probes.disk()
        counts = await self._queue.count()
        return Overview(
            self._version,
            self._services,
            self._started_at,
            len(await self._directory.domains()),
            len(await self._directory.accounts()),
            {state.value: count for state, count in counts.items()},
            disk.free_octets,
            disk.total_octets,
        )
