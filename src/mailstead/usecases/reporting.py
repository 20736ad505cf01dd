"""Aggregate reports, in and out: what others saw of our domains is kept and shown; what we saw is told to who asks.

Mail to ``dmarc-reports@`` and ``tls-reports@`` of every domain of ours ends here, like a bounce, and not in a mailbox.

Spec: RFC 9990 (DMARC), RFC 8460 (TLS-RPT); attack row 38.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mailstead.mailauth import aggregate, tlsrpt
from mailstead.mailauth.aggregate import DmarcOutcomes
from mailstead.mailauth.report_mail import OutgoingReport, Reporter
from mailstead.mailauth.report_parts import BadReport
from mailstead.mailauth.results import told_result
from mailstead.mailauth.tlsrpt import TlsOutcomes
from mailstead.model.address import Address, normal_domain
from mailstead.model.authentication import Authentication, Result
from mailstead.model.envelope import Actor, Recipient
from mailstead.model.errors import MailsteadError, NotAllowed, WebFailed, WebRefused
from mailstead.model.queue import ItemKind, NewItem
from mailstead.model.reports import Report, ReportQuery
from mailstead.model.verdict import Decision, Judgement
from mailstead.policy.names import DMARC_REPORTS, POSTMASTER, TLS_REPORTS, report_kind
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient
from mailstead.telemetry import log
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing
from mailstead.usecases.tracing import MessageTrace

_log = log.get("reports")

TAKEN_PER_DAY_MAX: Final = 2000
"""Reports that one domain takes in a day; there are not so many reporters."""
EXPIRES: Final = timedelta(days=2)
FLUSH_S: Final = 60.0

_PARSERS: Final[Mapping[str, Callable[[bytes, datetime], Report]]] = {
    "dmarc": aggregate.parse_report,
    "tls": tlsrpt.parse_report,
}
_DISPOSITIONS: Final = {Decision.REFUSE: "reject", Decision.QUARANTINE: "quarantine"}


class Reporting:
    """Reports that come in, and what is counted for those that go out.

    `dmarc` counts what policies of others were applied to; None: nobody is told.
    """

    def __init__(self, storage: Storage, clock: Clock, *, dmarc: DmarcOutcomes | None = None) -> None:
        self._directory = storage.directory
        self._reports = storage.reports
        self._memory = storage.memory
        self._clock = clock
        self._dmarc = dmarc

    # coming in

    async def is_report_address(self, address: Address) -> bool:
        """Whether mail to this address is for the house to read."""
        return bool(report_kind(address)) and await self._directory.domain(address.domain) is not None

    async def take(
        self, octets: bytes, addresses: Sequence[Address], found: Authentication | None, trace: MessageTrace
    ) -> None:
        """Keep the report that a mail carries, if it is one, its sender stands behind it, and it is about us.

        A mail that is none is dropped, with a note in the trace: nobody reads what is written to a machine.
        Errors: StorageUnavailable, StorageFull.
        """
        for address in addresses:
            kept = await self._taken(octets, address, found)
            trace.note("report", "absorbed" if not kept else "kept", kept or "no report in it", recipient=address)

    async def take_own(self, octets: bytes, address: Address) -> None:
        """Keep a report of ours about a domain of ours, without a way through the queue."""
        kept = await self._taken(octets, address, None)
        _log.info("own report kept", address=str(address), kept=kept)

    async def _taken(self, octets: bytes, address: Address, found: Authentication | None) -> str:
        """Give what was kept, in words; nothing if nothing was."""
        if found is not None and not _is_vouched_for(found):
            _log.info("a report is not kept, as nobody stands behind it", address=str(address))
            return ""
        now = self._clock.now()
        try:
            report = await asyncio.to_thread(_PARSERS[report_kind(address)], octets, now)
        except BadReport as error:
            _log.info("a report cannot be read", address=str(address), reason=str(error)[:200])
            return ""
        return await self._keep(report, address, now)

    async def _keep(self, report: Report, address: Address, now: datetime) -> str:
        if not await self._is_about_us(report.domain, address.domain):
            _log.info("a report is about others", address=str(address), domain=report.domain)
            return ""
        end_of_day = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        counts = await self._memory.count("reports taken", {address.domain: 1}, now, end_of_day)
        if counts[address.domain] > TAKEN_PER_DAY_MAX:
            _log.warning("too many reports today; the rest is not kept", domain=address.domain)
            return ""
        is_new = await self._reports.add(report)
        return f"{report.kind} report of {report.reporter} about {report.domain}" + ("" if is_new else ", kept before")

    async def _is_about_us(self, domain: str, address_domain: str) -> bool:
        """Attack row 38: reports about foreign domains are not ours to keep."""
        if f".{domain}".endswith(f".{address_domain}"):
            return True
        return await self._directory.domain(domain) is not None

    async def list(self, actor: Actor, query: ReportQuery) -> Sequence[Report]:
        """Reports that have come, newest first, about the domains that the actor looks after.

        Errors: BadAddress, NoSuchDomain; NotAllowed, for who administers nothing, or not that domain.
        """
        if query.domain:
            query = replace(query, domain=normal_domain(query.domain))
            actor.must_administer(query.domain)
        if query.domain or actor.is_admin:
            return await self._reports.reports(query)
        if not actor.administered:
            raise NotAllowed
        found = [
            report for name in actor.administered for report in await self._reports.reports(replace(query, domain=name))
        ]
        return sorted(found, key=lambda report: report.received_at, reverse=True)[: query.limit]

    # counted for those that go out

    def note(
        self, found: Authentication | None, client_address: str, mail_from: Address | None, judgement: Judgement
    ) -> None:
        """Count what DMARC meant for a message that has come. Never waits.

        Spec: RFC 9990 §3.1.1.9 (why a policy was not followed).
        """
        if self._dmarc is None or found is None:
            return
        check = next((check for check in judgement.checks if check.name == "dmarc"), None)
        disposition = _DISPOSITIONS.get(check.decision, "none") if check else "none"
        dmarc = found.dmarc
        override = ""
        if dmarc.result is Result.FAIL and dmarc.policy != disposition:
            is_sealed = found.arc.is_trusted and told_result(found.arc.newest_results, "dmarc") == Result.PASS
            override = "trusted_forwarder" if is_sealed else "local_policy"
        envelope_from = mail_from.domain if mail_from else ""
        self._dmarc.note(found, client_address, envelope_from, disposition, override=override)


def _is_vouched_for(found: Authentication) -> bool:
    """Whether some domain stands behind a report. Spec: RFC 8460 §3 (a signature is needed), RFC 9990 §5.4."""
    return found.is_author_authenticated or any(each.result is Result.PASS for each in found.dkim)


class Counting:
    """Writes what a process has counted for reports, now and then and a last time at the end."""

    def __init__(self, outcomes: TlsOutcomes | DmarcOutcomes) -> None:
        self._outcomes = outcomes

    async def run(self, stop: asyncio.Event) -> None:
        """Do so until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_S)
            try:
                await self._outcomes.flush()
            except MailsteadError as error:
                _log.warning("counts for reports are not written yet", error=error.public_text)


class ReportSending:
    """Sends reports that are due; its verbs are chores of housekeeping, which one process does at a time."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        resolver: Resolver,
        web: WebClient,
        routes: Routes,
        sealing: Sealing,
        reporting: Reporting,
        *,
        hostname: str,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._resolver = resolver
        self._web = web
        self._routes = routes
        self._sealing = sealing
        self._reporting = reporting
        self._hostname = hostname

    async def send_tls(self, outcomes: TlsOutcomes) -> int:
        """Queue or post the TLS reports that are due; give how many. Errors: StorageUnavailable, StorageFull."""
        return await self._send(outcomes, TLS_REPORTS)

    async def send_dmarc(self, outcomes: DmarcOutcomes) -> int:
        """Queue the DMARC reports that are due; give how many. Errors: StorageUnavailable, StorageFull."""
        return await self._send(outcomes, DMARC_REPORTS)

    async def _send(self, outcomes: TlsOutcomes | DmarcOutcomes, local_part: str) -> int:
        await outcomes.flush()
        domain = await self._reporting_domain()
        if domain is None:
            return 0
        reporter = Reporter(self._hostname, f"{POSTMASTER}@{domain}", self._hostname)
        reports = await outcomes.reports_due(self._resolver, reporter)
        for report in reports:
            if report.url:
                await self._post(report)
            else:
                await self._mail(report, Address(local_part, domain))
        return len(reports)

    async def _reporting_domain(self) -> str | None:
        """The domain in whose name reports go, which signs them: the one of our host, else the first."""
        domains = [domain.name for domain in await self._storage.directory.domains()]
        above = [name for name in domains if f".{self._hostname}".endswith(f".{name}")]
        return next(iter([*sorted(above, key=len, reverse=True), *domains]), None)

    async def _mail(self, report: OutgoingReport, sender: Address) -> None:
        """Sign and queue a report; bounces come to the address that takes reports, and so end there.

        Spec: RFC 8460 §5.3 (DKIM), RFC 9990 §5.4.
        """
        now, to = self._clock.now(), Address.parse(report.mail_to)
        if await self._reporting.is_report_address(to):
            await self._reporting.take_own(report.octets, to)
            return
        queue_id = secrets.token_hex(8)
        recipient = await self._routes.to_address(Recipient(to, frozenset({"NEVER"})), sender.domain)
        item = NewItem(
            queue_id=queue_id,
            kind=ItemKind.REPORT,
            mail_from=sender,
            recipients=(recipient,),
            octets=await self._sealing.sign(report.octets, sender.domain),
            accepted_at=now,
            expires_at=now + EXPIRES,
            domain=sender.domain,
            tls_optional=sender.local_part == TLS_REPORTS,
            priority=-1,
        )
        await self._storage.queue.put([item])
        _log.info("report queued", about=report.domain, to=report.mail_to, queue_id=queue_id)

    async def _post(self, report: OutgoingReport) -> None:
        """Spec: RFC 8460 §5.4 (tried once: mail is there for who wants more)."""
        try:
            response = await self._web.post(report.url, report.octets, {"Content-Type": report.media_type})
        except (WebFailed, WebRefused) as error:
            _log.warning("a report is not taken", about=report.domain, url=report.url, error=error.public_text)
            return
        _log.info("report posted", about=report.domain, url=report.url, status=response.status)
