"""What the API needs to look after the server itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from mailstead import __version__
from mailstead.config.settings import Settings
from mailstead.model.envelope import Actor
from mailstead.services.api.administration import Administration
from mailstead.usecases.backup_jobs import BackupJobs
from mailstead.usecases.domain_entries import domain_entry
from mailstead.usecases.outgoing import Outgoing
from mailstead.usecases.overview import Overviews
from mailstead.usecases.statistics import Statistics
from mailstead.usecases.traces import Traces
from mailstead.wiring.doctor import make_dns_plan, make_dns_writer, make_doctor, make_probes
from mailstead.wiring.house import ADMINISTRATOR, House


def make_administration(house: House) -> Administration:
    """Give it for a house."""
    settings = house.settings
    return Administration(
        audit=house.audit,
        backup_jobs=make_backup_jobs(house),
        dns_plan=partial(make_dns_plan, house),
        dns_writer=partial(make_dns_writer, house),
        doctor=partial(make_doctor, house),
        find_domain=partial(domain_entry, house.storage.people),
        keys=house.keys,
        outgoing=Outgoing(house.storage, house.clock, house.audit),
        overviews=Overviews(house.storage, house.clock, make_probes(settings), __version__, settings.server.services),
        reporting=house.reporting,
        sender_lists=house.sender_lists,
        statistics=Statistics(house.storage, house.clock),
        traces=Traces(house.storage),
        account_quota_octets=settings.store.account_quota_octets or None,
    )


def make_backup_jobs(house: House) -> BackupJobs:
    """Give what begins backups and drills from afar."""
    settings = house.settings
    works = {"backup": partial(_backup, settings), "drill": partial(_drill, settings)}
    return BackupJobs(house.clock, house.audit, partial(_snapshots, settings), works)


async def _snapshots(settings: Settings, actor: Actor) -> list[str]:
    from mailstead.wiring.backup import make_backups  # only where backups are asked for

    backups = make_backups(settings)
    return [] if await backups.last_made_at(actor) is None else await backups.list(actor)


async def _backup(settings: Settings) -> Mapping[str, object]:
    from mailstead.config.load import file_of
    from mailstead.wiring.backup import alone, make_backups, retention

    with alone(settings):
        backups = make_backups(settings, file_of(None, os.environ))
        made = await backups.run(ADMINISTRATOR)
        pruned = await backups.prune(ADMINISTRATOR, retention(settings))
    return {name: getattr(made, name) for name in made.__slots__} | {"removed": list(pruned.removed)}


async def _drill(settings: Settings) -> Mapping[str, object]:
    from mailstead.usecases.restores import Restores
    from mailstead.wiring.backup import backup_key, make_vault
    from mailstead.wiring.restore import drill

    restores = Restores(make_vault(settings, backup_key(settings)))
    restored = await drill(settings, restores, await restores.pick(ADMINISTRATOR))
    return {name: getattr(restored, name) for name in restored.__slots__}
