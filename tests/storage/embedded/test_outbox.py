"""Results of many threads all arrive, with few wake-ups of the loop."""

import asyncio
import threading

from mailstead.storage.embedded.outbox import Outbox, settle


async def test_nothing_posted_is_left_behind():
    outbox = Outbox(asyncio.get_running_loop())
    arrived = []
    done = asyncio.Event()

    def deliver(item):
        arrived.append(item)
        if len(arrived) == 8 * 500:
            done.set()

    def post(first):
        for number in range(500):
            outbox.post(lambda item=first + number: deliver(item))

    threads = [threading.Thread(target=post, args=(number * 500,)) for number in range(8)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(20):
        await done.wait()
    for thread in threads:
        thread.join()
    assert sorted(arrived) == list(range(4000))


async def test_one_wake_up_for_what_comes_together():
    class CountingLoop:
        wake_count = 0

        def call_soon_threadsafe(self, callback):
            self.wake_count += 1
            self.callback = callback

    loop, arrived = CountingLoop(), []
    outbox = Outbox(loop)
    for number in range(10):
        outbox.post(lambda item=number: arrived.append(item))
    assert loop.wake_count == 1
    loop.callback()
    assert arrived == list(range(10))
    outbox.post(lambda: arrived.append("later"))
    assert loop.wake_count == 2


async def test_who_gave_up_is_not_settled():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    settle(future, 1, None)
    assert future.cancelled()
