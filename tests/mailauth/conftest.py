"""A clock set by hand, and the real memory in a folder of the test."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.config.settings import Store
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.memory import EmbeddedMemory
from mailstead.storage.embedded.side_file import SideFiles


class ManualClock:
    def __init__(self):
        self.at = datetime(2026, 11, 27, 12, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic_s(self):
        return self.at.timestamp()

    def pass_time(self, **time):
        self.at += timedelta(**time)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def memory(tmp_path, clock):
    files = SideFiles(Store(disk_reserve_octets=0), tmp_path / "store", b"m" * 32, LocalBus(), clock)
    yield EmbeddedMemory(files)
    await files.close()
