"""A ClamAV daemon beside us, over its stream protocol.

Nothing is unpacked by us: limits of size, depth and ratio are the daemon's (attack row 68).

Spec: clamd(8), INSTREAM (chunks with a length of four octets, an empty one ends).
"""

from __future__ import annotations

import asyncio
import contextlib
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
        except (OSError, TimeoutError, asyncio.LimitOverrunError) as error:
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
        if self._address.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(self._address, limit=ANSWER_OCTETS_MAX)
        else:
            host, _, port = self._address.rpartition(":")
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=ANSWER_OCTETS_MAX)
        try:
            with contextlib.suppress(ConnectionError):  # it may answer, and close, before all is said
                writer.write(b"zINSTREAM\0")
                for piece in _pieces(octets):
                    writer.write(piece)
                    await writer.drain()
            answer = await reader.readuntil(b"\0")
        except asyncio.IncompleteReadError as error:
            answer = error.partial
        finally:
            writer.close()
        return answer.rstrip(b"\0\r\n").decode("utf-8", "replace")


def _pieces(octets: Octets) -> Iterator[bytes]:
    view = memoryview(octets)
    try:
        for start in range(0, len(view), CHUNK_OCTETS):
            piece = view[start : start + CHUNK_OCTETS]
            yield struct.pack("!L", len(piece)) + piece
    finally:
        view.release()
    yield struct.pack("!L", 0)
