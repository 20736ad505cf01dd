"""The queue as a service: a part that fails ends the whole, and says so."""

import asyncio

import pytest
from structlog.testing import capture_logs

from mailstead.services.queue.service import QueueService

LIMIT_S = 20.0


class Part:
    """One part: it works until told to stop, or fails."""

    def __init__(self, error=None):
        self._error = error
        self.has_ended = False

    async def run(self, stop):
        try:
            if self._error is not None:
                raise self._error
            await stop.wait()
        finally:
            self.has_ended = True


async def test_all_parts_end_when_told_to():
    parts, stop = [Part() for _ in range(5)], asyncio.Event()
    running = asyncio.create_task(QueueService(*parts).run(stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(LIMIT_S):
        await running
    assert all(part.has_ended for part in parts)


@pytest.mark.parametrize("place", range(5))
async def test_a_part_that_fails_ends_the_whole_with_a_clear_log(place):
    parts = [Part() for _ in range(5)]
    parts[place] = Part(KeyError("a bug"))
    with capture_logs() as logs, pytest.raises(ExceptionGroup):
        async with asyncio.timeout(LIMIT_S):
            await QueueService(*parts).run(asyncio.Event())
    assert all(part.has_ended for part in parts)
    [entry] = logs
    assert (entry["log_level"], entry["event"]) == ("error", "the queue has failed, and this process ends with it")
