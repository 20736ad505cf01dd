"""What others report about mail in our domains' names, and about TLS to us. Command: ``mailstead reports``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.reports import Report, ReportQuery
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment

REPORTS_MAX: Final = 1000


class ReportsAsked(Model):
    """Which reports, the newest first."""

    kind: Literal["", "dmarc", "tls"] = ""
    since: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=REPORTS_MAX)] = 100


class RowShown(Shown):
    """So many messages (dmarc) or sessions (tls), with this outcome."""

    count: int
    source: str
    outcome: str
    detail: str


class ReportShown(Shown):
    """One report of one reporter."""

    kind: str
    domain: str
    reporter: str
    report_id: str
    begin: Moment
    end: Moment
    received_at: Moment
    rows: list[RowShown]


async def list_all(call: Call) -> Answer:
    """Give those of all domains."""
    return await _reports(call, "")


async def list_of_domain(call: Call) -> Answer:
    """Give those of one domain."""
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    return await _reports(call, entry.domain.name)


async def _reports(call: Call, domain: str) -> Answer:
    asked: ReportsAsked = call.query
    query = ReportQuery(asked.kind, domain, asked.since, asked.limit)
    return Answer([_shown(each) for each in await call.house.administration.reporting.list(call.actor, query)])


def _shown(report: Report) -> ReportShown:
    return ReportShown(
        kind=report.kind,
        domain=report.domain,
        reporter=report.reporter,
        report_id=report.report_id,
        begin=report.begin,
        end=report.end,
        received_at=report.received_at,
        rows=[
            RowShown(count=row.count, source=row.source, outcome=row.outcome, detail=row.detail) for row in report.rows
        ],
    )


_ours: Final = partial(
    Endpoint,
    tag="reports",
    auth=Auth.TOKEN,
    query=ReportsAsked,
    shows=list[ReportShown],
    is_ours=True,
    command="reports",
)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/reports",
        "list-reports",
        "Aggregate reports about all domains",
        right=Right.SERVER_ADMIN,
        handler=list_all,
    ),
    _ours(
        "GET",
        "/v1/domains/{domain_id}/reports",
        "list-domain-reports",
        "Aggregate reports about a domain",
        right=Right.DOMAIN_ADMIN,
        handler=list_of_domain,
    ),
)
