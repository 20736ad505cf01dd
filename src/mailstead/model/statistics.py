"""Figures of the house over time: how much mail came and went, what was refused, who logged in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Span(StrEnum):
    """How much time one row of figures is about. Both begin with UTC's."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one process has to say at a moment, by name of the figure."""

    added: Mapping[str, int] = field(default_factory=dict)
    """Counts since it last said something; those of several processes add up."""
    highest: Mapping[str, int] = field(default_factory=dict)
    """Measured now; of a span the highest stays."""
    latest: Mapping[str, int] = field(default_factory=dict)
    """Measured now; of a span the last stays."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Those of one hour or day. What was not measured is None; what did not happen is 0."""

    begins_at: datetime
    mail_in: int = 0
    """Copies that were put into accounts here, whoever sent them."""
    mail_out: int = 0
    """Recipients elsewhere whose server has taken the message."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Refusals by group (`policy.statistics.GROUPS`), in the order of that table."""
    junk: int = 0
    """Of `mail_in`: what was taken for junk."""
    bounced: int = 0
    """Recipients elsewhere that were given up."""
    log_ins: int = 0
    failed_log_ins: int = 0
    queue_length: int | None = None
    """Recipients that waited, at most."""
    storage_octets: int | None = None
    """Of all stores on the disk, at the end."""

    @property
    def refused_count(self) -> int:
        """All groups together."""
        return sum(self.refused.values())
