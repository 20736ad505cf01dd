"""Backups and drills that are begun from afar, one list for the API and the pages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from mailstead.config.settings import Settings
from mailstead.model.envelope import Actor
from mailstead.ports.clock import Clock
from mailstead.usecases.audit import Audit
from mailstead.usecases.backup_jobs import BackupJobs


def make_backup_jobs(settings: Settings, clock: Clock, audit: Audit) -> BackupJobs:
    """Give what begins backups and drills from afar; a house has it once, so that each face sees the others' jobs."""
    works = {"backup": partial(_backup, settings), "drill": partial(_drill, settings)}
    return BackupJobs(clock, audit, partial(_snapshots, settings), works)


async def _snapshots(settings: Settings, actor: Actor) -> list[str]:
    from mailstead.wiring.backup import make_backups  # only where backups are asked for

    backups = make_backups(settings)
    return [] if await backups.last_made_at(actor) is None else await backups.list(actor)


async def _backup(settings: Settings) -> Mapping[str, object]:
    from mailstead.config.load import file_of
    from mailstead.wiring.backup import alone, make_backups, retention
    from mailstead.wiring.house import ADMINISTRATOR

    with alone(settings):
        backups = make_backups(settings, file_of(None, os.environ))
        made = await backups.run(ADMINISTRATOR)
        pruned = await backups.prune(ADMINISTRATOR, retention(settings))
    return {name: getattr(made, name) for name in made.__slots__} | {"removed": list(pruned.removed)}


async def _drill(settings: Settings) -> Mapping[str, object]:
    from mailstead.usecases.restores import Restores
    from mailstead.wiring.backup import backup_key, make_vault
    from mailstead.wiring.house import ADMINISTRATOR
    from mailstead.wiring.restore import drill

    restores = Restores(make_vault(settings, backup_key(settings)))
    restored = await drill(settings, restores, await restores.pick(ADMINISTRATOR))
    return {name: getattr(restored, name) for name in restored.__slots__}
