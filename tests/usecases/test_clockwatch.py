"""Whether the clock may be believed."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from mailstead.usecases.clockwatch import DOUBTED_S, JUMP_S, ClockWatch
from mailstead.usecases.housekeeping import Housekeeping

YEAR = timedelta(days=365)


@pytest.fixture
def jumping(clock):
    """The clock of the tests, whose wall time a test sets by `by`."""
    real = clock.now
    clock.by = timedelta(0)
    clock.now = lambda: real() + clock.by
    return clock


async def test_time_that_passes_is_believed(jumping):
    watch = ClockWatch(jumping)
    for _ in range(5):
        jumping.passed_s += 7 * 86400.0
        assert watch.is_believed()


@pytest.mark.parametrize("by", [YEAR, -YEAR, timedelta(seconds=2 * JUMP_S)])
async def test_attack_077_a_jump_is_told_once_and_doubted_for_a_day(jumping, by):
    watch = ClockWatch(jumping)
    jumping.by = by
    with capture_logs() as logs:
        assert not watch.is_believed()
        jumping.passed_s += DOUBTED_S - 1
        assert not watch.is_believed()
        jumping.passed_s += 1
        assert watch.is_believed()
    assert [entry["by_s"] for entry in logs] == [by.total_seconds()]


async def test_small_steps_are_believed_however_many(jumping):
    watch = ClockWatch(jumping)
    for _ in range(10):
        jumping.by += timedelta(seconds=JUMP_S / 2)
        assert watch.is_believed()


async def test_attack_077_a_jump_removes_nothing_for_its_age(jumping, storage):
    names = ("finished_kept", "trace_kept", "reports_kept", "audit_kept")
    kept = dict.fromkeys(names, timedelta(days=90))
    done = []

    async def further(now):
        done.append(now)

    keeping = Housekeeping(storage, jumping, **kept, further={"reports to others": further})
    await storage.memory.remember("bounce", {"a": b"1"}, jumping.now() + timedelta(days=30))
    assert "memory" in await keeping.once()
    jumping.by = YEAR
    assert await keeping.once() == ["reports to others"]
    jumping.by = timedelta(0)
    jumping.passed_s += 300.0
    # the turn that was taken a year ahead does not last until then
    assert await keeping.once() == ["reports to others"]
    jumping.passed_s += DOUBTED_S
    assert "memory" in await keeping.once()
    assert await storage.memory.recall("bounce", ["a"], jumping.now()) == {"a": b"1"}
    assert len(done) == 4
