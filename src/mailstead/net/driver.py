"""The one driver of all mail protocols: moves octets and events between a socket, a connection and its session.

Theory of operation. The driver keeps no input of its own: every octet goes straight into the connection. It then takes
events, one after the other, and gives each to the session. Most are answered in that same call; work that waits
becomes the one task of the conversation, and while it runs no further event is taken. An idle conversation has no task
and no buffer. What the connection has gathered leaves by one write at the end of a batch.

Bounds: a turn handles a limited number of events, so that a pipelining client cannot starve others; reading stops when
output piles up, or when unread input does. Between socket and connection there may be layers: PROXY header, TLS,
compression; each is absent (None) until it is needed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, cast

from mailstead.model.envelope import Peer
from mailstead.net.deflate import DeflateLayer
from mailstead.net.line import Session
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.net.tls import TlsFailed, TlsLayer
from mailstead.proto.connection import NEED_DATA, PAUSED, Connection, RemoteProtocolError
from mailstead.proto.proxy.header import ProxyHeaderReader
from mailstead.telemetry import log, metrics
from mailstead.telemetry.transcript import Transcript

_log = log.get("net")

EVENTS_PER_TURN: Final = 32
"""How many events one conversation may have handled before the others get their turn. Spec: attack row 44."""

UNREAD_OCTETS_MAX: Final = 128 * 1024
"""Above this much input that waits for a reply under way, reading stops."""

GATHERED_OCTETS_MAX: Final = 64 * 1024
"""How many octets of replies wait for the end of the batch."""

DRAINED_OCTETS_PER_TURN: Final = 256 * 1024
"""How much a session may send through `drain` before the others get their turn, however fast the peer takes it."""

LINGER_S: Final = 5.0
"""How long we wait, after our goodbye, for the peer to close: closing at once with unread input would send a TCP
reset, which may destroy the goodbye before the peer has read it."""

LINGER_OCTETS_MAX: Final = 4 * 1024 * 1024


class Driver(asyncio.BufferedProtocol):
    """One conversation. Is the `net.line.Line` of its session."""

    __slots__ = (
        "_admitted",
        "_connection",
        "_deflate",
        "_drain_waiters",
        "_drained_octets",
        "_driven",
        "_events_left",
        "_gathered",
        "_has_eof",
        "_heard_octets",
        "_heard_s",
        "_is_busy",
        "_is_ending",
        "_is_reading_paused",
        "_is_stopping",
        "_is_turn_over",
        "_is_write_paused",
        "_layer_wanted",
        "_linger_octets",
        "_loop",
        "_open_drivers",
        "_peer",
        "_progress_s",
        "_proxy",
        "_pulse",
        "_sent_octets",
        "_session",
        "_side_tasks",
        "_stalled_at_octets",
        "_task",
        "_terms",
        "_tls",
        "_transcript",
        "_transport",
        "_unread_octets",
        "_wants_end",
        "check_second",
    )

    def __init__(self, terms: Terms, pulse: Pulse, open_drivers: set[Driver]) -> None:
        self._terms = terms
        self._pulse = pulse
        self._open_drivers = open_drivers
        self.check_second = 0
        self._session: Session | None = None
        self._connection: Connection[Any] | None = None
        self._transport: asyncio.Transport | None = None
        self._admitted: str | None = None
        self._proxy: ProxyHeaderReader | None = None
        self._tls: TlsLayer | None = None
        self._deflate: DeflateLayer | None = None
        self._layer_wanted: Callable[[], None] | None = None
        self._transcript: Transcript | None = None
        self._task: asyncio.Task[None] | None = None
        self._side_tasks: set[asyncio.Task[None]] | None = None
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        self._is_busy = self._is_turn_over = self._is_ending = self._is_stopping = False
        self._is_reading_paused = self._is_write_paused = self._has_eof = self._wants_end = False
        self._unread_octets = self._heard_octets = self._sent_octets = self._drained_octets = 0
        self._linger_octets = 0
        self._events_left = EVENTS_PER_TURN
        self._gathered = b""
        self._stalled_at_octets = -1
        self._heard_s = self._progress_s = pulse.now_s

    # --- the transport's side: beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._driven = False
        self._open_drivers.add(self)
        remote = transport.get_extra_info("peername") or ("", 0)
        local = transport.get_extra_info("sockname") or ("", 0)
        self._peer = Peer(address=remote[0], port=remote[1], local_port=local[1])
        terms = self._terms
        metrics.CONNECTIONS.labels(terms.service).inc()
        metrics.OPEN_CONNECTIONS.labels(terms.service).inc()
        self._driven = True
        if terms.admission.is_proxy(remote[0]):
            # Spec: attack row 13. Believed only from listed peers, and from them required.
            self._proxy = ProxyHeaderReader()
            self._pulse.arm(self, terms.opening_limit_s)
            if not terms.admission.has_room:
                self._refuse("too many connections")
        else:
            self._open()

    def _open(self) -> None:
        """The peer's address is known: admit it, then greet or await the TLS handshake."""
        terms = self._terms
        reason = terms.admission.enter(self._peer.address)
        if reason is not None:
            self._refuse(reason)
            return
        self._admitted = self._peer.address
        if terms.is_tls_implicit:
            self._insert_tls()
        else:
            self._start_session()

    def _refuse(self, reason: str) -> None:
        """Say that there is no room and close. Spec: attack rows 10, 48."""
        assert self._transport is not None
        metrics.refused(self._terms.service, "limit", reason)
        refusal = self._terms.refusals.get(reason, self._terms.refusal)
        if refusal and not self._terms.is_tls_implicit:
            self._transport.write(refusal)
        self._is_ending = True
        self._transport.close()

    def _start_session(self) -> None:
        terms = self._terms
        if terms.make_transcript is not None:
            self._transcript = terms.make_transcript(self._peer)
        self._session = session = terms.make_session()
        self._connection = session.connection
        self._is_busy = True
        work = None
        try:
            work = session.started(self)
        except Exception as error:  # noqa: BLE001  # the frontier: a bug in one session must not end the process
            self._report_bug(error)
        self._is_busy = False
        self._settle(is_idle=work is None)
        if work is not None:
            self._begin(work)
        elif self._is_stopping:
            self.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        del exc  # resets are ordinary on the Internet
        self._transport = None
        self._release()
        if self._driven:
            self._driven = False
            metrics.OPEN_CONNECTIONS.labels(self._terms.service).dec()
            if self._admitted is not None:
                self._terms.admission.leave(self._admitted)
            self._pulse.disarm(self)
            self._open_drivers.discard(self)

    def _release(self) -> None:
        """The conversation is over: let go of session, tasks and layers. May be called again."""
        self._is_ending = True
        session, self._session, self._connection = self._session, None, None
        current = asyncio.current_task() if self._task or self._side_tasks else None
        for task in (self._task, *(self._side_tasks or ())):
            if task is not None and task is not current:
                task.cancel()
        for waiter in self._drain_waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._drain_waiters = None
        if self._deflate is not None:
            self._deflate.close()
        self._deflate = self._tls = None
        if session is not None:
            try:
                session.ended()
            except Exception as error:  # noqa: BLE001  # the frontier, as above
                metrics.BUGS.labels(self._terms.service).inc()
                _log.exception("session failed to end", service=self._terms.service, exc_info=error)

    # --- the transport's side: input

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the loop's shared buffer for one read."""
        del sizehint
        return self._pulse.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        view = self._pulse.read_buffer[:nbytes]
        try:
            if self._is_ending:
                self._linger_octets += nbytes
                if self._linger_octets > LINGER_OCTETS_MAX and self._transport is not None:
                    self._transport.abort()
            elif self._proxy is not None:
                self._read_proxy_header(bytes(view))
            else:
                self._receive(view)
        except Exception as error:  # noqa: BLE001  # the frontier: a bug in one conversation must not end the process
            self._break_off(error)

    def _read_proxy_header(self, data: bytes) -> None:
        assert self._proxy is not None
        assert self._transport is not None
        try:
            header = self._proxy.receive(data)
        except RemoteProtocolError as error:
            metrics.refused(self._terms.service, "proxy", "bad header")
            _log.warning("PROXY header refused", peer=self._peer.address, reason=str(error))
            self._transport.abort()
            return
        if header is None:
            return
        rest, self._proxy = self._proxy.rest, None
        if header.source is not None:
            self._peer = replace(self._peer, address=header.source[0], port=header.source[1])
        self._open()
        if rest and not self._is_ending:
            self._receive(memoryview(rest))

    def _receive(self, view: memoryview) -> None:
        """Take octets of the socket through the layers into the connection."""
        tls = self._tls
        if tls is None:
            data = bytes(view)
        else:
            was_ready = tls.is_ready
            try:
                data = tls.receive(view)
            except TlsFailed as error:
                self._tls_failed(tls, error)
                return
            if not was_ready or not data:
                self._write_raw(tls.take_output())
                if not was_ready and tls.is_ready:
                    self._handshake_done(tls)
        if data and not self._is_ending and self._connection is not None:
            self._feed(data)
        if tls is not None and tls.is_eof:
            self.eof_received()

    def _feed(self, data: bytes) -> None:
        """Give plain (perhaps compressed) octets to the connection and take a turn."""
        assert self._connection is not None
        self._heard_s = self._pulse.now_s
        self._heard_octets += len(data)
        self._unread_octets += len(data)
        if self._deflate is not None:
            self._deflate.receive(data)
        else:
            if self._transcript is not None:
                self._transcript.received(data)
            self._connection.receive_data(data)
        if self._task is None and not self._is_turn_over and not self._is_busy:
            self._turn()
        elif self._unread_octets > UNREAD_OCTETS_MAX:
            self._regulate_reading()

    def eof_received(self) -> bool:
        """The peer sends nothing more; what it has sent is still answered."""
        if self._has_eof:
            return True
        self._has_eof = True
        if self._is_ending or self._connection is None:
            if self._transport is not None:
                self._transport.close()
        else:
            self._connection.receive_eof()
            self.pump()
        return True  # the transport stays open for our answers; we close it

    # --- turns: events in, replies out

    def _turn(self) -> None:
        """Handle what can be handled now; start the task if there is something to wait for."""
        self._events_left = EVENTS_PER_TURN
        work = self._next_work()
        if work is not None:
            self._begin(work)

    def _begin(self, work: Awaitable[None]) -> None:
        self._task = self._loop.create_task(self._converse(work))

    async def _converse(self, work: Awaitable[None] | None) -> None:
        """Await work, and further work found right behind it, in one task."""
        try:
            while work is not None:
                try:
                    await work
                except Exception as error:  # noqa: BLE001  # the frontier, as above
                    self._report_bug(error)
                self._progress_s = self._pulse.now_s
                self._heard_octets = 0
                if self._events_left <= 0:  # work need not have waited for anything
                    await asyncio.sleep(0)  # not a wait: the turn of other conversations
                    self._events_left = EVENTS_PER_TURN
                work = self._next_work()
            self._task = None
            if self._is_stopping and not self._is_ending:
                self.stop()
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception as error:  # noqa: BLE001  # the frontier, as above
            self._break_off(error)

    def _next_work(self) -> Awaitable[None] | None:
        """Handle events until one needs waiting (give that work) or there is none, then send the replies."""
        session, connection = self._session, self._connection
        if session is None or connection is None:
            return None
        work: Awaitable[None] | None = None
        self._is_busy = True
        while not (self._is_write_paused or self._layer_wanted or self._wants_end or self._is_ending):
            try:
                event = connection.next_event()
                if event is NEED_DATA and self._deflate is not None:
                    data = self._deflate.more()
                    if data:
                        if self._transcript is not None:
                            self._transcript.received(data)
                        connection.receive_data(data)
                        self._events_left -= 1
                        if self._events_left <= 0:
                            self._yield_turn()
                            break
                        continue
            except RemoteProtocolError as error:
                metrics.refused(self._terms.service, "protocol", "broken")
                self._flush()
                if error.reply_hint:
                    self._write(error.reply_hint + b"\r\n")
                self._wants_end = True
                break
            except Exception as error:  # noqa: BLE001  # the frontier, as above
                self._report_bug(error)
                self._wants_end = True
                break
            if event is NEED_DATA:
                self._unread_octets = 0
                if self._has_eof:
                    self._wants_end = True
                break
            if event is PAUSED:
                # Who has hung up while nobody works on an answer (IDLE) shall not stay for ever.
                if self._has_eof and not self._side_tasks:
                    self._wants_end = True
                break
            self._events_left -= 1
            try:
                work = session.handle(event)
            except Exception as error:  # noqa: BLE001  # the frontier, as above
                self._report_bug(error)
            if work is not None or connection.wants_close:
                break
            # Replies are gathered for one write, but many large ones must not pile up within a batch.
            self._gathered += connection.data_to_send()
            if len(self._gathered) > GATHERED_OCTETS_MAX and self._flush():
                self._progress_s = self._pulse.now_s
            if self._events_left <= 0:
                self._yield_turn()
                break
        self._is_busy = False
        self._settle(is_idle=work is None)
        return work

    def _yield_turn(self) -> None:
        """Go on in the next round of the loop, after the others."""
        self._is_turn_over = True
        self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_turn_over = False
        if self._task is None and not self._is_ending:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001  # the frontier, as above
                self._break_off(error)

    def _settle(self, *, is_idle: bool) -> None:
        """A batch is done: send replies, then insert a layer or close if that was asked for, then regulate."""
        connection = self._connection
        if connection is None or self._is_ending:
            return
        if self._flush():
            self._progress_s = self._pulse.now_s
            self._heard_octets = 0
        if is_idle:
            if self._wants_end or connection.wants_close:
                self._end()
                return
            if self._layer_wanted is not None:
                insert, self._layer_wanted = self._layer_wanted, None
                insert()
                if self._is_ending:
                    return
        self._regulate_reading()
        limit_s = connection.time_limit_s
        if limit_s is not None:
            self._pulse.arm(self, limit_s)

    def _regulate_reading(self) -> None:
        """Stop reading while output or unread input piles up."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        is_too_much = self._is_write_paused or self._unread_octets > UNREAD_OCTETS_MAX
        if is_too_much and not self._is_reading_paused:
            self._is_reading_paused = True
            transport.pause_reading()
        elif self._is_reading_paused and not is_too_much:
            self._is_reading_paused = False
            transport.resume_reading()

    def _report_bug(self, error: Exception) -> None:
        """Log what no table knows, and let the session answer vaguely and temporarily."""
        if self._is_ending and isinstance(error, ConnectionError):
            return
        service = self._terms.service
        metrics.BUGS.labels(service).inc()
        _log.error("unexpected exception in a session", service=service, exc_info=error)
        if self._session is None:
            return
        try:
            self._session.failed(error)
        except Exception as second_error:  # noqa: BLE001  # the frontier, as above
            _log.exception("the session could not even answer that", service=service, exc_info=second_error)
            self.abort()

    def _break_off(self, error: Exception) -> None:
        """A bug in the connection or in this driver: nothing sensible can be said any more."""
        metrics.BUGS.labels(self._terms.service).inc()
        _log.error("conversation broken off by a bug", service=self._terms.service, exc_info=error)
        self.abort()

    # --- output

    def _flush(self) -> bool:
        """Send what the connection has gathered; whether there was anything."""
        if self._connection is None:
            return False
        data = self._gathered + self._connection.data_to_send()
        if not data:
            return False
        self._gathered = b""
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        """Send plain octets through the layers."""
        if self._transcript is not None:
            self._transcript.sent(data)
        self._drained_octets += len(data)
        if self._deflate is not None:
            data = self._deflate.send(data)
        if self._tls is not None:
            try:
                data = self._tls.send(data)
            except ssl.SSLError as error:
                self._tls_failed(self._tls, TlsFailed(error.reason or "tls"))
                return
        self._write_raw(data)

    def _write_raw(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._sent_octets += len(data)
            self._transport.write(data)

    def pause_writing(self) -> None:
        """Output piles up: the peer reads more slowly than we write."""
        self._is_write_paused = True
        self._regulate_reading()
        self._stalled_at_octets = -1
        self._pulse.arm(self, self._terms.send_limit_s)

    def resume_writing(self) -> None:
        """The peer has taken enough."""
        self._is_write_paused = False
        self._progress_s = self._pulse.now_s
        for waiter in self._drain_waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._drain_waiters = None
        self.pump()
        self._regulate_reading()

    # --- layers

    def _insert_tls(self) -> None:
        """Put TLS between socket and connection; the next octets are the peer's hello."""
        assert self._terms.context is not None
        self._tls = TlsLayer(self._terms.context(), self._pulse.plain_buffer)
        self._pulse.arm(self, self._terms.opening_limit_s)
        self._progress_s = self._pulse.now_s

    def _insert_tls_after_reply(self) -> None:
        """STARTTLS: the reply has left in clear text. Spec: RFC 3207 §4.2, RFC 9051 §6.2.1; attack row 3."""
        if self._has_dropped_input("starttls"):
            return
        self._insert_tls()

    def _insert_deflate(self) -> None:
        """COMPRESS: the reply has left uncompressed. Spec: RFC 4978 §3, no command may be sent before the reply."""
        if self._has_dropped_input("compress"):
            return
        self._deflate = DeflateLayer()

    def _has_dropped_input(self, layer: str) -> bool:
        """Whether octets were pipelined where a layer begins: injected or confused, they are dropped and we close."""
        assert self._connection is not None
        dropped_octets = self._connection.drop_input()
        self._unread_octets = 0
        if not dropped_octets:
            return False
        metrics.refused(self._terms.service, layer, "pipelined input")
        _log.warning("input before a new layer dropped", peer=self._peer.address, layer=layer, octets=dropped_octets)
        self._end()
        return True

    def _handshake_done(self, tls: TlsLayer) -> None:
        self._peer = replace(self._peer, tls_version=tls.version, tls_cipher=tls.cipher)
        self._progress_s = self._heard_s = self._pulse.now_s
        if self._session is None:
            self._start_session()
        else:
            self._settle(is_idle=True)

    def _tls_failed(self, tls: TlsLayer, error: TlsFailed) -> None:
        metrics.refused(self._terms.service, "tls", "handshake" if not tls.is_ready else "record")
        _log.info("TLS failed", service=self._terms.service, peer=self._peer.address, reason=error.reason)
        self._write_raw(tls.take_output())
        self._is_ending = True
        self._release()
        if self._transport is not None:
            self._transport.close()

    # --- time

    def check_time(self) -> None:
        """A limit may have passed; see who is late."""
        now_s = self._pulse.now_s
        terms = self._terms
        transport = self._transport
        if transport is None:
            return
        try:
            if self._is_write_paused or (self._is_ending and transport.get_write_buffer_size()):
                self._check_stalled(transport)
            elif self._is_ending:
                transport.abort()
            elif self._connection is None or (self._tls is not None and not self._tls.is_ready):
                left_s = self._progress_s + terms.opening_limit_s - now_s
                if left_s > 0:
                    self._pulse.arm(self, left_s)
                else:
                    metrics.refused(terms.service, "time", "handshake")
                    transport.abort()
            else:
                self._check_silence(self._connection, now_s)
        except Exception as error:  # noqa: BLE001  # the frontier, as above; the others still want their time checked
            self._break_off(error)

    def _check_stalled(self, transport: asyncio.Transport) -> None:
        """Cut off who has taken nothing since the last look."""
        taken_octets = self._sent_octets - transport.get_write_buffer_size()
        if taken_octets == self._stalled_at_octets:
            metrics.refused(self._terms.service, "time", "takes nothing")
            transport.abort()
            return
        self._stalled_at_octets = taken_octets
        self._pulse.arm(self, self._terms.send_limit_s)

    def _check_silence(self, connection: Connection[Any], now_s: float) -> None:
        """Say goodbye to who is silent, or so slow that it only pretends to speak. Spec: attack row 10."""
        limit_s = connection.time_limit_s
        if limit_s is None:
            return  # `_settle` arms again
        if self._task is not None:
            self._pulse.arm(self, limit_s)
            return
        quiet_since_s = max(self._heard_s, self._progress_s)
        since_progress_s = now_s - self._progress_s
        is_silent = now_s - quiet_since_s >= limit_s
        is_slow = since_progress_s >= limit_s and self._heard_octets < self._terms.octets_per_s_min * since_progress_s
        if is_silent or is_slow:
            metrics.refused(self._terms.service, "time", "silent" if is_silent else "slow")
            connection.time_limit_passed()
            self._wants_end = True
            self._settle(is_idle=True)
            return
        next_s = min(quiet_since_s, self._progress_s) + limit_s
        if since_progress_s >= limit_s:  # long, but fast enough: measure anew
            next_s = quiet_since_s + limit_s
            self._progress_s = now_s
            self._heard_octets = 0
        self._pulse.arm(self, max(next_s - now_s, 0.0))

    # --- the end

    def _end(self) -> None:
        """Everything is said: let what was written leave, then close."""
        transport, tls = self._transport, self._tls
        if self._is_ending or transport is None:
            return
        if tls is not None:
            self._write_raw(tls.close())
        self._release()
        if transport.is_closing():
            return
        if self._has_eof or self._is_stopping or not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        self._pulse.disarm(self)
        self._pulse.arm(self, LINGER_S)
        if self._is_reading_paused:
            self._is_reading_paused = False
            transport.resume_reading()

    def stop(self) -> None:
        """The server stops: let the session say goodbye when its reply is done."""
        self._is_stopping = True
        if self._is_ending:
            if self._transport is not None:
                self._transport.close()
        elif self._session is None:
            self.abort()
        else:
            try:
                self._session.stopping()
            except Exception as error:  # noqa: BLE001  # the frontier, as above
                self._report_bug(error)
            self.flush()

    # --- the session's side (net.line.Line)

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._peer

    def start_tls(self) -> None:
        """Insert TLS after the reply."""
        self._want_layer(self._insert_tls_after_reply)

    def start_deflate(self) -> None:
        """Insert compression after the reply."""
        self._want_layer(self._insert_deflate)

    def _want_layer(self, insert: Callable[[], None]) -> None:
        self._layer_wanted = insert
        if self._task is None and not self._is_busy:
            self._settle(is_idle=True)

    def flush(self) -> None:
        """Send what has gathered; from outside `handle`."""
        if self._is_ending:
            return
        self._flush()  # apart from `_settle`, as news from us does not prove that the peer is alive
        if self._task is None and not self._is_busy:
            self._settle(is_idle=True)

    async def drain(self) -> None:
        """Send, then wait while the peer has more than enough to read."""
        self._flush()
        if self._is_write_paused:
            if self._drain_waiters is None:
                self._drain_waiters = []
            waiter = self._loop.create_future()
            self._drain_waiters.append(waiter)
            self._drained_octets = 0
            await waiter
        elif self._drained_octets > DRAINED_OCTETS_PER_TURN:
            self._drained_octets = 0
            await asyncio.sleep(0)  # not a wait: the turn of other conversations
        if self._is_ending:
            raise ConnectionAbortedError("the peer is gone")

    def pump(self) -> None:
        """Look for events."""
        if self._task is None and not self._is_busy and not self._is_turn_over and not self._is_ending:
            self._turn()

    def spawn(self, work: Awaitable[None]) -> None:
        """Run work beside the conversation, at most as long as it."""
        if self._is_ending:
            if isinstance(work, Coroutine):
                work.close()
            return
        if self._side_tasks is None:
            self._side_tasks = set()
        task = self._loop.create_task(self._run_beside(work))
        if isinstance(work, Coroutine):
            # a task that is cancelled before its first step never awaits the work; closing twice does no harm
            task.add_done_callback(lambda _: work.close())
        self._side_tasks.add(task)

    async def _run_beside(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # the frontier, as above
            self._report_bug(error)
        task = asyncio.current_task()
        if self._side_tasks is not None and task is not None:
            self._side_tasks.discard(task)
        self.flush()
        self.pump()

    def close(self) -> None:
        """Flush and close, once the work under way is done."""
        self._wants_end = True
        if self._task is None and not self._is_busy:
            self._settle(is_idle=True)

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._is_ending = True
            self._transport.abort()
