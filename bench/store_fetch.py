"""Lists, SELECT and bulk download straight from the embedded store, on a quiet and on a busy event loop.

Run: .venv/bin/python bench/store_fetch.py [--messages 10000] [--octets 4096]
"""

import argparse
import asyncio
import json
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from store_append import NoBus, message

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts  # noqa: F401
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import AccountId
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.keys import FileAccountKeys

ALL = UidSet([(1, 2**32 - 1)])


async def timed(name, make, results, rounds=5):
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        await make()
        took.append((time.perf_counter() - started) * 1e3)
    results[name + "_ms"] = round(statistics.median(took), 2)


async def run(options) -> dict:
    folder = Path(tempfile.mkdtemp(prefix="mailstead-bench-"))
    settings = Store(cipher=options.cipher, index_pause_s=3600.0)
    files = AccountFiles(settings, folder, FileAccountKeys(folder, bytes(32)), NoBus(), SystemClock())
    results: dict = {}
    try:
        chance = random.Random(1)
        account_id = AccountId("ab" * 8)
        await files.accounts.create(account_id, [("INBOX", None), ("Other", None)])
        store = files.accounts.of(account_id)
        started = time.perf_counter()
        messages = [message(n, options.octets, chance) for n in range(500)]
        for first in range(0, options.messages, 500):
            await store.append("INBOX", messages[: min(500, options.messages - first)])
        results["fill_per_s"] = round(options.messages / (time.perf_counter() - started))
        inbox = (await store.snapshot("INBOX")).mailbox.mailbox_id

        async def all_of(busy: str) -> None:
            await timed(busy + "snapshot", lambda: store.snapshot("INBOX"), results)
            await timed(busy + "narrow", lambda: store.fetch(inbox, ALL, Wanted.NARROW), results)
            await timed(busy + "summary", lambda: store.fetch(inbox, ALL, Wanted.SUMMARY), results)
            await timed(busy + "listed", lambda: store.fetch(inbox, ALL, Wanted.LISTED_HEADER), results)
            await timed(
                busy + "structure_parts", lambda: store.fetch(inbox, ALL, Wanted.STRUCTURE | Wanted.PARTS), results
            )
            await timed(busy + "order", lambda: store.fetch(inbox, ALL, Wanted.ORDER), results)

        await all_of("")
        records = await store.fetch(inbox, ALL, Wanted.NARROW)

        async def download() -> None:
            for first in range(0, len(records), 256):
                await store.read_octets([OctetRange(r.blob_id, 0, r.size_octets) for r in records[first : first + 256]])

        await timed("download", download, results, 3)
        results["download_mb_s"] = round(
            sum(r.size_octets for r in records) / 1e6 / (results.pop("download_ms") / 1e3), 1
        )
        is_over = False

        async def burn() -> None:
            while not is_over:
                sum(range(2000))
                await asyncio.sleep(0)

        task = asyncio.create_task(burn())
        await all_of("busy_")
        is_over = True
        await task
        await timed("flags", lambda: store.store_flags(inbox, ALL, FlagOperation.ADD, ["\\Seen"]), results, 1)
        await timed("copy", lambda: store.copy(inbox, ALL, "Other"), results, 1)
        await store.store_flags(inbox, UidSet.of(range(1, options.messages, 2)), FlagOperation.ADD, ["\\Deleted"])
        await timed("expunge_half", lambda: store.expunge(inbox, None), results, 1)
        await timed("snapshot_gaps", lambda: store.snapshot("INBOX"), results)
        other = (await store.snapshot("Other")).mailbox.mailbox_id
        await timed("expunge_rest", lambda: store.expunge(other, None, only_deleted=False), results, 1)
        results["findings"] = [finding async for finding in files.check()]
        return results
    finally:
        await files.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--cipher", default="chacha20")
    print(json.dumps(uvloop.run(run(parser.parse_args()))))
