"""What the checks of a sender say. Words and meanings of RFC 8601.

Made by `mailauth`, read by policy, filters, the trace and whoever writes Authentication-Results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """Result of one check. Spec: RFC 8601 §2.7."""

    NONE = "none"
    PASS = "pass"  # noqa: S105  # the word of the RFC, not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    POLICY = "policy"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"

    __hash__ = str.__hash__
    """As the word that each is equal to; the one of Enum is of the name, and written in Python."""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """Spec: RFC 7208 §2.6."""

    result: Result
    domain: str
    """The domain whose record was asked (A-labels)."""
    scope: str = "mfrom"
    """``mfrom`` or ``helo``."""
    mechanism: str = ""
    """The mechanism that matched, as written; empty: none did."""
    explanation: str = ""
    """Of a fail: what the domain's exp= says, ASCII only; else why, in our words."""
    is_from_all: bool = False
    """A pass by ``+all`` (or an equally wide net): authorises everybody, so it authenticates nobody (attack row 33)."""


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature. Spec: RFC 6376 §6.1."""

    result: Result
    domain: str = ""
    """d="""
    selector: str = ""
    """s="""
    identity: str = ""
    """i=, as written"""
    algorithm: str = ""
    """a="""
    signature_start: str = ""
    """The first eight characters of b=, to tell signatures apart. Spec: RFC 6008."""
    reason: str = ""
    is_testing: bool = False
    """The key has t=y. Spec: RFC 6376 §3.6.1."""


@dataclass(frozen=True, slots=True)
class ArcResult:
    """The chain of ARC sets. Spec: RFC 8617 §5.2."""

    result: Result
    """NONE, PASS or FAIL; TEMPERROR when DNS did not answer."""
    sealers: tuple[str, ...] = ()
    """d= of the seals, by instance."""
    newest_results: str = ""
    """Payload of the ARC-Authentication-Results of the highest instance (without ``i=``), when the chain passes."""
    reason: str = ""
    is_trusted: bool = False
    """The chain passes, and its newest sealer is one whose results are believed; those of others say nothing."""


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """Spec: RFC 9989."""

    result: Result
    author_domain: str = ""
    """Of the one From address, A-labels."""
    policy_domain: str = ""
    """Where the record was found; empty: none."""
    policy: str = "none"
    """What that domain asks for this message: none, quarantine or reject (p, sp or np, after t=y)."""
    is_spf_aligned: bool = False
    is_dkim_aligned: bool = False
    reason: str = ""
    aggregate_to: tuple[str, ...] = ()
    """rua= as written."""


@dataclass(frozen=True, slots=True)
class IprevResult:
    """Spec: RFC 8601 §3."""

    result: Result
    name: str = ""
    """The confirmed name of the client; empty unless the result is pass."""
    address: str = ""
    """Of the client, an IPv4 address inside IPv6 as IPv4."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """All results for one message."""

    spf: SpfResult
    """The one that counts: of MAIL FROM, or of HELO for the null sender."""
    helo_spf: SpfResult | None
    """Of HELO, where that is not the one that counts."""
    dkim: tuple[DkimResult, ...]
    arc: ArcResult
    dmarc: DmarcResult
    iprev: IprevResult

    @property
    def is_author_authenticated(self) -> bool:
        """Whether the domain in From stands behind the message: what bounces and automatic answers require."""
        return self.dmarc.is_spf_aligned or self.dmarc.is_dkim_aligned

    @property
    def has_temporary_error(self) -> bool:
        """Whether some answer may be another one later, for want of DNS."""
        results = (self.spf.result, self.arc.result, self.dmarc.result, *(each.result for each in self.dkim))
        return Result.TEMPERROR in results
