"""Plays a conversation written as text against a connection and its session, in memory or over a wire.

Format of a dialogue file:

    # comment
    key: value            the head: what the dialogue needs (each wire's test says which keys it knows)
    ---
    C: EHLO client        the client sends this line (CRLF is added)
    C~ a\\r\\n\\x00          the client sends exactly this, with Python escapes, no CRLF
    S: 250 ...            the server sends this line; `...` stands for anything, `$name` is captured on first sight and
                          must be the same later (also usable in C lines); `$$` is a dollar sign
    S*: * 2 EXISTS        like S, but consecutive S* lines may come in any order
    TLS                   both sides begin TLS (after STARTTLS or STLS was answered)
    DEFLATE               both sides begin compression
    EOF                   the client sends nothing more
    CLOSED                the server has closed
    C2: S2: S2*: TLS2     the same for a second client, and so on

A dialogue is replayed whole (all C lines up to the next S in one piece), byte by byte, and at random cuts; every
replay needs a fresh store, so `play_in_cuts` asks its caller for a fresh stage each time. See tests/services/smtp for use.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import ssl
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from mailstead.model.envelope import Peer
from mailstead.net.line import Session
from mailstead.proto.connection import NEED_DATA, PAUSED, RemoteProtocolError

REPLY_LIMIT_S = 20.0
CUTS = ("whole", "bytes", "random 1", "random 2")


class Conversation(Protocol):
    """One client's end, in memory or over a socket."""

    async def send(self, data: bytes) -> None: ...

    async def send_eof(self) -> None: ...

    async def line(self) -> bytes:
        """The next line from the server without CRLF. EOFError: it has closed."""

    async def start_tls(self) -> None: ...

    async def start_deflate(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Step:
    kind: str
    client: int
    text: str
    number: int


@dataclass(frozen=True)
class Dialogue:
    path: Path
    head: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


_STEP = re.compile(r"(?:(C|S)(\d?)(\*?:|~) ?(.*)|(TLS|DEFLATE|EOF|CLOSED)(\d?))")


def read(path: Path) -> Dialogue:
    """Read a dialogue file."""
    head: dict[str, str] = {}
    steps: list[Step] = []
    in_head = True
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("#") or not line.strip():
            continue
        if in_head:
            if line.strip() == "---":
                in_head = False
            else:
                key, _, value = line.partition(":")
                head[key.strip()] = value.strip()
            continue
        match = _STEP.fullmatch(line)
        assert match, f"{path.name}:{number}: not a step: {line}"
        side, client, mark, text, word, word_client = match.groups()
        kind = word or (side + mark.rstrip(":"))
        steps.append(Step(kind, int(client or word_client or 1), text or "", number))
    return Dialogue(path, head, tuple(steps))


def dialogues(folder: Path) -> list[Path]:
    """All dialogue files of a folder, for `pytest.mark.parametrize` with `ids=lambda path: path.stem`."""
    return sorted(folder.glob("*.txt"))


class MemoryLine:
    """The `net.line.Line` of a session in memory: does what the driver does, in the same order, without a socket."""

    def __init__(self, session: Session, peer: Peer) -> None:
        self.session = session
        self.peer = peer
        self.output = b""
        self.output_changed = asyncio.Event()
        self.is_closed = False
        self.bugs: list[Exception] = []
        self._task: asyncio.Task[None] | None = None
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._is_busy = False
        self._wants_end = False

    def open(self) -> None:
        self._is_busy = True
        work = self.session.started(self)
        self._is_busy = False
        self._go_on(work)

    def _go_on(self, work: Awaitable[None] | None) -> None:
        if work is None:
            work = self._next_work()
        if work is not None:
            self._task = asyncio.get_running_loop().create_task(self._converse(work))
        else:
            self._settle()

    async def _converse(self, work: Awaitable[None] | None) -> None:
        while work is not None:
            try:
                await work
            except Exception as error:
                self.bugs.append(error)
                self.session.failed(error)
            self.flush()
            work = self._next_work()
        self._task = None
        self._settle()

    def _next_work(self) -> Awaitable[None] | None:
        connection = self.session.connection
        self._is_busy = True
        work = None
        while work is None and not self._wants_end and not self.is_closed:
            try:
                event = connection.next_event()
            except RemoteProtocolError as error:
                self.output += error.reply_hint + b"\r\n"
                self._wants_end = True
                break
            if event is NEED_DATA or event is PAUSED:
                break
            try:
                work = self.session.handle(event)
            except Exception as error:
                self.bugs.append(error)
                self.session.failed(error)
        self._is_busy = False
        return work

    def _settle(self) -> None:
        self.flush()
        if (self._wants_end or self.session.connection.wants_close) and not self.is_closed:
            self.end()

    def end(self) -> None:
        self.is_closed = True
        self.output_changed.set()
        self.session.ended()

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._side_tasks) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self.is_closed:
            self.end()

    # net.line.Line

    def start_tls(self) -> None:
        self.flush()
        if self.session.connection.drop_input():
            self._wants_end = True
        self.peer = replace(self.peer, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")

    def start_deflate(self) -> None:
        """Compression is the driver's, and invisible here."""
        self.flush()

    def flush(self) -> None:
        data = self.session.connection.data_to_send()
        if data:
            self.output += data
            self.output_changed.set()

    async def drain(self) -> None:
        self.flush()
        await asyncio.sleep(0)

    def pump(self) -> None:
        if self._task is None and not self._is_busy and not self.is_closed:
            self._go_on(None)

    def spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                self.bugs.append(error)
                self.session.failed(error)
            self.flush()
            self.pump()

        task = asyncio.get_running_loop().create_task(run())
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    def close(self) -> None:
        self._wants_end = True
        if self._task is None and not self._is_busy:
            self._settle()

    def abort(self) -> None:
        self.end()


class MemoryConversation:
    """A client's end in memory. Bugs that the driver would only log are failures here."""

    def __init__(self, session: Session, peer: Peer | None = None) -> None:
        self.memory_line = MemoryLine(session, peer or Peer("192.0.2.1", 50000, 2525))
        self.memory_line.open()

    async def send(self, data: bytes) -> None:
        if not self.memory_line.is_closed:
            self.memory_line.session.connection.receive_data(data)
            self.memory_line.pump()
        await asyncio.sleep(0)

    async def send_eof(self) -> None:
        if not self.memory_line.is_closed:
            self.memory_line.session.connection.receive_eof()
            self.memory_line.pump()

    async def line(self) -> bytes:
        memory_line = self.memory_line
        while b"\r\n" not in memory_line.output:
            if memory_line.is_closed:
                raise EOFError(memory_line.output)
            memory_line.output_changed.clear()
            await asyncio.wait_for(memory_line.output_changed.wait(), REPLY_LIMIT_S)
        line, _, memory_line.output = memory_line.output.partition(b"\r\n")
        return line

    async def start_tls(self) -> None:
        assert self.memory_line.peer.is_encrypted, "the session has not asked for TLS"

    async def start_deflate(self) -> None:
        """The same octets, uncompressed."""

    async def close(self) -> None:
        await self.memory_line.stop()
        assert not self.memory_line.bugs, self.memory_line.bugs


class SocketConversation:
    """A client's end over TCP, with TLS and compression where the dialogue begins them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._context = context
        self._lines = b""
        self._inflate: Any = None
        self._deflate: Any = None

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext, *, is_tls: bool = False) -> SocketConversation:
        reader, writer = await asyncio.open_connection(host, port, ssl=context if is_tls else None)
        return cls(reader, writer, context)

    async def send(self, data: bytes) -> None:
        if self._deflate:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        with contextlib.suppress(ConnectionError):  # the server may have closed behind an earlier piece
            self._writer.write(data)
            await self._writer.drain()
        await asyncio.sleep(0)

    async def send_eof(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self._writer.close()  # TLS knows no half-closed connection

    async def line(self) -> bytes:
        while b"\r\n" not in self._lines:
            try:
                data = await asyncio.wait_for(self._reader.read(65536), REPLY_LIMIT_S)
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError(self._lines)
            self._lines += self._inflate.decompress(data) if self._inflate else data
        line, _, self._lines = self._lines.partition(b"\r\n")
        return line

    def give_back(self, data: bytes) -> None:
        """Let octets that were read come once more: the greeting, where TLS was begun before the dialogue."""
        self._lines = data + self._lines

    async def start_tls(self) -> None:
        assert not self._lines, f"octets behind the answer to STARTTLS: {self._lines!r}"
        await self._writer.start_tls(self._context)

    async def start_deflate(self) -> None:
        self._inflate, self._deflate = zlib.decompressobj(wbits=-15), zlib.compressobj(wbits=-15)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()


Open = Callable[[], Awaitable[Conversation]]
"""Opens one more client's conversation with the same server."""

Stage = Callable[[Dialogue], AbstractAsyncContextManager[Open]]
"""Prepares a fresh server (store, accounts, what the head asks for) for one replay."""


async def play_in_cuts(path: Path, stage: Stage, cuts: tuple[str, ...] = CUTS) -> None:
    """Replay a dialogue once per way of cutting, each time on a fresh stage."""
    dialogue = read(path)
    for cut in cuts:
        async with stage(dialogue) as open_conversation:
            try:
                await play(dialogue, open_conversation, cut)
            except AssertionError as error:
                raise AssertionError(f"{path.name}, cut: {cut}: {error}") from error


async def play(dialogue: Dialogue, open_conversation: Open, cut: str = "whole") -> None:
    """Play one dialogue once."""
    chance = random.Random(cut)  # the same cuts in each run
    conversations: dict[int, Conversation] = {}
    captured: dict[str, str] = {}
    steps = list(dialogue.steps)
    try:
        while steps:
            step = steps.pop(0)
            if step.client not in conversations:
                conversations[step.client] = await open_conversation()
            conversation = conversations[step.client]
            where = f"line {step.number}"
            if step.kind in {"C", "C~"}:
                data = _sent(step, captured)
                while steps and steps[0].kind in {"C", "C~"} and steps[0].client == step.client:
                    data += _sent(steps.pop(0), captured)
                for piece in _pieces(data, cut, chance):
                    await conversation.send(piece)
            elif step.kind == "S":
                _match(step.text, await _line(conversation, where, step.text), captured, where)
            elif step.kind == "S*":
                group = [step]
                while steps and steps[0].kind == "S*" and steps[0].client == step.client:
                    group.append(steps.pop(0))
                await _match_any_order(conversation, group, captured)
            elif step.kind == "TLS":
                await conversation.start_tls()
            elif step.kind == "DEFLATE":
                await conversation.start_deflate()
            elif step.kind == "EOF":
                await conversation.send_eof()
            else:
                await _expect_closed(conversation, where)
    finally:
        for conversation in conversations.values():
            await conversation.close()


async def _line(conversation: Conversation, where: str, wanted: str) -> str:
    try:
        return (await conversation.line()).decode("utf-8", "backslashreplace")
    except EOFError:
        raise AssertionError(f"{where}: wanted {wanted!r}, the server has closed") from None
    except TimeoutError:
        raise AssertionError(f"{where}: wanted {wanted!r}, the server is silent") from None


async def _match_any_order(conversation: Conversation, group: list[Step], captured: dict[str, str]) -> None:
    wanted = list(group)
    for _ in group:
        line = await _line(conversation, f"lines from {group[0].number}", wanted[0].text)
        for step in wanted:
            if _matches(step.text, line, captured):
                wanted.remove(step)
                break
        else:
            raise AssertionError(
                f"lines from {group[0].number}: got {line!r}, wanted one of {[s.text for s in wanted]}"
            )


async def _expect_closed(conversation: Conversation, where: str) -> None:
    try:
        line = await conversation.line()
    except EOFError:
        return
    raise AssertionError(f"{where}: wanted the end, got {line!r}")


_SPECIAL = re.compile(r"\.\.\.|\$\$|\$([A-Za-z_][A-Za-z0-9_]*)")


def _sent(step: Step, captured: dict[str, str]) -> bytes:
    def value(match: re.Match[str]) -> str:
        if match.group() == "$$":
            return "$"
        return captured[match.group(1)] if match.group(1) else match.group()

    text = _SPECIAL.sub(value, step.text)
    if step.kind == "C":
        return text.encode() + b"\r\n"
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def _match(wanted: str, line: str, captured: dict[str, str], where: str) -> None:
    assert _matches(wanted, line, captured), f"{where}: wanted {wanted!r}, got {line!r}"


def _matches(wanted: str, line: str, captured: dict[str, str]) -> bool:
    """Compare; captures are kept only if the whole line fits."""
    pattern, end, names = "", 0, set()
    for special in _SPECIAL.finditer(wanted):
        pattern += re.escape(wanted[end : special.start()])
        end = special.end()
        name = special.group(1)
        if special.group() == "...":
            pattern += ".*"
        elif name is None:
            pattern += re.escape("$")
        elif name in captured:
            pattern += re.escape(captured[name])
        elif name in names:
            pattern += f"(?P={name})"
        else:
            names.add(name)
            pattern += f"(?P<{name}>[^ ()\\[\\]]+)"
    match = re.fullmatch(pattern + re.escape(wanted[end:]), line)
    if match:
        captured.update(match.groupdict())
    return match is not None


def _pieces(data: bytes, cut: str, chance: random.Random) -> list[bytes]:
    if cut == "whole":
        return [data]
    if cut == "bytes":
        return [data[index : index + 1] for index in range(len(data))]
    pieces, start = [], 0
    while start < len(data):
        stop = start + chance.randint(1, 40)
        pieces.append(data[start:stop])
        start = stop
    return pieces
