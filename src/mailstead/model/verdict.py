"""What policy says about something, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Decision(Enum):
    """The four answers."""

    ALLOW = "allow"
    REFUSE = "refuse"
    DEFER = "defer"
    QUARANTINE = "quarantine"

    __hash__ = object.__hash__
    """Each is there once; the one of Enum is written in Python, and mail asks often."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and why; the reasons are for the log and the administrator, the first one is also said to the peer."""

    decision: Decision
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """What one named step of the policy pipeline has found: kept with the trace of the message."""

    name: str
    """A short fixed word: ``dmarc``, ``denylist``, ``greylist`` …"""
    decision: Decision = Decision.ALLOW
    """What this step alone would do; ALLOW with a score only adds to the sum."""
    score: float = 0.0
    """Positive: towards junk; negative: towards good."""
    reason: str = ""
    """In plain words, for the trace and for "why is this in Junk?"."""
    public_text: str = ""
    """What the peer is told on REFUSE and DEFER; empty: a general text."""
    enhanced_code: str = ""
    """Spec: RFC 3463, RFC 7372. Empty: 5.7.1 or 4.7.1."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """All steps and what follows from them."""

    decision: Decision
    checks: tuple[Check, ...] = ()

    @property
    def score(self) -> float:
        """The sum over all steps."""
        return sum(check.score for check in self.checks)

    @property
    def deciding(self) -> Check | None:
        """The first step that asked for what was decided; None when the sum decided, or all is well."""
        return next((check for check in self.checks if check.decision is self.decision is not Decision.ALLOW), None)


def judge(checks: Iterable[Check], junk_score: float, refuse_score: float) -> Judgement:
    """Join steps: any REFUSE refuses, else any DEFER defers, else QUARANTINE or the sum of scores decides."""
    checks = tuple(checks)
    decisions = {check.decision for check in checks}
    total = sum(check.score for check in checks)
    if Decision.REFUSE in decisions or total >= refuse_score:
        return Judgement(Decision.REFUSE, checks)
    if Decision.DEFER in decisions:
        return Judgement(Decision.DEFER, checks)
    if Decision.QUARANTINE in decisions or total >= junk_score:
        return Judgement(Decision.QUARANTINE, checks)
    return Judgement(Decision.ALLOW, checks)
