"""Changes of the records that a DNS provider publishes for us, one record at a time.

Names are in lower case, A-labels, without final dot. Values are as in a zone file, in the form of
`policy.zone_values.normal`: names with final dot, a TXT without quotes and in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailstead.model.errors import TryAgainLater


class ZoneRefused(TryAgainLater):
    """The provider does not do what it was asked for; the text says why, and what to do."""

    default_text = "The DNS provider does not take the change"


class NoZone(ZoneRefused):
    """The provider has no zone for a name, or does not show it to our credentials."""

    default_text = "The DNS provider has no zone for that name"


class ZoneEditor(Protocol):
    """Errors of all verbs: ZoneRefused, NoZone.

    The zone is not told: the provider is asked for the nearest one above the name. What others have put beside is
    never touched.
    """

    async def values(self, name: str, kind: str) -> Sequence[str]:
        """Give all values of a name and type; none where there is nothing."""

    async def add(self, name: str, kind: str, value: str, ttl_s: int) -> None:
        """Put a value beside those that are there; one that is there already is no error.

        `ttl_s` in seconds; a provider with a higher minimum takes that, and records that share a TTL keep theirs.
        """

    async def remove(self, name: str, kind: str, value: str) -> None:
        """Take one value away; one that is not there is no error."""

    async def replace(self, name: str, kind: str, old: Sequence[str], value: str, ttl_s: int) -> None:
        """Put a value in the place of others, in one step where the provider can do that."""

    async def settle(self) -> None:
        """Wait until the provider has the changes on all of its own servers, or for so long as that may take."""
