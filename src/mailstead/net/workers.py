"""Several processes that share the ports (`serve --workers N`).

The parent only supervises: it passes signals on and waits. It restarts nothing, as the supervisor of the machine
does that better: a worker that dies ends the whole, with its status.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Final

from mailstead.net.supervision import hang_up_means_reload
from mailstead.telemetry import log

_log = log.get("net")

_STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_PR_SET_PDEATHSIG: Final = 1
EXIT_BUG: Final = 70
"""sysexits.h EX_SOFTWARE."""


def supervise(
    count: int, work: Callable[[int], int], *, stop_limit_s: float = 15.0, has_cpu_affinity: bool = False
) -> int:
    """Run `work(0)` … `work(count - 1)` in processes of their own; give the exit status for the whole.

    Call it before any thread or event loop starts, as the workers are forked. `work` gives its exit status and ends
    itself on SIGTERM. Workers bind their ports themselves, with `Listener(is_port_shared=True)`.
    Effects: workers that are not done `stop_limit_s` after the stop are killed; with `has_cpu_affinity` each keeps to
    one processor of those that we may use, in turn.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS | {signal.SIGCHLD})
    workers: dict[int, int] = {}
    try:
        for index in range(count):
            pid = os.fork()
            if pid == 0:
                _be_worker(index, work, before, has_cpu_affinity=has_cpu_affinity)
            workers[pid] = index
        return _watch(workers, stop_limit_s)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_worker(
    index: int, work: Callable[[int], int], mask: set[signal.Signals | int], *, has_cpu_affinity: bool
) -> None:
    """The child's life; never returns."""
    status = EXIT_BUG
    try:
        _end_with_parent()
        if has_cpu_affinity:
            _keep_to_one_cpu(index)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = work(index)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  # nothing above this frame but the parent's copied stack
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, even by SIGKILL, so that no worker keeps the ports."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _keep_to_one_cpu(index: int) -> None:
    """Let all threads of this process run on one processor.

    One of them has the interpreter's lock at a time. On several processors they take it from each other there, which
    doubles the time that they need (docs/performance.md, "The API").
    """
    if sys.platform == "linux":
        cpus = sorted(os.sched_getaffinity(0))
        try:
            os.sched_setaffinity(0, {cpus[index % len(cpus)]})
        except OSError as error:  # forbidden to us, or that processor went meanwhile: slower, and no more
            _log.warning("a worker keeps to no processor", worker=index, cause=error.strerror)


def _watch(workers: dict[int, int], stop_limit_s: float) -> int:
    """Wait for signals and deaths until no worker is left."""
    status = 0
    kill_at_s: float | None = None
    while workers:
        wait_s = 3600.0 if kill_at_s is None else max(kill_at_s - monotonic(), 0.0)
        caught = signal.sigtimedwait(_STOP_SIGNALS | {signal.SIGCHLD}, wait_s)
        if caught is None and kill_at_s is not None:
            _log.error("workers killed at the stop limit", workers=sorted(workers.values()))
            _signal_all(workers, signal.SIGKILL)
            kill_at_s = None
            status = status or EXIT_BUG
        elif caught is not None and caught.si_signo == signal.SIGHUP and hang_up_means_reload():
            _signal_all(workers, signal.SIGHUP)
        elif caught is not None and caught.si_signo != signal.SIGCHLD:
            _signal_all(workers, signal.SIGTERM)
            kill_at_s = kill_at_s or monotonic() + stop_limit_s
        for pid, worker_status in _dead(workers):
            index = workers.pop(pid)
            if kill_at_s is None and status == 0:
                _log.error("a worker has ended, so all end", worker=index, status=worker_status)
                status = worker_status or EXIT_BUG
                _signal_all(workers, signal.SIGTERM)
                kill_at_s = monotonic() + stop_limit_s
            else:
                status = status or worker_status
    return status


def _dead(workers: dict[int, int]) -> list[tuple[int, int]]:
    """Collect the workers that have ended, with their exit status (128 and the signal, as shells say it)."""
    found = []
    for pid in tuple(workers):
        ended, wait_status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(wait_status)
            found.append((pid, 128 - code if code < 0 else code))
    return found


def _signal_all(workers: dict[int, int], number: signal.Signals) -> None:
    for pid in workers:
        os.kill(pid, number)
