"""The socket's side of one conversation with a server: octets in and out, TLS between, a time limit for each step.

Theory of operation. Every octet goes into the client connection at once, and whole replies are counted. A step says
what it has to say by one write and then waits for a number of replies on one future: no task and no timer per reply.
The one timer of the conversation is moved only when it would ring too late. However a conversation ends (421, a time
limit, a hostile reply, a lost connection), `ending` says so from then on, and nothing is sent any more.

STARTTLS (attack row 4): what comes between the server's 220 and the handshake is a reply to nothing, which ends the
conversation; half a line of it, too. From then on every octet goes through the TLS layer.

Spec: RFC 5321 §4.5.3.2 (time limits), RFC 3207 §4.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from mailstead.net.outbound.tls import ClientTls
from mailstead.net.tls import TlsFailed
from mailstead.proto.connection import RemoteProtocolError
from mailstead.proto.smtp.client import ClientConnection
from mailstead.proto.smtp.types import Reply, ReplyReceived

READ_OCTETS: Final = 65536
LINGER_S: Final = 5.0
"""How long our last words may take to leave."""

_NO_REPLY: Final = sys.maxsize
"""How many replies wake somebody who waits for something else."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long each step may take. Spec: RFC 5321 §4.5.3.2."""

    connect_s: float = 30.0
    handshake_s: float = 60.0
    command_s: float = 300.0
    """For the greeting and each reply to a command."""
    data_start_s: float = 120.0
    data_block_s: float = 180.0
    data_end_s: float = 600.0
    opening_s: float = 900.0
    """After this no further address of a destination is tried."""


class Buffers:
    """What all conversations of one loop share for reading: each read is used up before the next begins."""

    __slots__ = ("plain", "received")

    def __init__(self) -> None:
        self.received = memoryview(bytearray(READ_OCTETS))
        self.plain = memoryview(bytearray(READ_OCTETS))


class Conversation(asyncio.BufferedProtocol):
    """One conversation; used by one coroutine at a time."""

    __slots__ = (
        "_buffers",
        "_deadline_s",
        "_is_write_paused",
        "_limit_s",
        "_loop",
        "_replies",
        "_timer",
        "_timer_at_s",
        "_tls",
        "_tls_failure",
        "_transport",
        "_waiter",
        "_wanted_count",
        "client",
        "ending",
        "local_address",
    )

    def __init__(self, buffers: Buffers) -> None:
        self.client: Final = ClientConnection()
        self.ending: Reply | None = None
        """Why nothing more can be said: the server's 421, or a reply of ours with code 0."""
        self.local_address = ""
        """The address that we connected from."""
        self._buffers = buffers
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tls: ClientTls | None = None
        self._tls_failure: TlsFailed | None = None
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._wanted_count = 0
        self._is_write_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = self._deadline_s = self._limit_s = 0.0

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server has taken the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.local_address = transport.get_extra_info("sockname")[0]

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the shared buffer for one read."""
        del sizehint
        return self._buffers.received

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        view = self._buffers.received[:nbytes]
        tls = self._tls
        if self.ending is not None:
            return
        if tls is None:
            self._understand(bytes(view))
            return
        was_ready = tls.is_ready
        try:
            octets = tls.receive(view)
        except TlsFailed as failure:
            self._write_raw(tls.take_output())  # the alert says why
            self._tls_failure = failure
            self._end(_broken(f"TLS failed: {failure.reason}"), lingers=True)
            return
        self._write_raw(tls.take_output())
        if tls.is_ready and not was_ready:
            self._wake()
        if octets:
            self._understand(octets)
        if tls.is_eof:
            self.eof_received()

    def _understand(self, octets: bytes) -> None:
        """Take what the server says; wake who waits, once there is enough."""
        client = self.client
        client.receive_data(octets)
        try:
            while isinstance(event := client.next_event(), ReplyReceived):
                self._replies.append(event.reply)
                self._deadline_s = self._loop.time() + self._limit_s
        except RemoteProtocolError as error:
            self._end_with(str(error))
            return
        if client.wants_close:
            self._end(self._replies[-1])
        elif len(self._replies) >= self._wanted_count or self._wanted_count == _NO_REPLY:
            self._wake()

    def eof_received(self) -> bool:
        """The server says nothing more: neither do we."""
        self._end_with("The server has closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self._end_with(f"The connection is lost: {exc}" if exc else "The connection is lost")
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """The server takes less than we have to say."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The server has taken enough."""
        self._is_write_paused = False
        if self._wanted_count == _NO_REPLY:
            self._wake()

    # --- saying

    def flush(self) -> None:
        """Send what the client connection has gathered."""
        self._write(self.client.data_to_send())

    def _write(self, octets: bytes) -> None:
        if self.ending is not None or not octets:
            return
        if self._tls is not None:
            try:
                octets = self._tls.send(octets)
            except ssl.SSLError as error:
                self._end_with(f"TLS failed: {error.reason}")
                return
        self._write_raw(octets)

    def _write_raw(self, octets: bytes) -> None:
        if octets and self._transport is not None:
            self._transport.write(octets)

    async def stream(self, pieces: Iterable[bytes], limit_s: float) -> None:
        """Send much, at the pace of the server; an answer before the end ends the conversation."""
        self.flush()
        for piece in pieces:
            if self._is_write_paused and self.ending is None:
                await self._wait(_NO_REPLY, limit_s)
            if self._replies and self._replies[0].code < 400:
                self._replies.clear()  # it cannot be about a message that it has not seen
                self._end_with("An answer came too early")
            elif self._replies:
                self._end(self._replies[0])
            if self.ending is not None:
                return
            self._write(piece)

    # --- waiting

    async def answers(self, count: int, limit_s: float) -> list[Reply]:
        """Give the next replies; fewer when the conversation ends before, and `ending` says why."""
        if len(self._replies) < count and self.ending is None:
            await self._wait(count, limit_s)
        taken = self._replies[:count]
        del self._replies[:count]
        return taken

    async def answer(self, limit_s: float) -> Reply:
        """Send what has gathered and give the next reply, or what ended the conversation."""
        self.flush()
        answers = await self.answers(1, limit_s)
        return answers[0] if answers else self.ending or _broken("No answer")

    async def start_tls(self, tls: ClientTls, limit_s: float) -> None:
        """Shake hands; from now on everything goes through TLS.

        Errors: TlsFailed, also when the connection ends in the middle of it.
        """
        if self._replies or self.client.drop_input():
            self._end_with("Octets behind the reply to STARTTLS")
        if self.ending is None:
            self._tls = tls
            self._write_raw(tls.hello())
            await self._wait(_NO_REPLY, limit_s)
        if self._tls_failure is not None:
            raise self._tls_failure
        if self.ending is not None:
            raise TlsFailed(self.ending.text)

    async def _wait(self, wanted_count: int, limit_s: float) -> None:
        """Wait for that many replies, or the end; the limit is for each reply."""
        self._wanted_count = wanted_count
        self._limit_s = limit_s
        self._deadline_s = self._loop.time() + limit_s
        if self._timer is not None and self._timer_at_s > self._deadline_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            self._wanted_count = 0

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self) -> None:
        self._timer_at_s = self._deadline_s
        self._timer = self._loop.call_at(self._deadline_s, self._look_at_time)

    def _look_at_time(self) -> None:
        self._timer = None
        if self._waiter is None:
            return  # the next wait sets it again
        if self._loop.time() < self._deadline_s:
            self._set_timer()
        else:
            self._end_with("The server has not answered in time")

    # --- the end

    def _end_with(self, text: str) -> None:
        self._end(_broken(text))

    def _end(self, reply: Reply, *, lingers: bool = False) -> None:
        """Nothing more is said or heard; replies that had come before stay.

        `lingers`: what was said last still leaves. Otherwise it does not: the end of a message that we have given up
        would make a copy of it.
        """
        if self.ending is not None:
            return
        self.ending = reply
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport = self._transport
        if transport is not None and lingers:
            transport.close()
            self._timer = self._loop.call_later(LINGER_S, transport.abort)  # for who takes nothing
        elif transport is not None:
            transport.abort()
        self._wake()

    def abort(self, reason: str = "The conversation was given up") -> None:
        """Close at once."""
        self._end_with(reason)

    def quit(self) -> None:
        """Say QUIT and close, without waiting for the answer: it could change nothing. Spec: RFC 5321 §4.1.1.10."""
        if self.client.expected_count:
            self.abort()
        if self.ending is None:
            self.client.send_quit()
            self.flush()
            if self._tls is not None and self.ending is None:
                self._write_raw(self._tls.close())
        self._end(_broken("QUIT was said"), lingers=True)

    # --- what is known

    @property
    def tls(self) -> ClientTls | None:
        """The TLS layer, once there is one."""
        return self._tls


def _broken(text: str) -> Reply:
    return Reply(0, "4.4.2", (text,))
