"""The TLS report as JSON: written and read.

Spec: RFC 8460 §4.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from mailstead.mailauth.report_mail import Reporter
from mailstead.mailauth.report_parts import ROWS_MAX, BadReport, attached, harmless, unpacked
from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress
from mailstead.model.reports import Report, ReportRow

SUCCESS: Final = "success"
MEDIA_TYPE: Final = "application/tlsrpt+gzip"
_MEDIA_TYPES: Final = frozenset({MEDIA_TYPE, "application/tlsrpt+json"})
DETAILS_MAX: Final = 1000
"""Kinds of failures told of one policy."""


class Failure(NamedTuple):
    """One kind of failure. Spec: RFC 8460 §4.3."""

    mx_host: str
    receiving_ip: str
    sending_ip: str
    result_type: str
    detail: str


@dataclass(slots=True)
class PolicyCounts:
    """What happened under one policy of a domain in a day."""

    policy_type: str
    lines: Sequence[str] = ()
    success_count: int = 0
    failures: Counter[Failure] = field(default_factory=Counter)


def written(domain: str, day: date, policies: Sequence[PolicyCounts], reporter: Reporter, report_id: str) -> str:
    """Write the report about a domain's day. Spec: RFC 8460 §4.4."""
    begin = datetime.combine(day, time(), UTC)
    end = begin + timedelta(days=1, seconds=-1)
    report = {
        "organization-name": reporter.organization,
        "date-range": {"start-datetime": _moment(begin), "end-datetime": _moment(end)},
        "contact-info": reporter.address,
        "report-id": report_id,
        "policies": [_policy(domain, counts) for counts in policies],
    }
    return json.dumps(report, indent=1)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _policy(domain: str, counts: PolicyCounts) -> Mapping[str, Any]:
    policy: dict[str, Any] = {"policy-type": counts.policy_type, "policy-domain": domain}
    if counts.lines:
        policy["policy-string"] = list(counts.lines)
    mx = [line[3:].strip() for line in counts.lines if line.startswith("mx:")]
    if mx:
        policy["mx-host"] = mx
    return {
        "policy": policy,
        "summary": {
            "total-successful-session-count": counts.success_count,
            "total-failure-session-count": counts.failures.total(),
        },
        "failure-details": [_detail(each, count) for each, count in counts.failures.most_common(DETAILS_MAX)],
    }


def _detail(failure: Failure, count: int) -> Mapping[str, Any]:
    told = {
        "result-type": failure.result_type,
        "sending-mta-ip": failure.sending_ip,
        "receiving-mx-hostname": failure.mx_host,
        "receiving-ip": failure.receiving_ip,
        "failure-reason-code": failure.detail,
    }
    return {**{name: value for name, value in told.items() if value}, "failed-session-count": count}


# --- reading: only what we keep; unknown fields are passed over (RFC 8460 §4.2)

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class _DateRange(msgspec.Struct, rename="kebab"):
    start_datetime: str
    end_datetime: str


class _Policy(msgspec.Struct, rename="kebab"):
    policy_domain: str
    policy_type: str = ""


class _Summary(msgspec.Struct, rename="kebab"):
    total_successful_session_count: _Count = 0
    total_failure_session_count: _Count = 0


class _FailureDetail(msgspec.Struct, rename="kebab"):
    result_type: str
    failed_session_count: _Count = 0
    receiving_mx_hostname: str = ""
    failure_reason_code: str = ""


class _PolicyResult(msgspec.Struct, rename="kebab"):
    policy: _Policy
    summary: _Summary = msgspec.field(default_factory=_Summary)
    failure_details: list[_FailureDetail] | None = None


class _Report(msgspec.Struct, rename="kebab"):
    organization_name: str
    date_range: _DateRange
    report_id: str
    policies: list[_PolicyResult]


_DECODER: Final = msgspec.json.Decoder(_Report, strict=False)


def parse_report(octets: bytes, received_at: datetime) -> Report:
    """Read a report as it has come: a mail, or JSON, packed or not. May take long: not for the event loop.

    Whether the domain is ours is for the caller to see. Policies of other domains in the same report are left out.
    Spec: RFC 8460 §4, §5.
    Errors: BadReport.
    """
    problem = BadReport("no TLS report is in it")
    for candidate in attached(octets, _MEDIA_TYPES, (".json", ".json.gz")):
        try:
            return _read(unpacked(candidate), received_at)
        except BadReport as bad:
            problem = bad
    raise problem


def _read(octets: bytes, received_at: datetime) -> Report:
    try:
        report = _DECODER.decode(octets)
        begin, end = (_at(text) for text in (report.date_range.start_datetime, report.date_range.end_datetime))
        if not report.policies:
            raise BadReport("a report about nothing")
        domain = normal_domain(report.policies[0].policy.policy_domain.removesuffix("."))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, BadAddress) as error:
        raise BadReport(f"cannot be read: {error}") from None
    rows: list[ReportRow] = []
    for result in report.policies:
        if result.policy.policy_domain.removesuffix(".").lower() == domain and len(rows) < ROWS_MAX:
            rows += _rows(result)
    return Report(
        kind="tls",
        domain=domain,
        reporter=harmless(report.organization_name),
        report_id=harmless(report.report_id),
        begin=begin,
        end=end,
        received_at=received_at,
        rows=tuple(rows[:ROWS_MAX]),
    )


def _rows(result: _PolicyResult) -> list[ReportRow]:
    policy_type = harmless(result.policy.policy_type, 20)
    rows = [ReportRow(result.summary.total_successful_session_count, "", SUCCESS, policy_type)]
    told_count = 0
    for failure in (result.failure_details or ())[: ROWS_MAX - 2]:
        told_count += failure.failed_session_count
        detail = f"{policy_type} {harmless(failure.failure_reason_code)}".strip()
        rows.append(
            ReportRow(
                failure.failed_session_count,
                harmless(failure.receiving_mx_hostname),
                harmless(failure.result_type, 50),
                detail,
            )
        )
    # Some reporters count failures without saying what they were.
    untold_count = result.summary.total_failure_session_count - told_count
    if untold_count > 0:
        rows.append(ReportRow(untold_count, "", "failure", policy_type))
    return rows


def _at(text: str) -> datetime:
    """Errors: ValueError."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
