"""How often an account may send: so many messages at once, then one every so many seconds. Pure: time is an argument.

The generic cell rate algorithm: one number per account, the moment at which its bucket will be empty of messages. The
numbers are in the memory of the process: an account that talks to N workers may send up to N times as much at once, and
after a restart everybody starts afresh. To write each message's count down would cost more than that is worth.

Spec: reference chatmail, section 5.5.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEYS_MAX: Final = 100_000


class SendRate:
    """Counts by key. Beyond `KEYS_MAX` the key longest untouched is forgotten."""

    def __init__(self) -> None:
        self._even_at_s: OrderedDict[str, float] = OrderedDict()
        """Key → when all that it has sent would be due at the steady rate."""

    def count(self, key: str, per_minute: int, burst: int, now_s: float) -> float:
        """Count one more, unless it is too many; gives for how many seconds it is too early, 0: not at all.

        Shapes: `per_minute` above zero; a `burst` below one counts as one. What is too early is not counted, so asking
        again makes nobody wait longer.
        """
        interval_s = 60.0 / per_minute
        even_at_s = max(self._even_at_s.get(key, now_s), now_s)
        early_s = even_at_s - (max(burst, 1) - 1) * interval_s - now_s
        if early_s > 1e-9:
            return early_s
        self._even_at_s[key] = even_at_s + interval_s
        self._even_at_s.move_to_end(key)
        if len(self._even_at_s) > KEYS_MAX:
            self._even_at_s.popitem(last=False)
        return 0.0
