"""Counters and gauges. One place, so that the names stay a family."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS: Final = Counter("mailstead_connections_total", "Connections accepted", ["service"])
OPEN_CONNECTIONS: Final = Gauge("mailstead_open_connections", "Connections open now", ["service"])
REFUSALS: Final = Counter(
    "mailstead_refusals_total", "Refusals by service, code and reason", ["service", "code", "reason"]
)
BACKUP_MADE_AT: Final = Gauge("mailstead_backup_made_at_seconds", "When the last backup was made by this process")
RESTORE_DRILL_FINDINGS: Final = Gauge(
    "mailstead_restore_drill_findings", "What the last restore drill of this process found wrong; -1: it did not end"
)
DEFLATE_OCTETS: Final = Gauge("mailstead_deflate_octets", "Memory of compressed conversations")
CERTIFICATE_RELOADS: Final = Counter("mailstead_certificate_reloads_total", "New certificates seen", ["result"])
CSP_REPORTS: Final = Counter(
    "mailstead_csp_reports_total", "Reports of browsers that a page did what its policy forbids", ["directive"]
)
LOG_INS: Final = Counter("mailstead_log_ins_total", "Log-ins", ["service", "result"])
OPENINGS: Final = Counter("mailstead_openings_total", "Accounts that somebody wanted to open by logging in", ["result"])
DELIVERED: Final = Counter("mailstead_delivered_total", "Messages stored", ["service"])
JUNK: Final = Counter("mailstead_junk_total", "Copies of messages that were taken for junk")
RELAYED: Final = Counter("mailstead_relayed_total", "What attempts gave, by recipient", ["state"])
PUSHES: Final = Counter("mailstead_pushes_total", "Tries to wake a device", ["result"])
API_REQUESTS: Final = Counter("mailstead_api_requests_total", "Requests to the API", ["endpoint", "status"])
BUGS: Final = Counter("mailstead_bugs_total", "Unexpected exceptions", ["where"])
TRACE_DROPPED: Final = Counter("mailstead_trace_dropped_total", "Trace events that could not be kept")
COMMITS: Final = Counter("mailstead_commits_total", "Commits of account stores, queue, memory, trace and reports")
COMMIT_UNITS: Final = Counter("mailstead_commit_units_total", "Units of work in those commits")
COMMIT_SECONDS: Final = Histogram("mailstead_commit_seconds", "Duration of commits with their sync")


RELAY_GAUGES: Final = {
    "chatmail_storage_bytes": Gauge("chatmail_storage_bytes", "Octets of the relays' mail", ["kind"]),
    "chatmail_messages_bytes": Gauge("chatmail_messages_bytes", "Octets of messages of a least size", ["min_size"]),
    "chatmail_messages_count": Gauge("chatmail_messages_count", "Messages of a least size", ["min_size"]),
    "chatmail_accounts": Gauge("chatmail_accounts", "Accounts of the relays", ["kind"]),
    "chatmail_accounts_active": Gauge("chatmail_accounts_active", "Accounts used within so many days", ["days"]),
}
"""Under the names that dashboards of chatmail relays have; set once a day (`usecases.relay_report`)."""

_RELAY_COUNTS: Final = {
    name: Gauge(name, f"As of a chatmail relay: {name.replace('_', ' ')}")
    for name in (
        "delivered_mail", "quota_exceeded", "dkim_signed", "created_accounts", "created_ci_accounts",
        "created_nonci_accounts", "rejected_registrations", "filtered_outgoing_mail_count",
        "outgoing_encrypted_mail_count", "outgoing_unencrypted_mail_count", "filtered_incoming_mail_count",
        "incoming_encrypted_mail_count", "incoming_unencrypted_mail_count", "incoming_mailer_daemon_mail_count",
        "rejected_unencrypted_mail_count", "quota_expire_runs", "quota_expire_removed_files",
    )
}  # fmt: skip
# Gauges that only ascend: a Counter of the library would get another name, ending in _total.


def count_as_relay(*names: str, by: int = 1) -> None:
    """Count under the names of a chatmail relay's log-derived counters. Spec: reference chatmail, section 9.2."""
    for name in names:
        _RELAY_COUNTS[name].inc(by)


def refused(service: str, code: str, reason: str) -> None:
    """Count a refusal; `reason` is a short fixed word, never text from outside."""
    REFUSALS.labels(service, code, reason).inc()
