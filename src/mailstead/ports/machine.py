"""What is asked of a machine before Mailstead is set up on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine is."""

    architecture: str
    """As the kernel calls it: ``x86_64``, ``aarch64`` …"""
    cpu_count: int
    memory_octets: int
    """0: not known."""
    disk_free_octets: int


class Machine(Protocol):
    """Asked are the system and its own ports; nothing is sent to others."""

    async def facts(self) -> MachineFacts:
        """What the machine is."""

    async def taken_ports(self, ports: Sequence[int]) -> dict[int, str]:
        """TCP ports on which something listens already, each with the line that it greets with (may be empty)."""
