"""What policy says about something, with its reasons."""

from dataclasses import dataclass
from enum import Enum


class Decision(Enum):
    """The four answers."""

    ALLOW = "allow"
    REFUSE = "refuse"
    DEFER = "defer"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and why; the reasons are for the log and the administrator, the first one is also said to the peer."""

    decision: Decision
    reasons: tuple[str, ...] = ()
