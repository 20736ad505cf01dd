"""``GET /v1/ws``: what happens in an account, told as it happens. Nothing is taken in but a log-in.

Who listens says who it is in one of four ways: the owner's address and password, or an API token and ``alias_id``, as
HTTP Basic; either of them in the first frame (``auth=message``); or nothing, and then only broadcasts are told, of
which the house has none: it does not look for releases.

A connection has a queue of bounded size. Who reads so slowly that it overflows is cut off, and comes back to look by
itself, as after any loss of a connection.

Spec: reference forwardemail 4.5; RFC 6455; attack rows 10, 61, 64, 89, 92.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    MailsteadError,
    NoSuchAlias,
    NotAllowed,
    TlsRequired,
    TooManyFailures,
)
from mailstead.model.secret import Secret
from mailstead.net.http_requests import must_be_asked_here, must_be_private, peer_of
from mailstead.services.api import socket_frames
from mailstead.services.api.endpoints import Auth
from mailstead.services.api.errors import Refusal, body_of, headers_of, refusal_of
from mailstead.services.api.house import ApiHouse
from mailstead.services.api.log_in import SERVICE, WHAT, log_in
from mailstead.services.api.socket_frames import Frames
from mailstead.services.api.socket_limits import SocketLimits, SocketTerms, TooMany
from mailstead.services.api.socket_log_in import (
    CHANGED,
    LATER,
    MALFORMED,
    REFUSED,
    SILENT,
    TOO_MANY,
    TRUE,
    WRONG,
    Closed,
    LogIn,
    log_in_of,
    query_of,
)
from mailstead.telemetry import log, metrics
from mailstead.usecases.account_events import Listened
from mailstead.usecases.happenings import Happening

_log = log.get("api")

Socket = Callable[[Scope, Receive, Send], Awaitable[None]]


def make_socket(house: ApiHouse, terms: SocketTerms | None = None) -> Socket:
    """Give what answers WebSocket handshakes; its limits are for all of them together."""
    limits = SocketLimits(terms or SocketTerms(), house.clock)
    frames = Frames(house.events, house.terms.base_url)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await _Conversation(house, limits, frames, scope, receive, send).run()

    return answer


class _Conversation:
    """One WebSocket, from its handshake to its end."""

    def __init__(
        self, house: ApiHouse, limits: SocketLimits, frames: Frames, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._house = house
        self._limits = limits
        self._frames = frames
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_accepted = False
        self._is_packed = False
        self._queue: deque[dict[str, Any]] = deque()
        self._queued_octets = 0
        self._woken = asyncio.Event()
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        """Set when we end it: with which code, and why."""

    async def run(self) -> None:
        """Speak until one side ends it."""
        message = await self._receive()
        if message["type"] != "websocket.connect":
            return
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
        except Closed as closed:
            await self._close(closed.code, closed.reason)
        except Refusal as refusal:
            await self._refuse(refusal)
        except MailsteadError as error:
            await self._fail(error)
        except _Gone:
            pass

    # who it is

    async def _open(self, stack: AsyncExitStack) -> None:
        request = HTTPConnection(self._scope)
        peer = peer_of(request)
        query = query_of(self._scope)
        try:
            stack.enter_context(self._limits.opened(peer.address))
        except TooMany:
            raise Refusal(429, "Too many connections; please try again later") from None
        must_be_private(peer, WHAT, allows_clear_text=self._house.terms.allows_clear_text)
        must_be_asked_here(request, self._house.terms.allowed_origins, self._house.terms.base_url)
        self._is_packed = query.get("msgpackr", "").lower() in TRUE
        has_field = "authorization" in request.headers
        by_frame = query.get("auth", "") == "message"
        if query.get("auth", "message") != "message" or (has_field and by_frame):
            raise Refusal(400, "Log in either by the Authorization field or, with auth=message, by the first frame")
        if by_frame:
            await self._listen_by_frame(stack, peer)
        elif has_field:
            await self._listen_by_field(stack, request, peer, query.get("alias_id", ""))
        else:
            await self._listen_to_broadcasts(stack, peer)

    async def _listen_to_broadcasts(self, stack: AsyncExitStack, peer: Peer) -> None:
        try:
            stack.enter_context(self._limits.anonymous(peer.address))
        except TooMany:
            raise Refusal(429, "Too many connections without log-in") from None
        await self._accept()
        self._put(socket_frames.connected(None))
        await self._speak()

    async def _listen_by_field(self, stack: AsyncExitStack, request: HTTPConnection, peer: Peer, alias_id: str) -> None:
        try:
            actor = await log_in(request, self._house, peer, Auth.BOTH)
        except (AuthenticationFailed, Refusal):
            self._limits.failed(peer.address)
            raise
        listened = await self._listened(actor, alias_id)
        try:
            stack.enter_context(self._limits.of_account(listened.account.account_id))
        except TooMany:
            raise Refusal(429, "Too many connections to this mailbox") from None
        await self._listen(stack, actor, listened)

    async def _listen_by_frame(self, stack: AsyncExitStack, peer: Peer) -> None:
        async with AsyncExitStack() as waiting:
            try:
                waiting.enter_context(self._limits.waiting(peer.address))
            except TooMany:
                raise Refusal(429, "Too many connections that have not logged in") from None
            await self._accept()
            wanted = log_in_of(await self._first_frame())
            actor, listened = await self._let_in(wanted, peer)
        try:
            stack.enter_context(self._limits.of_account(listened.account.account_id))
        except TooMany:
            raise Closed(TOO_MANY, "Too many connections to this mailbox") from None
        await self._listen(stack, actor, listened)

    async def _first_frame(self) -> dict[str, Any]:
        """Errors: Closed, _Gone."""
        try:
            async with asyncio.timeout(self._limits.terms.log_in_s):
                message = await self._receive()
        except TimeoutError:
            raise Closed(SILENT, "No log-in came") from None
        if message["type"] != "websocket.receive":
            raise _Gone
        return dict(message)

    async def _let_in(self, wanted: LogIn, peer: Peer) -> tuple[Actor, Listened]:
        """Errors: Closed."""
        try:
            if wanted.password:
                secret = Secret(wanted.password)
                actor = await self._house.accounts.log_in(wanted.username, secret, peer, SERVICE)
            else:
                actor = await self._house.users.act_with_token(Secret(wanted.username), peer)
            return actor, await self._listened(actor, wanted.alias_id)
        except TooManyFailures:
            raise Closed(TOO_MANY, "Too many wrong log-ins; please try again later") from None
        except AuthenticationFailed as error:
            self._limits.failed(peer.address)
            raise Closed(WRONG, error.public_text) from None

    async def _listened(self, actor: Actor, alias_id: str) -> Listened:
        """Errors: Refusal."""
        try:
            return await self._house.account_events.listened(actor, alias_id)
        except NoSuchAlias as error:
            raise Refusal(403, error.public_text) from None

    # listening

    async def _listen(self, stack: AsyncExitStack, actor: Actor, listened: Listened) -> None:
        def deliver(happenings: Sequence[Happening]) -> None:
            now = self._house.clock.now()
            for each in happenings:
                self._put(self._frames.of(each, listened, now))

        def revoked() -> None:
            self._end(CHANGED, "The credentials have changed")

        stack.enter_context(self._house.accounts.watch_revocations(actor, revoked))
        await stack.enter_async_context(self._house.account_events.watch(listened, self._guarded(deliver)))
        if not self._is_accepted:
            await self._accept()
        # Before anything that was told since the account is watched.
        self._queue.appendleft(socket_frames.encoded(socket_frames.connected(listened), is_packed=self._is_packed))
        self._woken.set()
        await self._speak()

    def _guarded(self, deliver: Callable[[Sequence[Happening]], None]) -> Callable[[Sequence[Happening]], None]:
        """Keep a bug with one listener's frames from all others."""

        def guarded(happenings: Sequence[Happening]) -> None:
            try:
                deliver(happenings)
            except Exception:  # noqa: BLE001  logged with its stack, and counted
                metrics.BUGS.labels("api socket").inc()
                _log.exception("an event could not be told")
                self._end(LATER, "Something went wrong here")

        return guarded

    def _put(self, frame: dict[str, Any]) -> None:
        if self._ended.done():
            return
        message = socket_frames.encoded(frame, is_packed=self._is_packed)
        self._queued_octets += socket_frames.size_octets(message)
        self._queue.append(message)
        terms = self._limits.terms
        if self._queued_octets > terms.queued_octets or len(self._queue) > terms.queued_frames:
            self._queue.clear()
            self._queued_octets = 0
            self._end(LATER, "Events were not read quickly enough")
        self._woken.set()

    def _end(self, code: int, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result((code, reason))

    async def _speak(self) -> None:
        """Send what is put, and take in nothing, until either side ends it. Errors: Closed, _Gone."""
        sending, hearing = self._task(self._send_all()), self._task(self._hear())
        waited: set[asyncio.Future[Any]] = {sending, hearing, self._ended}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, hearing):
                task.cancel()
            await asyncio.gather(sending, hearing, return_exceptions=True)
        if self._ended.done():
            raise Closed(*self._ended.result())
        raise _Gone

    @staticmethod
    def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.create_task(work)

    async def _send_all(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                message = self._queue.popleft()
                await self._send(message)
                # Counted as queued until it is out of our hands.
                self._queued_octets = max(0, self._queued_octets - socket_frames.size_octets(message))

    async def _hear(self) -> None:
        while (await self._receive())["type"] != "websocket.disconnect":
            pass  # what a client says after its log-in is nothing to us

    # ways to end

    async def _accept(self) -> None:
        await self._send({"type": "websocket.accept"})
        self._is_accepted = True

    async def _close(self, code: int, reason: str) -> None:
        """Close; who does not read is cut off after a moment, so that nothing is kept for him."""
        abort = self._scope.get("state", {}).get("abort")
        try:
            async with asyncio.timeout(self._limits.terms.cut_s):
                await self._send({"type": "websocket.close", "code": code, "reason": reason[:100]})
        except TimeoutError:
            if abort is not None:
                abort()
        except (OSError, RuntimeError):
            pass  # the other side was quicker

    async def _refuse(self, refusal: Refusal) -> None:
        if self._is_accepted:
            code = {400: MALFORMED, 401: WRONG, 403: REFUSED, 429: TOO_MANY}.get(refusal.status, LATER)
            await self._close(code, refusal.message)
            return
        octets, media_type = body_of(refusal, is_ours=False)
        fields = {**headers_of(refusal), "content-type": media_type, "content-length": str(len(octets))}
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        await self._send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": octets})

    async def _fail(self, error: MailsteadError) -> None:
        if isinstance(error, (NotAllowed, TlsRequired)) and self._is_accepted:
            await self._close(REFUSED, error.public_text)
            return
        if error.is_temporary and not isinstance(error, TooManyFailures):
            _log.warning("a socket is put off", error=error.public_text, **error.log_fields)
        await self._refuse(refusal_of(error))


class _Gone(Exception):
    """The other side has ended it."""
