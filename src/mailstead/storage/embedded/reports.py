"""Aggregate reports in one encrypted file. Implements `ports.trace.Reports`."""

# ruff: noqa: S608 - statements are put together from our own words only; values are always parameters

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import apsw
import msgspec

from mailstead.model.reports import Report, ReportQuery, ReportRow
from mailstead.storage.embedded.moments import moment_of, us_of
from mailstead.storage.embedded.rows import select_packed
from mailstead.storage.embedded.side_file import FileKind, SideFiles, SideTransaction

VERSION_1: Final = """
CREATE TABLE report (
    report_no INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    domain TEXT NOT NULL,
    reporter TEXT NOT NULL,
    report_id TEXT NOT NULL,
    begin_at INTEGER NOT NULL,            -- all moments: microseconds since 1970
    end_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    lines TEXT NOT NULL,                  -- model.reports.ReportRow as JSON
    UNIQUE (kind, reporter, report_id)
) STRICT;
CREATE INDEX report_received ON report (received_at);
CREATE INDEX report_domain ON report (domain, received_at);
"""

MIGRATIONS: Final[tuple[str, ...]] = (VERSION_1,)
"""Step n brings a file from version n to version n + 1."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[ReportRow, ...]).decode


class EmbeddedReports:
    """Each verb is one unit of work of the file's writer thread, or one hop to a reader thread."""

    def __init__(self, files: SideFiles) -> None:
        self._file = files.open(FileKind("reports", MIGRATIONS))

    async def add(self, report: Report) -> bool:
        """See `Reports.add`."""
        lines = _encode(report.rows).decode()

        def work(unit: SideTransaction) -> bool:
            unit.db.execute(
                "INSERT INTO report VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    report.kind,
                    report.domain,
                    report.reporter,
                    report.report_id,
                    us_of(report.begin),
                    us_of(report.end),
                    us_of(report.received_at),
                    lines,
                ),
            )
            return unit.db.changes() > 0

        return await self._file.write(work, grows=True)

    async def reports(self, query: ReportQuery) -> Sequence[Report]:
        """See `Reports.reports`."""
        return await self._file.read(lambda db: _reports(db, query))

    async def expire(self, before: datetime) -> int:
        """See `Reports.expire`."""

        def work(unit: SideTransaction) -> int:
            unit.db.execute("DELETE FROM report WHERE received_at < ?", (us_of(before),))
            return unit.db.changes()

        return await self._file.write(work)


def _reports(db: apsw.Connection, query: ReportQuery) -> list[Report]:
    conditions: list[str] = []
    values: dict[str, str | int] = {"limit": query.limit}
    if query.kind:
        conditions.append("kind = :kind")
        values["kind"] = query.kind
    if query.domain:
        conditions.append("domain = :domain")
        values["domain"] = query.domain
    if query.since is not None:
        conditions.append("received_at >= :since")
        values["since"] = us_of(query.since)
    rows = select_packed(
        db,
        "kind, domain, reporter, report_id, begin_at, end_at, received_at, lines",
        f"FROM (SELECT * FROM report WHERE {' AND '.join(conditions) or '1'}"
        " ORDER BY received_at DESC, report_no DESC LIMIT :limit)",
        values,
        order="ORDER BY received_at DESC, report_no DESC",
    )
    return [
        Report(
            kind=kind,
            domain=domain,
            reporter=reporter,
            report_id=report_id,
            begin=moment_of(begin_at),
            end=moment_of(end_at),
            received_at=moment_of(received_at),
            rows=_decode(lines),
        )
        for kind, domain, reporter, report_id, begin_at, end_at, received_at, lines in rows
    ]
