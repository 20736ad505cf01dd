"""`mailstead reports`: what others have reported about mail in our domains' names, and about TLS to us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.errors import DATA
from mailstead.cli.moments import as_json, past_moment
from mailstead.cli.terminal import terminal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.model.reports import Report
    from mailstead.wiring.house import House


def reports(
    context: typer.Context,
    domain: Annotated[str | None, typer.Argument(metavar="[DOMAIN]", help="About this domain; else all.")] = None,
    kind: Annotated[str | None, typer.Option(help="dmarc or tls; else both.")] = None,
    since: Annotated[str | None, typer.Option(help="30m, 2h, 7d (ago), or 2030-12-31, in UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest.")] = 100,
) -> None:
    """Show the aggregate reports that others have sent, newest first. They are kept for trace.reports_kept_days."""
    terminal = terminal_of(context)
    if kind not in {None, "dmarc", "tls"}:
        terminal.fail(DATA, f"--kind is dmarc or tls; not {kind!r}", kind="BadKind")
    moment = past_moment(terminal, since, "--since") if since else None

    async def work(house: House) -> Sequence[Report]:
        from mailstead.model.reports import ReportQuery
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.reporting.list(ADMINISTRATOR, ReportQuery(kind or "", domain or "", moment, limit))

    found = terminal.run(work)
    terminal.say("\n\n".join(map(_text, found)) or "(none)", [_as_json(report) for report in found])


def _text(report: Report) -> str:
    day = f"{report.begin:%Y-%m-%d}" if report.begin.date() == report.end.date() else f"since {report.begin:%Y-%m-%d}"
    total = sum(row.count for row in report.rows)
    what = "messages" if report.kind == "dmarc" else "sessions"
    lines = [f"{report.domain}  {day}  {report.kind.upper()} by {report.reporter}: {total} {what}"]
    lines += [
        f"  {row.count:>8}  {row.outcome:<12}  {'  '.join(part for part in (row.source, row.detail) if part)}".rstrip()
        for row in report.rows
        if row.count
    ]
    return "\n".join(lines)


def _as_json(report: Report) -> dict[str, object]:
    return {
        "kind": report.kind,
        "domain": report.domain,
        "reporter": report.reporter,
        "report_id": report.report_id,
        "begin": as_json(report.begin),
        "end": as_json(report.end),
        "received_at": as_json(report.received_at),
        "rows": [
            {"count": row.count, "source": row.source, "outcome": row.outcome, "detail": row.detail}
            for row in report.rows
        ],
    }
