"""The one outgoing HTTP client: policies, webhooks, scanners' APIs.

Promises (attack row 37): the name is resolved once, every address is checked, and the connection goes to a checked
address; private, loopback, link-local and other special addresses are refused unless allowed by setting; no
redirects are followed; size and time are bounded; certificates are verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WebResponse:
    """What a server answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    octets: bytes = b""


class WebClient(Protocol):
    """Errors of all verbs: WebRefused (an address or scheme we do not go to; permanent), WebFailed (temporary).

    If it was the certificate, the `log_fields` of WebFailed say so under ``certificate``.
    """

    async def get(self, url: str, *, octets_max: int = 65536, limit_s: float = 30.0) -> WebResponse:
        """GET. A body above `octets_max` is WebFailed."""

    async def post(
        self,
        url: str,
        octets: bytes,
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        octets_max: int = 65536,
        limit_s: float = 30.0,
        verifies: bool = True,
    ) -> WebResponse:
        """POST. Of the answer's body at most `octets_max` are read, the rest is left.

        `verifies` False takes any certificate: for places that can have none.
        """

    async def send(
        self,
        method: str,
        url: str,
        octets: bytes | None,
        headers: Mapping[str, str],
        *,
        octets_max: int = 65536,
        limit_s: float = 30.0,
    ) -> WebResponse:
        """Any method, for APIs; `octets` None sends no body. A body of the answer above `octets_max` is WebFailed."""
