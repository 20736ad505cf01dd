"""A power cut while events are put and deleted: what was acknowledged is so; a put of many is there whole or not at all.

Rounds as in `test_crash`. After each, a client that synchronised before the round learns exactly what has changed.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.wiring.house import open_house
from system.server import ALICE, Server

pytestmark = pytest.mark.crash

ROUNDS = max(5, int(os.environ.get("CRASH_ROUNDS", "20")) // 4)
WRITER = Path(__file__).with_name("dav_writer.py")


def ledger_of(output: str):
    """Give what was tried and what was acknowledged: groups of names put together, and names deleted."""
    told = {"put-try": [], "put": [], "delete-try": [], "delete": []}
    for line in output.splitlines(keepends=True):
        if line.endswith("\n"):
            word, *names = line.split()
            told[word].append(tuple(names))
    return told


def one_round(server: Server, seed: int, wait_s: float):
    with subprocess.Popen(
        [sys.executable, str(WRITER), ALICE, str(seed)], env=server.environment, stdout=subprocess.PIPE, text=True
    ) as writer:
        first = writer.stdout.readline()
        time.sleep(wait_s)  # the kill comes at a random moment
        writer.kill()
        return ledger_of(first + writer.stdout.read())


class Client:
    """What a client knows that synchronises after each round."""

    def __init__(self):
        self.modseq = 0
        self.names = set()

    async def look(self, server, told):
        async with open_house(load(None, server.environment).settings) as house:
            assert [finding async for finding in house.storage.check()] == []
            found = await house.storage.directory.find(Address.parse(ALICE))
            dav = house.storage.accounts.of(found.account_id).dav
            calendar = await dav.collection(CollectionKind.CALENDAR, "work")
            there = {each.name: each.octets for each in await dav.resources(calendar.collection_id, with_octets=True)}
            changes = await dav.changes_since(calendar.collection_id, self.modseq)
            errand_count = 0
            while errands := await dav.errands():
                for each in errands:
                    await dav.finish_errand(each.errand_id)
                errand_count += len(errands)
        self.compare(there, told)
        known = (self.names - set(changes.deleted)) | {each.name for each in changes.changed}
        assert known == set(there), "the changes do not lead to what is there"
        assert changes.modseq >= self.modseq
        self.modseq, self.names = changes.modseq, set(there)
        put_count, tried_count = (sum(len(names) for names in told[word]) for word in ("put", "put-try"))
        assert put_count <= errand_count <= tried_count, "an errand is lost"

    def compare(self, there, told):
        delete_tried = {name for (name,) in told["delete-try"]}
        deleted = {name for (name,) in told["delete"]}
        for names in told["put"]:
            for name in set(names) - delete_tried:
                assert name in there, f"{name} was acknowledged and is lost"
        assert not deleted & set(there), "what was deleted is there again"
        assert self.names <= set(there), "what nobody has touched is lost"
        for names in told["put-try"]:
            found = set(names) - delete_tried
            assert found <= set(there) or not found & set(there), f"only some of {names} are there"
        assert set(there) <= self.names | {name for names in told["put-try"] for name in names}
        for name, octets in there.items():
            assert octets.replace(name.encode(), b"") == b""


def test_power_cut_while_events_are_put(tmp_path):
    server = Server(tmp_path)
    server.prepare(ALICE)

    async def begin():
        async with open_house(load(None, server.environment).settings) as house:
            found = await house.storage.directory.find(Address.parse(ALICE))
            dav = house.storage.accounts.of(found.account_id).dav
            await dav.create_collection(CollectionKind.CALENDAR, "work", CollectionTraits())

    asyncio.run(begin())
    chance, client, acknowledged = random.Random(3), Client(), 0
    for number in range(ROUNDS):
        told = one_round(server, number, chance.uniform(0.0, 0.5))
        try:
            asyncio.run(client.look(server, told))
        except AssertionError as error:
            raise AssertionError(f"round {number}: {error}") from error
        acknowledged += len(told["put"]) + len(told["delete"])
    print(f"\ncrash: {ROUNDS} rounds, {acknowledged} changes of calendars acknowledged, none lost", flush=True)
    assert acknowledged > ROUNDS
