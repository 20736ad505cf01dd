"""What others report: mail in our domains' names (DMARC) and TLS to us, added up by who sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError
from mailstead.model.reports import Report, ReportQuery, ReportRow
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site import charts
from mailstead.services.web.site.pages import Page, Visit, Who

KINDS: Final = ("dmarc", "tls")
DAYS: Final = (7, 30, 90)
REPORTS_MAX: Final = 1000
SENDERS_MAX: Final = 50


@dataclass(slots=True)
class Sender:
    """What was seen of one sender."""

    name: str
    good: int = 0
    bad: int = 0
    picture: str = ""

    @property
    def count(self) -> int:
        """All of it."""
        return self.good + self.bad


async def reports(visit: Visit) -> Response:
    """Show what the reports of some days say, most first."""
    query = visit.request.query_params
    kind = query.get("kind", "dmarc") if query.get("kind") in KINDS else KINDS[0]
    days = next((each for each in DAYS if str(each) == query.get("days")), 30)
    domain = query.get("domain", "").strip()[:255]
    found: list[Report] = []
    error = None
    try:
        since = visit.house.clock.now() - timedelta(days=days)
        found = list(await visit.house.reporting.list(visit.actor, ReportQuery(kind, domain, since, REPORTS_MAX)))
    except MailsteadError as wrong:
        error = wrong
    senders = added_up(found)
    return visit.show(
        "reports.html",
        200 if error is None else status_of(error),
        kind=kind,
        kinds=KINDS,
        days=days,
        all_days=DAYS,
        domain=domain,
        senders=senders[:SENDERS_MAX],
        left_count=max(len(senders) - SENDERS_MAX, 0),
        reports=found,
        error=error,
    )


def added_up(found: Iterable[Report]) -> list[Sender]:
    """Give senders, most first: of DMARC, addresses that sent; of TLS, who reported about sending to us."""
    senders: dict[str, Sender] = {}
    for report in found:
        for row in report.rows:
            name = row.source if report.kind == "dmarc" else report.reporter
            sender = senders.setdefault(name, Sender(name))
            if _is_good(report.kind, row):
                sender.good += row.count
            else:
                sender.bad += row.count
    ordered = sorted(senders.values(), key=lambda each: (-each.count, each.name))
    for each in ordered[:SENDERS_MAX]:
        each.picture = charts.share(each.good, each.bad, ordered[0].count)
    return ordered


def _is_good(kind: str, row: ReportRow) -> bool:
    """Whether DMARC passed, by either way (RFC 9989 §5.3), or TLS worked."""
    return bool({"spf=pass", "dkim=pass"} & set(row.detail.split())) if kind == "dmarc" else row.outcome == "success"


PAGES: Final = (Page("/admin/reports", reports, Who.DOMAIN_ADMIN),)
