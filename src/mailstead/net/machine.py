"""What the machine is, and which of its ports are taken.

Implements `ports.machine.Machine`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailstead.ports.machine import MachineFacts

GREETING_LIMIT_S: Final = 1.0
"""How long a stranger on a port may take to say who it is; most say nothing, as they wait for a question."""
LINE_OCTETS_MAX: Final = 512
_EVERYWHERE: Final = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104  # tried, not listened on


class ThisMachine:
    """`folder`: where the data will lie; it need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def facts(self) -> MachineFacts:
        """See `Machine.facts`."""
        return await asyncio.to_thread(self._facts)

    def _facts(self) -> MachineFacts:
        there = next(place for place in (self._folder.absolute(), *self._folder.absolute().parents) if place.exists())
        return MachineFacts(
            platform.machine(), len(os.sched_getaffinity(0)), _memory_octets(), shutil.disk_usage(there).free
        )

    async def taken_ports(self, ports: Sequence[int]) -> dict[int, str]:
        """See `Machine.taken_ports`."""
        taken = [port for port in ports if _is_taken(port)]
        lines = await asyncio.gather(*(asyncio.to_thread(_greeting, port) for port in taken))
        return dict(zip(taken, lines, strict=True))


def _memory_octets() -> int:
    """What the machine has, or what a container's limit leaves of it."""
    try:
        octets = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such limit, or the word "max"
            octets = min(octets, int(Path(limit).read_text("ascii")))
    return octets


def _is_taken(port: int) -> bool:
    """Whether somebody listens there. Ports that we may not have ourselves are asked by connecting."""
    for family, everywhere in _EVERYWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended take no port
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((everywhere, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE or (error.errno in {errno.EACCES, errno.EPERM} and _answers(port)):
                    return True
    return False


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), GREETING_LIMIT_S):
            return True
    except OSError:
        return False


def _greeting(port: int) -> str:
    """Give the first line of who listens there, or nothing."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), GREETING_LIMIT_S) as connection:
        connection.settimeout(GREETING_LIMIT_S)
        octets = connection.recv(LINE_OCTETS_MAX)
        return octets.partition(b"\n")[0].decode("ascii", "replace").strip()
    return ""
