"""A ClamAV daemon beside us, over its stream protocol.

Nothing is unpacked by us: limits of size, depth and ratio are the daemon's (attack row 68).

Spec: clamd(8), INSTREAM (chunks with a length of four octets, an empty one ends).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import Final

from mailstead.config.settings import Clamav
from mailstead.model.message import Octets
from mailstead.model.verdict import Check, Decision
from mailstead.ports.scanner import Scanned
from mailstead.telemetry import log

_log = log.get("clamav")

NAME: Final = "clamav"
CHUNK_OCTETS: Final = 128 * 1024
ANSWER_OCTETS_MAX: Final = 4096


class Clamd:
    """Implements `ports.scanner.Scanner`."""

    def __init__(self, settings: Clamav) -> None:
        self._address = settings.address
        self._limit_s = settings.limit_s
        self._octets_max = settings.octets_max
        self._is_required = settings.is_required

    async def scan(self, message: Scanned) -> Check:
        """Let it look at the message. Without an answer the message waits, or goes on if the setting says so."""
        if len(message.octets) > self._octets_max:
            return Check(NAME, reason="not scanned, as it is larger than clamav.octets_max")
        try:
            async with asyncio.timeout(self._limit_s):
                answer = await self._ask(message.octets)
        except (OSError, TimeoutError) as error:
            _log.warning("clamd does not answer", error=repr(error))
            return self._unanswered("did not answer")
        if answer.endswith("OK"):
            return Check(NAME)
        found = answer.removesuffix("FOUND")
        if found != answer:
            virus = found.partition(":")[2].strip()
            return Check(
                NAME,
                Decision.REFUSE,
                reason=f"found {virus}",
                public_text="The message has a virus",
                enhanced_code="5.7.1",
            )
        _log.warning("clamd could not scan", answer=answer)
        return self._unanswered(f"could not scan: {answer[:100]}")

    def _unanswered(self, reason: str) -> Check:
        if not self._is_required:
            return Check(NAME, reason=reason)
        text = "The message cannot be scanned now; please try again later"
        return Check(NAME, Decision.DEFER, reason=reason, public_text=text)

    async def _ask(self, octets: Octets) -> str:
        loop = asyncio.get_running_loop()
        if self._address.startswith("/"):
            transport, talk = await loop.create_unix_connection(_Talk, self._address)
        else:
            host, _, port = self._address.rpartition(":")
            transport, talk = await loop.create_connection(_Talk, host.strip("[]"), int(port))
        try:
            transport.write(b"zINSTREAM\0")
            for piece in _pieces(octets):
                transport.write(piece)
                await talk.has_room.wait()
            return await talk.answer
        finally:
            transport.abort()


class _Talk(asyncio.Protocol):
    """One question to the daemon."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        """Take what the daemon says, up to its NUL."""
        self._heard += data
        if b"\0" in data or len(self._heard) > ANSWER_OCTETS_MAX:
            self._end()

    def pause_writing(self) -> None:
        """The daemon is slower than we are."""
        self.has_room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was said is the answer; nothing at all is none."""
        self.has_room.set()
        if self._heard:
            self._end()
        elif not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("the daemon has closed without an answer"))

    def _end(self) -> None:
        if not self.answer.done():
            answer = self._heard[:ANSWER_OCTETS_MAX].partition(b"\0")[0]
            self.answer.set_result(answer.rstrip(b"\r\n").decode("utf-8", "replace"))


def _pieces(octets: Octets) -> Iterator[bytes]:
    view = memoryview(octets)
    try:
        for start in range(0, len(view), CHUNK_OCTETS):
            piece = view[start : start + CHUNK_OCTETS]
            yield struct.pack("!L", len(piece)) + piece
    finally:
        view.release()
    yield struct.pack("!L", 0)
