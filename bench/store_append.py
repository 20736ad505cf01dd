"""Appends per second into one and into many accounts, straight into the embedded store (no wire).

Run: .venv/bin/python bench/store_append.py [--accounts 100] [--octets 4096] [--tasks 20] [--seconds 5] [--cipher chacha20] [--profile]
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import resource
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.ids import AccountId
from mailstead.model.message import NewMessage
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.account_files import AccountFiles
from mailstead.storage.embedded.keys import FileAccountKeys

WORDS = [
    "".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=random.Random(n + 7).randint(2, 10)))
    for n in range(5000)
]


class NoBus:
    def publish(self, account_id):
        pass

    def watch(self, account_id, wake):
        return contextlib.nullcontext()


def message(number: int, octets: int, chance: random.Random) -> NewMessage:
    header = (
        f"Received: from a.example (a.example [192.0.2.1]) by mx.example.test with ESMTPS id {number:x}; "
        "Tue, 3 Nov 2026 10:00:00 +0100\r\n"
        f"From: Alice Adams <alice{number % 50}@example.com>\r\nTo: Bob <bob@example.test>\r\n"
        f"Subject: {' '.join(chance.choices(WORDS, k=6))}\r\nDate: Tue, 3 Nov 2026 10:00:00 +0100\r\n"
        f"Message-ID: <{number}.{chance.getrandbits(64):x}@example.com>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    lines = []
    size = len(header)
    while size < octets:
        line = " ".join(chance.choices(WORDS, k=11)).encode() + b"\r\n"
        lines.append(line)
        size += len(line)
    whole = (header + b"".join(lines))[: octets - 2] + b"\r\n"
    return NewMessage(whole, message_facts(whole), datetime.now(UTC))


async def run(options) -> dict:
    folder = Path(tempfile.mkdtemp(prefix="mailstead-bench-", dir=options.dir))
    files = AccountFiles(
        Store(cipher=options.cipher, writer_thread_count=options.writers, index_pause_s=3600.0),
        folder,
        FileAccountKeys(folder, bytes(32)),
        NoBus(),
        SystemClock(),
    )
    try:
        chance = random.Random(1)
        messages = [message(n, options.octets, chance) for n in range(200)]
        ids = [AccountId(f"{chance.getrandbits(64):016x}") for _ in range(options.accounts)]
        for account_id in ids:
            await files.accounts.create(account_id, [("INBOX", None)])
        done = 0
        latencies = []
        ends = time.perf_counter() + options.seconds
        turns = itertools.count()

        async def one() -> None:
            nonlocal done
            while time.perf_counter() < ends:
                turn = next(turns)
                started = time.perf_counter()
                await files.accounts.of(ids[turn % len(ids)]).append("INBOX", [messages[turn % 200]])
                latencies.append(time.perf_counter() - started)
                done += 1

        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(options.tasks)))
        took = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        latencies.sort()
        disk = sum(path.stat().st_size for path in folder.rglob("*.db*"))
        return {
            "accounts": options.accounts,
            "octets": options.octets,
            "per_s": round(done / took),
            "cpu_us": round(cpu / done * 1e6),
            "p50_ms": round(latencies[len(latencies) // 2] * 1e3, 2),
            "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1e3, 2),
            "disk_ratio": round(disk / (done * options.octets), 2),
            "rss_mb": after.ru_maxrss // 1024,
        }
    finally:
        await files.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--cipher", default="chacha20")
    parser.add_argument("--dir", default=None)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))
