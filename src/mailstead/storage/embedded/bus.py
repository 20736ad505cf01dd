"""Wake-ups within a process and between the processes of one host: `LocalBus`, `SocketBus`.

To publish costs a set insertion: topics gather until the loop's next turn, then each watcher is called once and each
other process gets one datagram. Processes find each other by the sockets in one folder that only we can enter. A
datagram that does not fit into a busy process's queue is kept back and merged with later ones; a socket that nobody
reads is removed. What is lost all the same does no harm (see `ports.changebus`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from mailstead.model.errors import StorageUnavailable
from mailstead.model.ids import AccountId
from mailstead.telemetry import log, metrics

EVERYTHING: Final = AccountId("*")
"""Stands for all topics, when a process is too far behind for a list."""
KEPT_BACK_MAX: Final = 4096
"""Topics kept back for one busy process before they become `EVERYTHING`."""
DATAGRAM_OCTETS_MAX: Final = 16 * 1024
RETRY_S: Final = 0.02
FOLDER_LOOK_S: Final = 1.0
"""How old the list of other processes may grow while the folder looks unchanged."""
DATAGRAMS_PER_TURN: Final = 64
"""How many datagrams are read before the loop serves others."""

_log = log.get("storage")


class LocalBus:
    """The bus of a house that is one process. Implements `ports.changebus.ChangeBus`."""

    def __init__(self) -> None:
        self._watchers: dict[AccountId, dict[object, Callable[[], None]]] = {}
        self._waking: set[AccountId] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_turn_planned = False

    def publish(self, account_id: AccountId) -> None:
        """Wake all watchers of the account at the loop's next turn. Call on the event loop."""
        if account_id in self._watchers:
            self._waking.add(account_id)
            self._plan_turn()

    def watch(self, account_id: AccountId, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `wake` on the event loop after each change, until the context is left."""
        return self._watched(account_id, wake)

    def close(self) -> None:
        """Wake nobody any more."""
        self._watchers.clear()
        self._waking.clear()

    @contextlib.contextmanager
    def _watched(self, account_id: AccountId, wake: Callable[[], None]) -> Iterator[None]:
        token = object()
        self._watchers.setdefault(account_id, {})[token] = wake
        try:
            yield
        finally:
            watchers = self._watchers.get(account_id)
            if watchers is not None:
                watchers.pop(token, None)
                if not watchers:
                    del self._watchers[account_id]

    def _plan_turn(self) -> None:
        if not self._is_turn_planned:
            self._is_turn_planned = True
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turn_planned = False
        self._wake_all()

    def _wake_all(self) -> None:
        waking, self._waking = self._waking, set()
        if EVERYTHING in waking:
            waking = set(self._watchers)
        for account_id in waking:
            # a copy: who is woken may stop watching, or make another one stop
            for wake in tuple(self._watchers.get(account_id, {}).values()):
                try:
                    wake()
                except Exception:  # noqa: BLE001  logged with its stack, and counted
                    # one watcher's bug must not keep the others asleep
                    metrics.BUGS.labels("wake").inc()
                    _log.exception("watcher failed", account_id=account_id)


class _Neighbour:
    """Another process, as far as we know it: where to send, and what it could not take yet."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kept_back: set[AccountId] = set()


class SocketBus(LocalBus):
    """The bus of a house of several processes on one host: Unix datagrams between sockets in ``data_dir/run``.

    Make it on the running event loop; `close` removes the socket.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self._folder = data_dir / "run"
        self._name = f"bus-{os.getpid()}-{secrets.token_hex(4)}.sock"
        self._telling: set[AccountId] = set()
        self._neighbours: dict[str, _Neighbour] = {}
        self._folder_changed_ns = -1
        self._looked_s = -FOLDER_LOOK_S
        self._retry: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            # A socket's path has at most 107 octets, a data folder's may have more: go through the open folder.
            self._prefix = f"/proc/self/fd/{self._descriptor}/"
            self._socket.bind(self._prefix + self._name)
            Path(self._prefix + self._name).chmod(0o600)  # whatever the umask; nobody else can enter the folder anyway
        except OSError as error:
            self._socket.close()
            raise StorageUnavailable(
                f"The folder {self._folder} cannot be used: {error.strerror}", cause=repr(error)
            ) from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def publish(self, account_id: AccountId) -> None:
        """Wake all watchers of the account, here and in the other processes, at the loop's next turn."""
        if account_id in self._watchers:
            self._waking.add(account_id)
        self._telling.add(account_id)
        self._plan_turn()

    def close(self) -> None:
        """Wake and tell nobody any more; remove the socket."""
        super().close()
        if self._socket.fileno() < 0:
            return
        if self._retry:
            self._retry.cancel()
        assert self._loop is not None
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._descriptor)
        os.close(self._descriptor)

    def _turn(self) -> None:
        super()._turn()
        telling, self._telling = self._telling, set()
        if not telling or self._socket.fileno() < 0:
            return
        self._look_for_neighbours()
        for neighbour in tuple(self._neighbours.values()):
            self._tell(neighbour, neighbour.kept_back | telling if neighbour.kept_back else telling)

    def _look_for_neighbours(self) -> None:
        changed_ns, now_s = os.fstat(self._descriptor).st_mtime_ns, time.monotonic()
        if changed_ns == self._folder_changed_ns and now_s - self._looked_s < FOLDER_LOOK_S:
            return
        self._folder_changed_ns, self._looked_s = changed_ns, now_s
        names = {path.name for path in self._folder.glob("bus-*.sock")} - {self._name}
        self._neighbours = {name: self._neighbours.get(name) or _Neighbour(self._prefix + name) for name in names}

    def _tell(self, neighbour: _Neighbour, topics: Iterable[AccountId]) -> None:
        """Send what the neighbour's queue takes, keep back the rest."""
        left = list(topics)
        neighbour.kept_back = set()
        while left:
            datagram, count = _datagram(left)
            try:
                self._socket.sendto(datagram, neighbour.path)
            except (BlockingIOError, InterruptedError):
                neighbour.kept_back = {EVERYTHING} if len(left) > KEPT_BACK_MAX else set(left)
                self._plan_retry()
                return
            except (ConnectionRefusedError, FileNotFoundError):
                self._remove(neighbour)  # its process is gone
                return
            except OSError as error:
                _log.warning("wake-up lost", cause=repr(error))
                return
            del left[:count]

    def _remove(self, neighbour: _Neighbour) -> None:
        name = neighbour.path.removeprefix(self._prefix)
        self._neighbours.pop(name, None)
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._descriptor)

    def _plan_retry(self) -> None:
        if self._retry is None:
            assert self._loop is not None
            self._retry = self._loop.call_later(RETRY_S, self._retry_kept_back)

    def _retry_kept_back(self) -> None:
        self._retry = None
        for neighbour in tuple(self._neighbours.values()):
            if neighbour.kept_back:
                self._tell(neighbour, neighbour.kept_back)

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_TURN):
            try:
                datagram = self._socket.recv(DATAGRAM_OCTETS_MAX)
            except (BlockingIOError, InterruptedError):
                break
            topics = {AccountId(topic) for topic in datagram.decode("ascii", "replace").split(" ")}
            self._waking |= {EVERYTHING} if EVERYTHING in topics else topics & self._watchers.keys()
        self._wake_all()


def _datagram(topics: list[AccountId]) -> tuple[bytes, int]:
    """Give as many topics from the front as one datagram holds, and how many these are."""
    octets = 0
    for count, topic in enumerate(topics):
        octets += len(topic) + 1
        if octets > DATAGRAM_OCTETS_MAX:
            return " ".join(topics[:count]).encode(), count
    return " ".join(topics).encode(), len(topics)
