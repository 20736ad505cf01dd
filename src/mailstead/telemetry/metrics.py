"""Counters and gauges. One place, so that the names stay a family."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS: Final = Counter("mailstead_connections_total", "Connections accepted", ["service"])
OPEN_CONNECTIONS: Final = Gauge("mailstead_open_connections", "Connections open now", ["service"])
REFUSALS: Final = Counter(
    "mailstead_refusals_total", "Refusals by service, code and reason", ["service", "code", "reason"]
)
DEFLATE_OCTETS: Final = Gauge("mailstead_deflate_octets", "Memory of compressed conversations")
CERTIFICATE_RELOADS: Final = Counter("mailstead_certificate_reloads_total", "New certificates seen", ["result"])
LOG_INS: Final = Counter("mailstead_log_ins_total", "Log-ins", ["service", "result"])
OPENINGS: Final = Counter("mailstead_openings_total", "Accounts that somebody wanted to open by logging in", ["result"])
DELIVERED: Final = Counter("mailstead_delivered_total", "Messages stored", ["service"])
RELAYED: Final = Counter("mailstead_relayed_total", "What attempts gave, by recipient", ["state"])
QUOTA_CLEARINGS: Final = Counter("mailstead_quota_clearings_total", "Full mailboxes from which the oldest mails went")
QUOTA_CLEARED: Final = Counter("mailstead_quota_cleared_total", "Mails that went so")
PUSHES: Final = Counter("mailstead_pushes_total", "Tries to wake a device", ["result"])
BUGS: Final = Counter("mailstead_bugs_total", "Unexpected exceptions", ["where"])
TRACE_DROPPED: Final = Counter("mailstead_trace_dropped_total", "Trace events that could not be kept")
COMMITS: Final = Counter("mailstead_commits_total", "Commits of account stores, queue, memory, trace and reports")
COMMIT_UNITS: Final = Counter("mailstead_commit_units_total", "Units of work in those commits")
COMMIT_SECONDS: Final = Histogram("mailstead_commit_seconds", "Duration of commits with their sync")


def refused(service: str, code: str, reason: str) -> None:
    """Count a refusal; `reason` is a short fixed word, never text from outside."""
    REFUSALS.labels(service, code, reason).inc()
