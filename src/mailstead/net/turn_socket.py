"""Credentials for calls from a chatmail-turn daemon: it writes them to whoever connects to its socket.

Spec: reference chatmail, section 9.3.
"""

from __future__ import annotations

import asyncio
from typing import Final

from mailstead.model.errors import TryAgainLater

ANSWER_LIMIT_S: Final = 2.0
ANSWER_OCTETS_MAX: Final = 500


async def turn_credentials(path: str) -> str:
    """Give ``NAME:PASSWORD`` of a new TURN user. Errors: TryAgainLater, if the daemon does not give it."""
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_OCTETS_MAX)
            try:
                answer = (await reader.readuntil()).decode("ascii").strip()
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise TryAgainLater(f"{path} gives no credentials: {str(error) or type(error).__name__}") from None
    if not answer.partition(":")[2] or not answer.isprintable():
        raise TryAgainLater(f"{path} gives something else than NAME:PASSWORD")
    return answer
