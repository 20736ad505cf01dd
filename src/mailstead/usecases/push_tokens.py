"""Tokens by which a sleeping device is woken: opaque to us, kept in the account's own store.

Each is a preference of its own, so that two clients that register at once do not lose each other's. The day is all
that is kept of when a token was last set: enough for its life, and a client that sets it at each start costs one
write a day.

Spec: reference chatmail, sections 6.4 and 6.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mailstead.model.errors import LimitReached, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

VALID_DAYS: Final = 90
TOKENS_MAX: Final = 32
"""Of one account; beyond that the one set longest ago goes."""
TOKEN_OCTETS_MAX: Final = 4096

_PREFIX: Final = "push."


class PushTokens:
    """Whom to wake for an account."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._accounts = storage.accounts
        self._clock = clock

    async def add(self, account_id: AccountId, token: bytes) -> None:
        """Add a token, or make it young again. Errors: PolicyRefused, LimitReached, NoSuchAccount, those of the store.

        Effects: tokens that have run out go.
        """
        check_token(token)
        today, key = _day(self._clock.now()), _key(token)
        store = self._accounts.of(account_id)
        kept = _kept(await store.preferences())
        if kept.get(key) == (today, token):
            return
        valid = {other: day for other, (day, _) in kept.items() if _is_valid(day, today) and other != key}
        lasting = sorted(valid, key=valid.__getitem__)[max(len(valid) - TOKENS_MAX + 1, 0) :]
        gone = dict.fromkeys(kept.keys() - set(lasting))
        await store.set_preferences({**gone, key: b"%d %b" % (today, token)})

    async def valid(self, account_id: AccountId) -> list[bytes]:
        """Give all tokens that have not run out, the one set longest ago first. Errors: those of the store."""
        today = _day(self._clock.now())
        kept = _kept(await self._accounts.of(account_id).preferences()).values()
        return [token for day, token in sorted(kept) if _is_valid(day, today)]

    async def remove(self, account_id: AccountId, token: bytes) -> None:
        """Remove a token that is good for nothing any more. Errors: those of the store."""
        await self._accounts.of(account_id).set_preferences({_key(token): None})


def check_token(token: bytes) -> None:
    """Errors: LimitReached, PolicyRefused."""
    if len(token) > TOKEN_OCTETS_MAX:
        raise LimitReached(f"A token has at most {TOKEN_OCTETS_MAX} octets")
    if not token or any(octet <= 32 or octet == 127 for octet in token):
        raise PolicyRefused("A token has no spaces and no control characters")


def _kept(preferences: Mapping[str, bytes]) -> dict[str, tuple[int, bytes]]:
    kept: dict[str, tuple[int, bytes]] = {}
    for key, value in preferences.items():
        if key.startswith(_PREFIX):
            day, _, token = value.partition(b" ")
            kept[key] = int(day), token
    return kept


def _is_valid(day: int, today: int) -> bool:
    """Whether a token of that day is good; one of a day to come was set while the clock was wrong."""
    return today - VALID_DAYS <= day <= today + 1


def _key(token: bytes) -> str:
    return _PREFIX + hashlib.blake2b(token, digest_size=16).hexdigest()


def _day(now: datetime) -> int:
    return now.toordinal()
