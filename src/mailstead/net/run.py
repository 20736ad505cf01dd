"""All listeners together: bind, run until told to stop, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
from collections.abc import Callable, Sequence

from mailstead.net.certificates import Certificates
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.telemetry import log

_log = log.get("net")

_STOP_LOOK_S = 0.05


class Servers:
    """The listeners of one process."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        stop_limit_s: float = 10.0,
        certificates: Certificates | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self.listeners = list(listeners)
        self._stop_limit_s = stop_limit_s
        self._certificates = certificates
        self.pulse = pulse or Pulse()

    def bind(self) -> None:
        """Take all ports or none. Errors: BadSettings, saying what to do."""
        try:
            for listener in self.listeners:
                listener.bind()
        except Exception:  # whatever it is: no port stays taken, and it goes on upwards
            self.close()
            raise

    def close(self) -> None:
        """Give all ports back."""
        for listener in self.listeners:
            listener.close()

    async def run(self, stop: asyncio.Event, when_ready: Callable[[], None] | None = None) -> None:
        """Serve until `stop` is set, then stop accepting, say goodbye, and wait for what is under way.

        Errors: whatever the certificate watch dies of, as then the house shall end and be started anew.
        """
        self.pulse.start(asyncio.get_running_loop())
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._certificates.watch()) if self._certificates else None
                for listener in self.listeners:
                    await listener.start(self.pulse)
                if when_ready is not None:
                    when_ready()
                await stop.wait()
                await self._stop()
                if watching is not None:
                    watching.cancel()
        finally:
            self.pulse.stop()
            for listener in self.listeners:
                listener.stop_accepting()
                listener.abort_all()

    async def _stop(self) -> None:
        """Stop accepting, say goodbye, wait for conversations in the middle of a command, close the rest."""
        for listener in self.listeners:
            listener.stop_accepting()
        for listener in self.listeners:
            listener.say_goodbye()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._stop_limit_s):
                while any(listener.open_count for listener in self.listeners):  # noqa: ASYNC110  # see below
                    # Looking now and then is cheaper than a signal from each of 10,000 conversations that end in peace.
                    await asyncio.sleep(_STOP_LOOK_S)
        cut_off = sum(listener.abort_all() for listener in self.listeners)
        if cut_off:
            _log.warning("conversations cut off at the stop limit", count=cut_off)
            await asyncio.sleep(0)  # one turn of the loop, in which the aborted conversations end


def raise_file_limit(wanted: int) -> int:
    """Allow this process `wanted` open files if the system lets it; give what it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            return target
    return soft


def forbid_core_dumps() -> None:
    """Let no crash write the memory of this process, with its keys and messages, to a disk (attack row 73)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def calm_collector() -> None:
    """Let Python look for garbage in cycles seldom, and never in what is there now. Call it when all is loaded.

    What a request leaves behind is freed by counting references; looking after each 700 objects took a tenth of the
    time of long lists.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
