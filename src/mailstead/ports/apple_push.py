"""Apple's push service: it wakes the calendars and contacts of Apple's own programs.

Promises: a notice goes to one device, over TLS verified by name, with the certificate of its topic; what is sent in
vain is tried no more here; how it ended is told, and neither token nor key stands in any log.

Spec: caldav-pubsubdiscovery (Apple) §4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from mailstead.model.dav import CollectionKind


class PushOutcome(Enum):
    """What became of a message to a device."""

    TAKEN = "taken"
    GONE = "gone"
    """The device is not there any more."""
    REFUSED = "refused"
    """It would be refused again."""
    LATER = "later"


@dataclass(frozen=True, slots=True)
class AppleNotice:
    """That something has changed, not what."""

    token: str = field(repr=False)
    """Of the device, in hex: who knows it, and has our certificate, may wake it."""
    key: str
    """What the device has asked to be told of."""
    changed_at: datetime
    submitted_at: datetime


class ApplePush(Protocol):
    """A way to devices, open while the house is."""

    @property
    def topics(self) -> Mapping[CollectionKind, str]:
        """Those that there are certificates for: of calendars, of address books."""

    @property
    def is_production(self) -> bool:
        """Whether devices of people are behind it, rather than those of developers."""

    async def tell(self, kind: CollectionKind, notice: AppleNotice) -> PushOutcome:
        """Send a notice once; `kind` is one of `topics`."""

    async def close(self) -> None:
        """Let the connections go."""
