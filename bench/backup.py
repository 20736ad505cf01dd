"""Backing up and restoring a house of so many gigabytes: rates, what an unchanged house costs, and memory.

Ten accounts, messages of 100 KB that compress to half. The place is a folder on the same disk, so each octet is read and
written on it. The house is closed; under load it is `tests/system/test_backup_under_load.py` that looks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.report import record

MAILSTEAD = str(Path(sys.executable).with_name("mailstead"))
ACCOUNTS = 10
OCTETS = 100_000


async def fill(folder: Path, count: int) -> None:
    from mailstead.config.load import load
    from mailstead.model.address import Address
    from mailstead.model.envelope import Actor
    from mailstead.model.secret import Secret
    from mailstead.usecases.imports import Imports
    from mailstead.wiring.house import ADMINISTRATOR, open_house

    settings = load(None, environment(folder)).settings
    chance = random.Random(1)
    mail = folder / "mail"
    for sub in ("cur", "new", "tmp"):
        (mail / sub).mkdir(parents=True)
    for number in range(count // ACCOUNTS):
        body = chance.randbytes(OCTETS * 3 // 4).hex()[:OCTETS]
        (mail / "cur" / f"{number}:2,S").write_text(f"Subject: {number}\r\n\r\n{body}\r\n")
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "bench.test")
        imports = Imports(house.mailboxes, message_octets_max=10 * OCTETS)

        async def fill_one(number: int) -> None:
            account = await house.accounts.create(
                ADMINISTRATOR, Address.parse(f"a{number}@bench.test"), Secret("a long password")
            )
            await imports.run(Actor(account.account_id, account.address), mail, foreign_format="maildir")

        await asyncio.gather(*map(fill_one, range(ACCOUNTS)))  # writers of different accounts work side by side
    shutil.rmtree(mail)


def environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "MAILSTEAD_SERVER_DATA_DIR": str(folder / "data"),
        "MAILSTEAD_BACKUP_TARGET": str(folder / "place"),
    }


def timed(folder: Path, *words: str) -> tuple[float, float]:
    """Run a command; give its seconds and the megabytes of memory that it had at most."""
    begin, memory = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [MAILSTEAD, "--json", *words], env=environment(folder), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    # Not ru_maxrss, which begins with the memory of the process that starts it.
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            memory = max(memory, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)
        time.sleep(0.05)  # the kernel keeps the highest value; it is asked until the end
    if process.returncode:
        raise RuntimeError(f"mailstead {' '.join(words)} failed")
    return time.perf_counter() - begin, memory


def measure(folder: Path, options: argparse.Namespace) -> None:
    folder = folder / "backup"
    (folder / "data").mkdir(parents=True)
    count = options.messages or (2_000 if options.quick else 20_000)
    asyncio.run(fill(folder, count))
    size = sum(path.stat().st_size for path in (folder / "data").rglob("*.db")) / 1e6
    work = f"backup of {size / 1000:.1f} GB, {count} messages"
    seconds, memory = timed(folder, "backup")
    record(work, "mailstead", "first", [size / seconds], "MB/s (target 17: 10 GB in 600 s)")
    record(work, "mailstead", "first", [count / seconds], "messages/s")
    record(work, "mailstead", "memory at most", [memory], "MB")
    seconds, _ = timed(folder, "backup")
    record(work, "mailstead", "again, nothing changed", [seconds], "s (target < 20 at 10 GB)")
    (folder / "data").rename(folder / "lost")
    seconds, memory = timed(folder, "restore")
    record(work, "mailstead", "restore, with a look at all", [size / seconds], "MB/s (target 17)")
    record(work, "mailstead", "memory at most, restoring", [memory], "MB")
    shutil.rmtree(folder)
