"""Aggregate reports: what others saw of mail in our domains' names. Spec: RFC 9990 (DMARC), RFC 8460 (TLS-RPT)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One line of a report: so many messages (sessions), from here, with this outcome."""

    count: int
    source: str
    """DMARC: the client's IP address; TLS-RPT: the receiving MX, or empty."""
    outcome: str
    """DMARC: disposition (none, quarantine, reject); TLS-RPT: result-type, ``success`` for those that worked."""
    detail: str = ""
    """DMARC: ``spf=pass dkim=fail header_from=…``; TLS-RPT: policy type and reason code."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one reporter."""

    kind: str
    """``dmarc`` or ``tls``."""
    domain: str
    """The domain of ours that it is about."""
    reporter: str
    """org_name, organization-name: as they say, control characters removed, at most 200 characters."""
    report_id: str
    begin: datetime
    end: datetime
    received_at: datetime
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """Which reports are wanted."""

    kind: str = ""
    domain: str = ""
    since: datetime | None = None
    limit: int = 100
