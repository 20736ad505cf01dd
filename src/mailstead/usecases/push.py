"""Push: when mail comes for an account, the devices that have registered a token are woken through a web service.

Theory of operation. Whoever has stored a copy says so (`stored`), which only notes it and cannot fail or wait. One task
per process (`run`) takes these notes, looks up the tokens, writes one notification for each into the memory of the
store, and posts it. What was written survives a restart: it belongs to the process that wrote it while that keeps to
its times; what one has let go at its end, or has not touched long after it was due, any other takes over. In the
worst case a device is woken twice, or, if the machine dies within milliseconds of a delivery, not at all: it finds the
mail when it looks by itself.

A notification carries the token and nothing else, and no token is ever logged.

Spec: reference chatmail, section 6.5
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values
from mailstead.model.errors import MailsteadError, WebFailed, WebRefused
from mailstead.model.ids import AccountId
from mailstead.model.message import MessageFacts
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.telemetry import log, metrics
from mailstead.usecases.push_tokens import PushTokens

LIMIT_S: Final = 60.0
LIFE: Final = timedelta(hours=5)
RETRY_BASE_S: Final = 8
FIRST_TRIES_MAX: Final = 16
"""First tries at a time …"""
FURTHER_TRIES_MAX: Final = 8
"""… and others: so those that a dead service leaves behind do not hold up the new ones."""
NOTED_MAX: Final = 10_000
PENDING_MAX: Final = 20_000
"""Notifications of one process; what comes beyond that is dropped."""
LOOK_S: Final = 60.0
"""How often we look for notifications that others have left."""
GRACE: Final = timedelta(seconds=120)
"""So long after its time a notification counts as left."""
STOPPED_S: Final = 2.0
"""How long posts that are under way may take to end when we stop."""

_KIND: Final = "push"
_CLAIM: Final = "push claim"
_TOGETHER: Final = 100
"""Accounts whose tokens are looked up at once."""

_log = log.get("push")


@dataclass(frozen=True, slots=True)
class Notification:
    """One token to be posted, as it is kept."""

    account_id: AccountId
    token: bytes = field(repr=False)
    begun_at: datetime
    due_at: datetime
    tries: int = 0
    is_left: bool = False
    """Its process has ended in peace."""

    def again(self, now: datetime) -> Notification | None:
        """Give the next try, after 8, 64, 512 and 4096 seconds; None: that would be too late."""
        tries = self.tries + 1
        due_at = now + timedelta(seconds=RETRY_BASE_S**tries)
        return replace(self, due_at=due_at, tries=tries) if due_at <= self.begun_at + LIFE else None


class _Lane:
    """Notifications that wait for their time, and how many of them may be under way at once."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.running = 0
        self.waiting: list[tuple[datetime, int, str]] = []
        """A heap: when, a number that keeps the order, key."""


class Push:
    """Wakes devices; one object per process, any number of processes."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        web: WebClient,
        tokens: PushTokens,
        *,
        url: str,
        limit_s: float = LIMIT_S,
        poll_s: float = 30.0,
    ) -> None:
        self._directory = storage.directory
        self._memory = storage.memory
        self._clock = clock
        self._web = web
        self._tokens = tokens
        self._url: Final = url
        self._limit_s: Final = limit_s
        self._poll_s: Final = poll_s
        self._noted: deque[tuple[AccountId, bytes]] = deque(maxlen=NOTED_MAX)
        self._known: dict[str, Notification] = {}
        """All that is ours, under way or waiting."""
        self._changed: set[str] = set()
        self._done: list[str] = []
        """To be written, and to be forgotten, at the next turn."""
        self._first, self._further = _Lane(FIRST_TRIES_MAX), _Lane(FURTHER_TRIES_MAX)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._looked_s = float("-inf")

    def stored(self, account_id: AccountId, facts: MessageFacts) -> None:
        """Note that a delivery has stored a copy. Never fails, never waits."""
        if self._url:
            self._noted.append((account_id, facts.listed_header))
            self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then what is left is let go to whoever comes next."""
        if not self._url:
            return
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        try:
            while not stop.is_set():
                self._woken.clear()
                await self._turn()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._pause_s())
        finally:
            stopping.cancel()
            await self._let_go()

    async def _turn(self) -> None:
        try:
            await self._take_in()
            await self._take_over()
        except MailsteadError as error:
            _log.warning("notifications cannot be read now", error=error.public_text)
        await self._write()
        now = self._clock.now()
        for lane in (self._first, self._further):
            while lane.waiting and lane.waiting[0][0] <= now and lane.running < lane.limit:
                self._begin(lane, heapq.heappop(lane.waiting)[2])

    def _pause_s(self) -> float:
        """Give how long there is nothing to do, unless something wakes us."""
        free = [lane for lane in (self._first, self._further) if lane.waiting and lane.running < lane.limit]
        due_at = min((lane.waiting[0][0] for lane in free), default=None)
        in_s = (due_at - self._clock.now()).total_seconds() if due_at else self._poll_s
        return min(max(in_s, 0.0), self._poll_s)

    # what comes in

    async def _take_in(self) -> None:
        """Make notifications of what was noted."""
        while self._noted:
            some = [self._noted.popleft() for _ in range(min(len(self._noted), _TOGETHER))]
            found = await asyncio.gather(*(self._tokens_of(*each) for each in some), return_exceptions=True)
            now = self._clock.now()
            for (account_id, _), tokens in zip(some, found, strict=True):
                if isinstance(tokens, list):
                    for token in tokens:
                        self._take(secrets.token_hex(12), Notification(account_id, token, now, now), is_new=True)
                elif isinstance(tokens, MailsteadError):
                    _log.warning("an account's devices are not woken", error=tokens.public_text)
                else:
                    _bug("an account's devices are not woken", tokens)

    async def _tokens_of(self, account_id: AccountId, header: bytes) -> list[bytes]:
        """Give the tokens to wake; none for what somebody sends to himself, whose other devices know already."""
        account = await self._directory.account(account_id)
        domain = await self._directory.domain(account.address.domain) if account else None
        if account is None or domain is None or not domain.terms.is_chatmail:
            return []
        if account.address.key in _authors(header):
            return []
        return await self._tokens.valid(account_id)

    async def _take_over(self) -> None:
        """Take what others have left. Errors: StorageUnavailable, StorageFull."""
        if self._clock.monotonic_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = self._clock.monotonic_s()
        now = self._clock.now()
        for key, octets in (await self._memory.recall_all(_KIND, now)).items():
            if key in self._known or key in self._done:
                continue
            kept = msgspec.json.decode(octets, type=Notification)
            if not kept.is_left and now < kept.due_at + GRACE:
                continue
            claim = f"{key} {kept.tries} {kept.due_at.timestamp()}"
            if await self._memory.remember_first(_CLAIM, claim, b"", now, now + GRACE) is None:
                self._take(key, replace(kept, due_at=max(now, kept.due_at), is_left=False), is_new=False)

    def _take(self, key: str, notification: Notification, *, is_new: bool) -> None:
        if len(self._known) >= PENDING_MAX:
            metrics.PUSHES.labels("dropped").inc()
            if not is_new:
                self._done.append(key)
            return
        self._known[key] = notification
        self._changed.add(key)
        self._wait(key, notification)

    def _wait(self, key: str, notification: Notification) -> None:
        lane = self._further if notification.tries else self._first
        heapq.heappush(lane.waiting, (notification.due_at, next(self._numbers), key))

    async def _write(self) -> None:
        """Write what has changed; without the store we go on, and only a restart would forget."""
        changed = {key: msgspec.json.encode(self._known[key]) for key in self._changed if key in self._known}
        done, self._done = self._done, []
        self._changed.clear()
        try:
            if changed:
                await self._memory.remember(_KIND, changed, self._clock.now() + LIFE)
            if done:
                await self._memory.forget(_KIND, done)
        except MailsteadError as error:
            _log.warning("notifications are not kept for a restart", error=error.public_text)

    # what goes out

    def _begin(self, lane: _Lane, key: str) -> None:
        lane.running += 1
        task = asyncio.create_task(self._work(key))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            lane.running -= 1
            self._tasks.discard(task)
            self._woken.set()

        task.add_done_callback(ended)

    async def _work(self, key: str) -> None:
        notification = self._known[key]
        status = await self._post(notification.token)
        if status == 410:
            with suppress(MailsteadError):  # the account may be gone; and a token that stays is refused again
                await self._tokens.remove(notification.account_id, notification.token)
        later = None if status in {200, 410} else notification.again(self._clock.now())
        metrics.PUSHES.labels({200: "taken", 410: "gone"}.get(status, "again" if later else "given up")).inc()
        if later is None:
            del self._known[key]
            self._done.append(key)
        else:
            self._known[key] = later
            self._changed.add(key)
            self._wait(key, later)

    async def _post(self, token: bytes) -> int:
        """Post once; give the status, 0 where there was no answer."""
        try:
            answer = await self._web.post(self._url, token, {}, octets_max=1024, limit_s=self._limit_s)
        except (WebFailed, WebRefused) as error:
            _log.info("a notification was not posted", error=error.public_text)
            return 0
        except Exception as error:  # noqa: BLE001  # the frontier
            _bug("a notification was not posted", error)
            return 0
        if answer.status not in {200, 410}:
            _log.info("a notification was not taken", status=answer.status)
        return answer.status

    async def _let_go(self) -> None:
        """Let posts that are under way end, and leave the rest to others."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOPPED_S)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(MailsteadError):
            await self._take_in()
        self._known = {key: replace(notification, is_left=True) for key, notification in self._known.items()}
        self._changed.update(self._known)
        await self._write()
        self._known.clear()


def _authors(header: bytes) -> set[str]:
    """Give the addresses in From, as `Address.key`."""
    found = addresses_of(first_values(header).get(b"from", b""))
    texts = (b"%b@%b" % (each.local_part, each.domain) for each in found if each.local_part and each.domain)
    return {text.decode("utf-8", "replace").casefold() for text in texts}


def _bug(text: str, error: BaseException) -> None:
    """Count and log what should not happen; it must not end all pushing. A traceback could show a token."""
    metrics.BUGS.labels("push").inc()
    _log.error(text, error=type(error).__name__)
