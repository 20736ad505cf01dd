"""DMARC aggregate reports to others: what was judged by a domain's policy is counted, and told on the next day.

Spec: RFC 9990; RFC 7489 §6.3 (``!10m``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Final, NamedTuple

from mailstead.mailauth import dmarc_record
from mailstead.mailauth.aggregate_xml import Judged, Published, parse_report, written
from mailstead.mailauth.daily_counts import DailyCounts, day_end
from mailstead.mailauth.dmarc import organizational_domain
from mailstead.mailauth.dmarc_record import Record
from mailstead.mailauth.report_mail import Letter, OutgoingReport, Reporter, composed, packed
from mailstead.mailauth.report_parts import ROWS_MAX, harmless
from mailstead.mailauth.tlsrpt import mail_target
from mailstead.model.authentication import Authentication, Result
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.ports.resolver import Resolver

__all__ = ["DmarcOutcomes", "Target", "parse_report", "targets"]

MEDIA_TYPE: Final = "application/gzip"
DUE_MAX: Final = 100
"""Reports made in one go."""
SIGNATURES_MAX: Final = 5
TARGETS_MAX: Final = 5


class Target(NamedTuple):
    """One of those to whom reports go."""

    address: str
    octets_max: int
    """Largest mail that is wanted there; 0: any."""


class DmarcOutcomes:
    """Counts outcomes and makes reports of them."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._daily = DailyCounts(memory, clock, "dmarc-reports")
        self._clock = clock

    def note(
        self, found: Authentication, client_address: str, envelope_from: str, disposition: str, *, override: str = ""
    ) -> None:
        """Count a message; one that no domain wants to hear of is passed over. Never waits.

        `disposition` is what became of it by the policy (``none``, ``quarantine``, ``reject``), `override` why that is
        not what the domain asks for (``local_policy``, ``trusted_forwarder`` …).
        Spec: RFC 9990 §3.1.1.8, §3.1.1.9 (where DMARC passes, nothing having been done is told as ``pass``).
        """
        dmarc = found.dmarc
        if not dmarc.aggregate_to or not dmarc.policy_domain:
            return
        is_passed = dmarc.result is Result.PASS and disposition == "none"
        judged = Judged(
            source=client_address,
            disposition="pass" if is_passed else disposition,
            override=override,
            is_dkim_aligned=dmarc.is_dkim_aligned,
            is_spf_aligned=dmarc.is_spf_aligned,
            header_from=dmarc.author_domain,
            envelope_from=harmless(envelope_from),
            dkim=tuple(
                (harmless(each.domain), harmless(each.selector), each.result.value)
                for each in found.dkim[:SIGNATURES_MAX]
            ),
            spf=(harmless(found.spf.domain), found.spf.result.value),
        )
        self._daily.add(json.dumps((dmarc.policy_domain, *judged)))

    async def flush(self) -> None:
        """Write what was noted. Errors: StorageUnavailable, StorageFull; then it is kept for the next time."""
        await self._daily.flush()

    async def reports_due(self, resolver: Resolver, reporter: Reporter) -> list[OutgoingReport]:
        """Make the reports that fall due, at most so many at a time; each is given once only.

        Errors: StorageUnavailable, StorageFull.
        """
        reports: list[OutgoingReport] = []
        for day in self._daily.days_over():
            of_domain: dict[str, list[tuple[Judged, int]]] = {}
            for key, count in (await self._daily.counts(day)).items():
                domain, *rest = json.loads(key)
                of_domain.setdefault(domain, []).append((Judged(*rest), count))
            for domain in await self._daily.due(day, of_domain):
                if len(reports) >= DUE_MAX:
                    return reports
                reports += await self._report(domain, day, of_domain[domain], resolver, reporter)
        return reports

    async def _report(
        self, domain: str, day: date, counts: list[tuple[Judged, int]], resolver: Resolver, reporter: Reporter
    ) -> list[OutgoingReport]:
        """Make one domain's report, for each that wants it and may have it."""
        try:
            answer = await resolver.txt(f"_dmarc.{domain}")
            records = [record for text in answer.records if (record := dmarc_record.parsed(text)) is not None]
            wanted = await targets(resolver, domain, records[0].aggregate_to) if len(records) == 1 else []
        except DnsUnavailable:
            return []  # later
        if not await self._daily.claim(day, domain) or not wanted:
            return []
        report_id = f"{day.isoformat()}.{sha256(f'dmarc {domain} {reporter.hostname}'.encode()).hexdigest()[:16]}"
        counts = sorted(counts, key=lambda each: -each[1])[:ROWS_MAX]
        report = packed(written(Published(domain, records[0]), day, counts, reporter, report_id))
        letter = _letter(domain, day, report_id, reporter)
        mails = [(target, composed(reporter, target.address, letter, report, self._clock.now())) for target in wanted]
        return [
            OutgoingReport(domain, target.address, "", MEDIA_TYPE, mail)
            for target, mail in mails
            if not target.octets_max or len(mail) <= target.octets_max
        ]


def _letter(domain: str, day: date, report_id: str, reporter: Reporter) -> Letter:
    """Spec: RFC 9990 §5.4."""
    end_s = int(day_end(day).timestamp())
    return Letter(
        subject=f"Report Domain: {domain} Submitter: {reporter.hostname} Report-ID: <{report_id}>",
        text=f"This is a DMARC aggregate report from {reporter.hostname} about {domain} on {day.isoformat()}.\n",
        fields=(),
        media_type=MEDIA_TYPE,
        file_name=f"{reporter.hostname}!{domain}!{end_s - 86400}!{end_s - 1}.xml.gz",
        report_type="",
        report_id=report_id,
    )


# RFC 7489 §6.4:  dmarc-uri = URI [ "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] ]
_TARGET: Final = re.compile(r"(mailto:[^!]+)(?:!([0-9]{1,12})([kmgt]?))?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


async def targets(resolver: Resolver, policy_domain: str, uris: Sequence[str]) -> list[Target]:
    """Give to whom the reports about a domain go: mail only, and to outsiders only if they agree.

    Else anybody could have our reports sent to anybody (attack row 38). An outsider's record may name another address
    at the same host.
    Spec: RFC 9990 §4 (external destinations), §3.3.
    Errors: DnsUnavailable.
    """
    found: list[Target] = []
    own = await organizational_domain(resolver, policy_domain)
    for uri in uris[:TARGETS_MAX]:
        target = _target(uri)
        if target is None:
            continue
        host = target.address.rpartition("@")[2]
        if await organizational_domain(resolver, host) == own:
            found.append(target)
        elif (record := await _agreement(resolver, policy_domain, host)) is not None:
            other = [each for each in map(_target, record.aggregate_to) if each is not None]
            allowed = [each for each in other if each.address.rpartition("@")[2] == host]
            found += allowed[:TARGETS_MAX] if record.aggregate_to else [target]
    return list(dict.fromkeys(found))[:TARGETS_MAX]


def _target(uri: str) -> Target | None:
    match = _TARGET.fullmatch(uri)
    address = mail_target(match[1]) if match is not None else ""
    if match is None or not address:
        return None
    return Target(address, int(match[2] or 0) * _UNITS[(match[3] or "").lower()])


async def _agreement(resolver: Resolver, policy_domain: str, host: str) -> Record | None:
    """Give the record by which a host takes reports about another domain. Spec: RFC 9990 §4, steps 4 to 8."""
    answer = await resolver.txt(f"{policy_domain}._report._dmarc.{host}")
    records = [record for text in answer.records if (record := dmarc_record.parsed(text)) is not None]
    return records[0] if records else None
