"""Backups and restore drills. Commands: ``mailstead backup``."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.usecases.backup_jobs import BackupJob


class JobShown(Shown):
    """A backup or a drill that was asked for here."""

    kind: str
    began_at: Moment
    ended_at: Moment | None
    """Null: it is under way."""
    error: str | None
    result: dict[str, Any]
    """What the command would print with --json."""


class BackupsShown(Shown):
    """Snapshots, the oldest first, and the last jobs of this process."""

    snapshots: list[str]
    jobs: list[JobShown]


async def show(call: Call) -> Answer:
    """Give what there is."""
    jobs = call.house.administration.backup_jobs
    snapshots = await jobs.snapshots(call.actor)
    return Answer(BackupsShown(snapshots=snapshots, jobs=[_job(each) for each in jobs.jobs(call.actor)]))


async def start_backup(call: Call) -> Answer:
    """Begin a backup."""
    return Answer(_job(call.house.administration.backup_jobs.start(call.actor, "backup")))


async def start_drill(call: Call) -> Answer:
    """Begin a drill."""
    return Answer(_job(call.house.administration.backup_jobs.start(call.actor, "drill")))


def _job(job: BackupJob) -> JobShown:
    return JobShown(
        kind=job.kind,
        began_at=job.began_at,
        ended_at=job.ended_at,
        error=job.error or None,
        result=dict(job.result),
    )


_ours: Final = partial(Endpoint, tag="backups", auth=Auth.TOKEN, right=Right.SERVER_ADMIN, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/backups",
        "list-backups",
        "Snapshots, and how the last backup and drill went that were asked for here",
        handler=show,
        shows=BackupsShown,
        command="backup list",
    ),
    _ours(
        "POST",
        "/v1/backups",
        "start-backup",
        "Begin a backup; ask for the list to see how it goes",
        handler=start_backup,
        query=Model,
        shows=JobShown,
        status=202,
        command="backup",
    ),
    _ours(
        "POST",
        "/v1/backups/drill",
        "start-drill",
        "Restore the newest snapshot into a folder of its own, look it over, and remove it again",
        handler=start_drill,
        query=Model,
        shows=JobShown,
        status=202,
        command="backup drill",
    ),
)
