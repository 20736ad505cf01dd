"""SEARCH on a large mailbox, and what its index costs.

Run: .venv/bin/python bench/store_search.py [--messages 100000] [--octets 1500]
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from store_append import WORDS, NoBus, message

from mailstead.config.settings import Store
from mailstead.model.flags import SEEN
from mailstead.model.ids import AccountId
from mailstead.model.search import Contains, DateField, HasFlag, HeaderContains, Not, OnDays, Or, TextField
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.keys import FileAccountKeys


async def run(options) -> dict:
    folder = Path(tempfile.mkdtemp(prefix="mailstead-bench-"))
    files = AccountFiles(
        Store(index_pause_s=3600.0, cipher=options.cipher),
        folder,
        FileAccountKeys(folder, bytes(32)),
        NoBus(),
        SystemClock(),
    )
    results: dict = {"messages": options.messages, "octets": options.octets}
    try:
        chance = random.Random(3)
        account_id = AccountId("cd" * 8)
        await files.accounts.create(account_id, [("INBOX", None)])
        store = files.accounts.of(account_id)
        for first in range(0, options.messages, 500):
            await store.append("INBOX", [message(first + n, options.octets, chance) for n in range(500)])
        results["mb_before_index"] = sum(p.stat().st_size for p in folder.rglob("*.db")) >> 20
        started = time.perf_counter()
        while await store.index_some(200):
            pass
        took = time.perf_counter() - started
        results["index_us_per_message"] = round(took / options.messages * 1e6)
        results["mb_with_index"] = sum(p.stat().st_size for p in folder.rglob("*.db")) >> 20
        inbox = (await store.snapshot("INBOX")).mailbox.mailbox_id
        long_word, common = max(WORDS[:200], key=len), WORDS[17]
        for name, key in (
            ("word", Contains(TextField.TEXT, long_word)),
            ("body_word", Contains(TextField.BODY, WORDS[400])),
            ("common", Contains(TextField.TEXT, common)),
            ("rare", Contains(TextField.TEXT, "zzqxj")),
            ("phrase", Contains(TextField.TEXT, f"{WORDS[3]} {WORDS[4]}")),
            ("from", Contains(TextField.FROM, "alice17@")),
            ("subject", Contains(TextField.SUBJECT, long_word)),
            ("two_letters", Contains(TextField.SUBJECT, "qx")),
            ("header", HeaderContains("message-id", "<4711.")),
            ("or_of_100", Or(tuple(Contains(TextField.TEXT, word) for word in WORDS[:100]))),
            ("unseen", Not(HasFlag(SEEN))),
            ("sent", OnDays(DateField.SENT, None, 700_000)),
        ):
            took_ms = []
            for _ in range(3):
                started = time.perf_counter()
                found = await store.search(inbox, key)
                took_ms.append((time.perf_counter() - started) * 1e3)
            results[name] = {"ms": round(statistics.median(took_ms), 1), "found": len(found)}
        return results
    finally:
        await files.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--octets", type=int, default=1500)
    parser.add_argument("--cipher", default="chacha20")
    print(json.dumps(uvloop.run(run(parser.parse_args()))))
