"""TLS reports to others: what was seen is counted by day and domain, and told on the next day to who wants to know.

Spec: RFC 8460.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from mailstead.mailauth.daily_counts import DailyCounts, day_end
from mailstead.mailauth.report_mail import Letter, OutgoingReport, Reporter, composed, packed
from mailstead.mailauth.report_parts import harmless
from mailstead.mailauth.tlsrpt_report import MEDIA_TYPE, SUCCESS, Failure, PolicyCounts, parse_report, written
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, DnsUnavailable
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.ports.resolver import Resolver

__all__ = ["SUCCESS", "TlsOutcome", "TlsOutcomes", "parse_report", "targets"]

DUE_MAX: Final = 100
"""Reports made in one go."""
LINES_MAX: Final = 200
TARGETS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class TlsOutcome:
    """What one attempt to speak TLS has shown, or one attempt to find a policy."""

    domain: str
    """The policy domain."""
    policy_type: str
    """``tlsa``, ``sts`` or ``no-policy-found``."""
    policy_lines: tuple[str, ...]
    mx_host: str
    receiving_ip: str
    sending_ip: str
    result_type: str
    """``success``, or one of RFC 8460 §4.3."""
    detail: str


class TlsOutcomes:
    """Counts outcomes and makes reports of them."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._daily = DailyCounts(memory, clock, "tls-reports")
        self._clock = clock

    def note(self, outcome: TlsOutcome) -> None:
        """Count an outcome. Never waits."""
        fact = None
        if outcome.policy_lines:
            lines = json.dumps(outcome.policy_lines[:LINES_MAX]).encode()
            fact = f"{outcome.domain} {outcome.policy_type}", lines
        self._daily.add(_key(outcome), fact)

    async def flush(self) -> None:
        """Write what was noted. Errors: StorageUnavailable, StorageFull; then it is kept for the next time."""
        await self._daily.flush()

    async def reports_due(self, resolver: Resolver, reporter: Reporter) -> list[OutgoingReport]:
        """Make the reports that fall due, at most so many at a time; each is given once only.

        Spec: RFC 8460 §3 (who wants them), §4.1 (a day), §5.
        Errors: StorageUnavailable, StorageFull.
        """
        reports: list[OutgoingReport] = []
        for day in self._daily.days_over():
            of_domain = await self._counted(day)
            for domain in await self._daily.due(day, of_domain):
                if len(reports) >= DUE_MAX:
                    return reports
                reports += await self._report(domain, day, of_domain[domain], resolver, reporter)
        return reports

    async def _counted(self, day: date) -> dict[str, dict[str, PolicyCounts]]:
        """Give the counts of a day, by domain and type of policy."""
        lines = await self._daily.facts(day)
        found: dict[str, dict[str, PolicyCounts]] = {}
        for key, count in (await self._daily.counts(day)).items():
            domain, policy_type, *rest = json.loads(key)
            policies = found.setdefault(domain, {})
            if policy_type not in policies:
                told = json.loads(lines.get(f"{domain} {policy_type}", b"[]"))
                policies[policy_type] = PolicyCounts(policy_type, told)
            failure = Failure(*rest)
            if failure.result_type == SUCCESS:
                policies[policy_type].success_count += count
            else:
                policies[policy_type].failures[failure] += count
        return found

    async def _report(
        self, domain: str, day: date, policies: Mapping[str, PolicyCounts], resolver: Resolver, reporter: Reporter
    ) -> list[OutgoingReport]:
        """Make one domain's report, for each that wants it."""
        try:
            answer = await resolver.txt(f"_smtp._tls.{domain}")
        except DnsUnavailable:
            return []  # later
        if not await self._daily.claim(day, domain):
            return []
        wanted = targets(answer.records)
        if not wanted:
            return []
        report_id = f"{day.isoformat()}.{sha256(f'{domain} {reporter.hostname}'.encode()).hexdigest()[:16]}"
        report = packed(written(domain, day, list(policies.values()), reporter, report_id))
        now = self._clock.now()
        return [_outgoing(domain, day, target, report, report_id, reporter, now) for target in wanted]


def _outgoing(
    domain: str, day: date, target: str, report: bytes, report_id: str, reporter: Reporter, now: datetime
) -> OutgoingReport:
    """Spec: RFC 8460 §5.1, §5.3, §5.4."""
    if target.startswith("https:"):
        return OutgoingReport(domain, "", target, MEDIA_TYPE, report)
    begin_s = int(day_end(day).timestamp()) - 86400
    letter = Letter(
        subject=f"Report Domain: {domain} Submitter: {reporter.hostname} Report-ID: <{report_id}>",
        text=f"This is an aggregate TLS report from {reporter.hostname} about mail to {domain} on {day.isoformat()}.\n",
        fields=(
            ("TLS-Report-Domain", domain),
            ("TLS-Report-Submitter", reporter.hostname),
            # RFC 8460 §3: the report must get through even if it is the domain's TLS that is broken.
            ("TLS-Required", "No"),
        ),
        media_type=MEDIA_TYPE,
        file_name=f"{reporter.hostname}!{domain}!{begin_s}!{begin_s + 86399}.json.gz",
        report_type="tlsrpt",
        report_id=report_id,
    )
    return OutgoingReport(domain, target, "", MEDIA_TYPE, composed(reporter, target, letter, report, now))


# RFC 8460 §3:
#   tlsrpt-record  = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
#   tlsrpt-rua     = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri) ; field-delim = *WSP ";" *WSP
_VERSION: Final = re.compile(rb"v=TLSRPTv1[ \t]*;")
_RUA: Final = re.compile(r"rua[ \t]*=[ \t]*(.*)")


def targets(texts: Sequence[bytes]) -> list[str]:
    """Give to whom a domain wants its reports sent: mail addresses and https URLs.

    Spec: RFC 8460 §3 (with several records the domain wants none).
    """
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) != 1:
        return []
    wanted: list[str] = []
    for part in records[0].decode("ascii", "replace").split(";")[1:]:
        match = _RUA.fullmatch(part.strip(" \t"))
        if match is None:
            continue
        for uri in (each.strip(" \t") for each in match[1].split(",")):
            if uri.lower().startswith("https://"):
                wanted.append(f"https{uri[5:]}")
            elif uri.lower().startswith("mailto:") and (address := mail_target(uri)):
                wanted.append(address)
    return list(dict.fromkeys(wanted))[:TARGETS_MAX]


def mail_target(uri: str) -> str:
    """Give the address of a ``mailto:`` URI, or nothing. Spec: RFC 6068 §2."""
    try:
        address = Address.parse(unquote(uri[7:].partition("?")[0], errors="strict"))
    except (BadAddress, UnicodeDecodeError):
        return ""
    return str(address) if address.is_ascii else ""


def _key(outcome: TlsOutcome) -> str:
    """Of successes only the number is told, so one counter will do."""
    if outcome.result_type == SUCCESS:
        rest = ("", "", "", SUCCESS, "")
    else:
        detail = harmless(outcome.detail, 100)
        rest = (outcome.mx_host, outcome.receiving_ip, outcome.sending_ip, outcome.result_type, detail)
    return json.dumps((outcome.domain, outcome.policy_type, *rest))
