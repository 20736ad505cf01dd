"""A small HTTP client for benchmarks: raw octets, connections kept where the server keeps them, little of our own time."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import dataclass, field

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Answer:
    status: int
    head: bytes
    body: bytes


@dataclass
class DavClient:
    """One client with one connection at a time."""

    port: int
    user: str
    password: str
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, repr=False)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        lines = {
            "Host": "localhost",
            "Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode(),
            "Content-Length": str(len(body)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = (
            f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        )
        for is_last in (False, True):
            is_fresh = self._streams is None
            if self._streams is None:
                self._streams = await self.connect()
            reader, writer = self._streams
            try:
                writer.write(head.encode() + body)
                return await self._answer(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                await self.close()
                if is_last or is_fresh:
                    raise
        raise AssertionError

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        assert found is not None, head
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            pieces = []
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                pieces.append(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readexactly(2)
            body = b"".join(pieces)
        else:
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if length is None and int(found[1]) not in {204, 304}:
                body = await reader.read()
        if b"connection: close" in lower or (head.startswith(b"HTTP/1.0") and b"keep-alive" not in lower):
            await self.close()
        return Answer(int(found[1]), head, body)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
