"""Requests that are done once, however often they are sent: their answers are kept for a day under the caller's key.

Spec: draft-ietf-httpapi-idempotency-key-header-06 §2.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.call_limits import caller_of

KEPT: Final = timedelta(days=1)
KEY_CHARACTERS_MAX: Final = 255


class Idempotency:
    """Claims keys, and keeps what their requests were answered."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._people = storage.people
        self._clock = clock

    async def begin(self, actor: Actor, key: str, request_hash: bytes) -> bytes:
        """Claim a key for a request, or give the answer that was kept for it; empty: go on.

        Errors: PolicyRefused (a key that cannot be one); TryAgainLater, while the same request is being done;
        IdempotencyMismatch.
        """
        if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= KEY_CHARACTERS_MAX:
            raise PolicyRefused(f"An idempotency key has 1 to {KEY_CHARACTERS_MAX} printable ASCII characters")
        now = self._clock.now()
        return await self._people.first_answer(caller_of(actor), key, request_hash, now, now + KEPT)

    async def keep(self, actor: Actor, key: str, answer: bytes) -> None:
        """Keep what a claimed request was answered; not empty."""
        await self._people.keep_answer(caller_of(actor), key, answer)

    async def give_up(self, actor: Actor, key: str) -> None:
        """Let the key go: nothing was done."""
        await self._people.keep_answer(caller_of(actor), key, b"")
