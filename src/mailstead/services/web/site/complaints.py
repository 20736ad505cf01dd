"""What browsers say of pages that did what the policy forbids: counted by directive, and nothing of it is kept.

Anybody may send such reports, and what stands in them is of his choice: only which directive it was counts, as one of
the words we know, and so many a minute. Spec: W3C CSP Level 3 §5.3, §5.5 (report-uri, which all browsers follow at
once); attack rows 86, 100.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mailstead.net.http_requests import peer_of
from mailstead.policy.failures import network_of
from mailstead.policy.rates import Rates
from mailstead.ports.clock import Clock
from mailstead.telemetry import log, metrics

OCTETS_MAX: Final = 8 * 1024
WINDOW_S: Final = 60.0
PER_NETWORK_MAX: Final = 30
PER_HOUSE_MAX: Final = 300
"""In each window."""
DIRECTIVES: Final = frozenset(
    f"{kind}-src" for kind in ("connect", "default", "font", "frame", "img", "manifest", "media", "object", "script")
) | {"style-src", "worker-src", "base-uri", "form-action", "frame-ancestors"}
_ALL: Final = "house"

_log = log.get("web")


class Complaints:
    """Counts them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates = Rates(WINDOW_S)

    async def take(self, request: Request) -> Response:
        """Answer a report: 204, or 429 where there were too many, 413 where it is too large, 400 where it is none."""
        network, now_s = network_of(peer_of(request).address), self._clock.monotonic_s()
        # One network cannot use up what is there for all.
        if (
            self._rates.count(f"network {network}", now_s) > PER_NETWORK_MAX
            or self._rates.count(_ALL, now_s) > PER_HOUSE_MAX
        ):
            metrics.refused("web", "429", "csp-report")
            return Response(status_code=429, headers={"connection": "close"})
        octets = bytearray()
        try:
            async for piece in request.stream():
                octets += piece
                if len(octets) > OCTETS_MAX:
                    return Response(status_code=413, headers={"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=400)
        directive = directive_of(bytes(octets))
        if directive is None:
            return Response(status_code=400)
        metrics.CSP_REPORTS.labels(directive).inc()
        _log.warning("a browser says that a page did what the policy forbids", directive=directive)
        return Response(status_code=204)


def directive_of(octets: bytes) -> str | None:
    """Give the directive of a report, one of `DIRECTIVES` or ``other``; None: it is no report."""
    try:
        report = json.loads(octets)["csp-report"]
        # Of script-src-elem and style-src-attr the first two words are enough. The older field has the whole directive.
        text = str(report.get("effective-directive") or report["violated-directive"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    word = "-".join(text.partition(" ")[0].split("-")[:2])
    return word if word in DIRECTIVES else "other"
