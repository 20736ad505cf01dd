"""How many requests a network may send in a minute: counted in this process, in bounded memory.

A network is an IPv4 address or an IPv6 /64, as one customer has one (`policy.failures.network_of`). Limits by
day, which outlive the process, are `usecases.call_limits`.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import Final

from mailstead.policy.failures import network_of
from mailstead.ports.clock import Clock
from mailstead.services.api.errors import Refusal
from mailstead.usecases.call_limits import Standing

WINDOW_S: Final = 60
NETWORKS_MAX: Final = 50_000
"""Counted at a time; the one that came first is forgotten first."""


class Minutes:
    """Counts requests by network in minutes, each beginning with a network's first request."""

    def __init__(self, requests_max: int, clock: Clock) -> None:
        """`requests_max` 0: any number."""
        self._requests_max = requests_max
        self._clock = clock
        self._windows: OrderedDict[str, list[float]] = OrderedDict()

    def count(self, address: str) -> Standing | None:
        """Count a request from an IP address; None: there is no limit."""
        if not self._requests_max:
            return None
        now_s, network = self._clock.monotonic_s(), network_of(address)
        window = self._windows.get(network)
        if window is None or now_s - window[0] >= WINDOW_S:
            self._windows.pop(network, None)
            window = self._windows[network] = [now_s, 0]
            if len(self._windows) > NETWORKS_MAX:
                self._windows.popitem(last=False)
        window[1] += 1
        left = self._requests_max - int(window[1])
        reset_at = self._clock.now() + timedelta(seconds=WINDOW_S - (now_s - window[0]))
        return Standing(self._requests_max, left, reset_at)


def headers_of(standing: Standing | None) -> dict[str, str]:
    """Give the fields that tell how a caller stands. Spec: reference forwardemail 4.1 (rate limit)."""
    if standing is None:
        return {}
    return {
        "x-ratelimit-limit": str(standing.limit),
        "x-ratelimit-remaining": str(max(0, standing.left)),
        "x-ratelimit-reset": str(int(standing.reset_at.timestamp())),
    }


def must_be_within(standing: Standing | None, clock: Clock) -> None:
    """Errors: Refusal (429), saying when it is worth coming again."""
    if standing is not None and standing.is_passed:
        wait_s = max(1, int((standing.reset_at - clock.now()).total_seconds()) + 1)
        raise Refusal(
            429,
            "Too many requests; please try again later",
            headers={"retry-after": str(wait_s), **headers_of(standing)},
        )
