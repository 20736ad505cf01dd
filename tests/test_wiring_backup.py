"""The backup of the day and the restore drill of the month, as chores of a house."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from mailstead.config.settings import Backup, Server, Settings
from mailstead.model.errors import BackupFailed, TryAgainLater
from mailstead.usecases.backup_vault import Vault
from mailstead.wiring.backup import alone, daily_backup, make_backups
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.queue import make_chores
from mailstead.wiring.restore import monthly_drill

NIGHT = datetime.now(UTC).replace(hour=3, minute=7)


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        server=Server(data_dir=tmp_path / "data"), backup=Backup(target=str(tmp_path / "place"), daily_count=2)
    )
    (tmp_path / "data").mkdir()
    async with open_house(settings) as opened:
        yield opened


async def snapshots(house):
    return await make_backups(house.settings).list(ADMINISTRATOR)


def placed(tmp_path):
    return sorted(path.name for path in (tmp_path / "place" / "snapshots").glob("*"))


async def test_one_backup_a_day_from_its_hour_on(house, tmp_path):
    await daily_backup(house, None, NIGHT.replace(hour=2))
    assert placed(tmp_path) == []
    await daily_backup(house, None, NIGHT)
    await daily_backup(house, None, NIGHT + timedelta(minutes=5))
    await daily_backup(house, None, NIGHT.replace(hour=5))
    assert len(placed(tmp_path)) == 1
    assert await make_backups(house.settings).last_made_at(ADMINISTRATOR) is not None


async def test_what_failed_is_tried_again_in_the_next_hour(house, tmp_path, monkeypatch):
    async def full(*_):
        raise BackupFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "put", full)
        with pytest.raises(BackupFailed):
            await daily_backup(house, None, NIGHT)
    await daily_backup(house, None, NIGHT + timedelta(minutes=10))
    assert placed(tmp_path) == []
    await daily_backup(house, None, NIGHT + timedelta(hours=1))
    assert len(placed(tmp_path)) == 1


async def test_one_at_a_time(house):
    with alone(house.settings), pytest.raises(TryAgainLater, match="Another backup"):
        await daily_backup(house, None, NIGHT)


async def test_a_drill_a_month_and_none_without_a_backup(house):
    assert await monthly_drill(house, NIGHT) is None
    await daily_backup(house, None, NIGHT)
    restored = await monthly_drill(house, NIGHT)
    assert (restored.account_count, restored.findings) == (0, ())
    assert await monthly_drill(house, NIGHT) is None
    assert await monthly_drill(house, NIGHT + timedelta(days=32)) is not None


async def test_what_a_drill_finds_is_told(house, monkeypatch):
    await daily_backup(house, None, NIGHT)

    async def drilled(*_):
        return replace(await original(house.settings, *_[1:]), findings=("house: broken",))

    from mailstead.wiring import restore

    original = restore.drill
    monkeypatch.setattr(restore, "drill", drilled)
    with capture_logs() as logs:
        await monthly_drill(house, NIGHT)
    assert [entry["findings"] for entry in logs if entry["log_level"] == "error"] == [("house: broken",)]


async def test_both_are_chores_where_there_is_a_place(house):
    assert {"backup", "restore drill"} <= set(make_chores(house, None))
    without = replace(house, settings=replace(house.settings, backup=Backup()))
    assert not {"backup", "restore drill"} & set(make_chores(without, None))
