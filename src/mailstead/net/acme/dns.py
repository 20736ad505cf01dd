"""Names proven by TXT records, through whoever publishes our zones.

A name and its wildcard are proven by two records of one name, which stand side by side.

Spec: RFC 8555 §8.4.
"""

from __future__ import annotations

from typing import Final

from mailstead.net.acme.challenges import dns_value
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.acme.secondaries import Seen, Shown
from mailstead.net.dns_wire import name_of
from mailstead.ports.zones import ZoneEditor, ZoneRefused

TTL_S: Final = 0
"""A resolver that keeps the proof of one order would show it for the next."""


class DnsProver:
    """Proves by a TXT record at ``_acme-challenge``. Spec: RFC 8555 §8.4."""

    kind: str = "dns-01"

    def __init__(self, zones: ZoneEditor, seen: Seen) -> None:
        """`seen` waits until records are where others look."""
        self._zones = zones
        self._seen = seen
        self._up: list[Shown] = []

    async def prove(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # is in the authorization
        """See `Prover`."""
        owner, value = f"_acme-challenge.{name.removeprefix('*.')}", dns_value(authorization)
        wire = name_of(owner)
        if wire is None:
            raise AcmeFailed(f"{name} is no name of the DNS; see acme.names")
        try:
            await self._zones.add(owner, "TXT", value, TTL_S)
        except ZoneRefused as error:
            raise AcmeFailed(error.public_text) from None
        self._up.append(Shown(wire, value.encode("ascii")))

    async def settle(self) -> None:
        """See `Prover`: the zone's other servers get the records a moment later."""
        up, self._up = self._up, []
        try:
            await self._zones.settle()
        except ZoneRefused as error:
            raise AcmeFailed(error.public_text) from None
        await self._seen(up)

    async def clear(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # is in the authorization
        """See `Prover`."""
        owner = f"_acme-challenge.{name.removeprefix('*.')}"
        try:
            await self._zones.remove(owner, "TXT", dns_value(authorization))
        except ZoneRefused as error:
            raise AcmeFailed(error.public_text) from None
