"""Backups: what there is, how the last ones went, and a new one or a drill."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.backup_vault import moment_of

KINDS: Final = ("backup", "drill")
SNAPSHOTS_MAX: Final = 100


async def backups(visit: Visit) -> Response:
    """Show snapshots and jobs."""
    return await _show(visit)


async def start(visit: Visit) -> Response:
    """Begin a backup or a drill, which goes on behind the page."""
    fields = await visit.fields()
    try:
        if fields.get("kind") not in KINDS:
            raise PolicyRefused(_("Say whether a backup or a drill"))
        visit.house.backup_jobs.start(visit.actor, fields["kind"])
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/admin/backups")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    snapshots: list[str] = []
    unready = None  # where backups go is not set, or cannot be reached
    try:
        snapshots = await visit.house.backup_jobs.snapshots(visit.actor)
    except MailsteadError as wrong:
        unready = wrong
    jobs = visit.house.backup_jobs.jobs(visit.actor)
    return visit.show(
        "backups.html",
        200 if error is None else status_of(error),
        snapshots=[(each, moment_of(each)) for each in snapshots[: -SNAPSHOTS_MAX - 1 : -1]],
        count=len(snapshots),
        jobs=jobs,
        is_under_way=any(each.ended_at is None for each in jobs),
        unready=unready,
        error=error,
    )


PAGES: Final = (
    Page("/admin/backups", backups, Who.SERVER_ADMIN),
    Page("/admin/backups", start, Who.SERVER_ADMIN, ("POST",)),
)
