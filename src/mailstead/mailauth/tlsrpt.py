"""TLS reports to others: what was seen is counted by day and domain, and told on the next day to who wants to know.

Theory of operation. `note` only counts in this process; `flush` adds that to the counters that all processes share.
When a day is over, each domain's report falls due at a moment of its own within four hours, so that not all servers of
the world speak at once. Who makes a report claims it first: it may get lost in a crash, but is not sent twice.

Spec: RFC 8460.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from mailstead.mailauth.report_mail import Letter, OutgoingReport, Reporter, composed, packed
from mailstead.mailauth.report_parts import harmless
from mailstead.mailauth.tlsrpt_report import MEDIA_TYPE, SUCCESS, Failure, PolicyCounts, parse_report, written
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, DnsUnavailable
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.ports.resolver import Resolver
from mailstead.telemetry import log

__all__ = ["SUCCESS", "TlsOutcome", "TlsOutcomes", "parse_report", "targets"]

_log = log.get("tlsrpt")

PENDING_MAX: Final = 10_000
"""Kinds of outcomes that wait to be flushed; what is new beyond that is not counted."""
DAYS_TOLD: Final = 2
"""Of how many past days reports are made, if they could not be made earlier."""
SPREAD_S: Final = 4 * 3600
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
        self._memory = memory
        self._clock = clock
        self._pending: Counter[tuple[date, str]] = Counter()
        self._lines: dict[tuple[date, str], tuple[str, ...]] = {}
        self._is_full = False

    def note(self, outcome: TlsOutcome) -> None:
        """Count an outcome. Never waits."""
        day = self._clock.now().date()
        key = day, _key(outcome)
        if key not in self._pending and len(self._pending) >= PENDING_MAX:
            if not self._is_full:
                _log.warning("too many kinds of TLS outcomes; some are not reported")
            self._is_full = True
            return
        self._pending[key] += 1
        if outcome.policy_lines:
            self._lines[day, f"{outcome.domain} {outcome.policy_type}"] = outcome.policy_lines[:LINES_MAX]

    async def flush(self) -> None:
        """Write what was noted. Errors: StorageUnavailable, StorageFull; then it is kept for the next time."""
        pending, lines, self._is_full = self._pending, self._lines, False
        self._pending, self._lines = Counter(), {}
        now = self._clock.now()
        for day in sorted({day for day, _ in pending}):
            until = _end(day) + timedelta(days=DAYS_TOLD + 1)
            amounts = {key: count for (each, key), count in pending.items() if each == day}
            told = {key: json.dumps(value).encode() for (each, key), value in lines.items() if each == day}
            try:
                await self._memory.remember(_policies_kind(day), told, until)
                await self._memory.count(_outcomes_kind(day), amounts, now, until)
            except BaseException:
                self._pending.update({key: count for key, count in pending.items() if key[0] >= day})
                self._lines = {**lines, **self._lines}
                raise

    async def reports_due(self, resolver: Resolver, reporter: Reporter) -> list[OutgoingReport]:
        """Make the reports that fall due, at most so many at a time; each is given once only.

        Spec: RFC 8460 §3 (who wants them), §4.1 (a day), §5.
        Errors: StorageUnavailable, StorageFull.
        """
        now = self._clock.now()
        due: list[OutgoingReport] = []
        for days_ago in range(DAYS_TOLD, 0, -1):
            day = (now - timedelta(days=days_ago)).date()
            of_domain = await self._counted(day, now)
            done = await self._memory.recall(_reported_kind(day), list(of_domain), now)
            for domain in sorted(of_domain.keys() - done.keys()):
                if len(due) >= DUE_MAX:
                    return due
                if now < _end(day) + timedelta(seconds=_spread_s(domain)):
                    continue
                due += await self._report(domain, day, of_domain[domain], resolver, reporter)
        return due

    async def _counted(self, day: date, now: datetime) -> dict[str, dict[str, PolicyCounts]]:
        """Give the counts of a day, by domain and type of policy."""
        lines = await self._memory.recall_all(_policies_kind(day), now)
        found: dict[str, dict[str, PolicyCounts]] = {}
        for key, count in (await self._memory.counts(_outcomes_kind(day), now)).items():
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
        now = self._clock.now()
        until = _end(day) + timedelta(days=DAYS_TOLD + 1)
        if await self._memory.remember_first(_reported_kind(day), domain, b"", now, until) is not None:
            return []
        wanted = targets(answer.records)
        if not wanted:
            return []
        report_id = f"{day.isoformat()}.{sha256(f'{domain} {reporter.hostname}'.encode()).hexdigest()[:16]}"
        report = packed(written(domain, day, list(policies.values()), reporter, report_id))
        return [_outgoing(domain, day, target, report, report_id, reporter, now) for target in wanted]


def _outgoing(
    domain: str, day: date, target: str, report: bytes, report_id: str, reporter: Reporter, now: datetime
) -> OutgoingReport:
    """Spec: RFC 8460 §5.1, §5.3, §5.4."""
    if target.startswith("https:"):
        return OutgoingReport(domain, "", target, MEDIA_TYPE, report)
    begin_s = int(_end(day).timestamp()) - 86400
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


def _end(day: date) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def _spread_s(domain: str) -> int:
    return int.from_bytes(sha256(domain.encode()).digest()[:4]) % SPREAD_S


def _outcomes_kind(day: date) -> str:
    return f"tls-outcomes {day.isoformat()}"


def _policies_kind(day: date) -> str:
    return f"tls-policies {day.isoformat()}"


def _reported_kind(day: date) -> str:
    return f"tls-reported {day.isoformat()}"
