"""SIGKILL at random moments under load: what was acknowledged is there; nothing is there that should not be.

Rounds: CRASH_ROUNDS (200 in CI, 1,000 by `make test-crash`). The second test runs the server on a storage layer that keeps
writes in the memory of the process until they are synced, so that the kill loses every unsynced write, as a power cut does.
"""

import asyncio
import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from crash.load import Ledger, imap_worker, smtp_worker
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchMailbox
from mailstead.model.message import Wanted
from mailstead.wiring.house import open_house
from system.server import DOMAIN, PASSWORD, Server

pytestmark = pytest.mark.crash

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
ACCOUNTS = [f"crash{number}@{DOMAIN}" for number in range(4)]
ROUNDS_PER_FOLDER = 25


async def look(server: Server, ledger: Ledger) -> None:
    """Open the stores of the dead server, check them, and compare with the ledger."""
    async with open_house(load(None, server.environment).settings) as house:
        findings = [finding async for finding in house.storage.check()]
        assert findings == []
        for account in ACCOUNTS:
            found = await house.storage.directory.find(Address.parse(account))
            store = house.storage.accounts.of(found.account_id)
            places: dict[str, Counter[str]] = {}
            flags: dict[tuple[str, str], frozenset[str]] = {}
            for name in ("INBOX", "Archive"):
                try:
                    snapshot = await store.snapshot(name)
                except NoSuchMailbox:
                    raise AssertionError(f"{account} has lost {name}") from None
                mailbox = snapshot.mailbox
                slot = (account, name, mailbox.uidvalidity)
                assert mailbox.uidnext >= ledger.uidnext[slot], "uidnext went back"
                ledger.uidnext[slot] = mailbox.uidnext
                places[name] = Counter()
                for record in await store.fetch(mailbox.mailbox_id, snapshot.uids, Wanted.ORDER):
                    key = record.order.message_id.strip("<>").partition("@")[0]
                    ledger.saw_uid(account, name, mailbox.uidvalidity, record.uid, key)
                    places[name][key] += 1
                    flags[name, key] = record.flags
            compare(ledger, account, places, flags)


def compare(ledger, account, places, flags):
    for key, entry in ledger.entries.items():
        if entry.account != account:
            continue
        copies = {name: places[name][key] for name in places}
        total = sum(copies.values())
        if entry.by_smtp:
            assert total <= entry.tries, f"{key}: {copies} after {entry.tries} tries"
            assert total >= entry.is_acknowledged, f"{key} was acknowledged and is lost"
        elif not entry.is_acknowledged:
            assert total <= 1, f"{key}: {copies}"
        else:
            assert total == 1, f"{key} was acknowledged and is there {total} times: {copies}"
            where = next(name for name in copies if copies[name])
            if entry.moving_to is None:
                assert where == entry.mailbox, f"{key} was moved to {entry.mailbox}, but is in {where}"
            else:
                entry.mailbox, entry.moving_to = where, None
            if entry.has_flag:
                assert "\\Flagged" in flags[where, key], f"{key} has lost a flag that was acknowledged"
    known = {key for key, entry in ledger.entries.items() if entry.account == account}
    assert {key for name in places for key in places[name]} <= known


def one_round(server: Server, ledger: Ledger, chance: random.Random) -> None:
    server.start()
    stop = threading.Event()
    errors: list[BaseException] = []

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:
            errors.append(error)

    workers = [
        threading.Thread(
            target=guarded,
            args=(smtp_worker, server.port["mx"], ledger, ACCOUNTS, stop, random.Random(chance.random())),
        )
        for _ in range(3)
    ] + [
        threading.Thread(
            target=guarded,
            args=(imap_worker, server.port["imap"], ledger, account, PASSWORD, stop, random.Random(chance.random())),
        )
        for account in ACCOUNTS[:2]
    ]
    for worker in workers:
        worker.start()
    time.sleep(chance.uniform(0.05, 0.7))  # the one sleep that is the test itself: the kill comes at a random moment
    server.kill()
    stop.set()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert errors == []
    asyncio.run(look(server, ledger))


def crash_rounds(tmp_path: Path, rounds: int, seed: int, command: list[str] | None = None) -> None:
    chance = random.Random(seed)
    acknowledged = tried = 0
    for at in range(0, rounds, ROUNDS_PER_FOLDER):
        folder = tmp_path / f"from{at}"
        folder.mkdir()
        server = Server(folder)
        server.prepare(*ACCOUNTS)
        if command:
            server.command = command
        ledger = Ledger()
        for number in range(at, min(at + ROUNDS_PER_FOLDER, rounds)):
            try:
                one_round(server, ledger, chance)
            except AssertionError as error:
                raise AssertionError(f"round {number}: {error}\n{server.log()[-2000:]}") from error
        tried += len(ledger.entries)
        acknowledged += sum(entry.is_acknowledged for entry in ledger.entries.values())
        print(
            f"\ncrash: {min(at + ROUNDS_PER_FOLDER, rounds)} rounds, {acknowledged} of {tried} messages acknowledged, none lost",
            flush=True,
        )
    assert acknowledged > rounds


def test_sigkill_at_random_moments(tmp_path):
    crash_rounds(tmp_path, ROUNDS, seed=1)


def test_power_cut_loses_unsynced_writes(tmp_path):
    script = Path(__file__).with_name("lossy_server.py")
    crash_rounds(tmp_path, max(10, ROUNDS // 4), seed=2, command=[sys.executable, str(script)])
