"""Puts and deletes events until it is killed; writes each acknowledged change to its output, on the lossy file system."""

import asyncio
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contracts import lossy_vfs
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, NewResource, ResourceFacts
from mailstead.wiring.house import open_house

WRITERS = 3


async def write(dav, calendar, number: int, chance: random.Random) -> None:
    count, mine = 0, []
    while True:
        if mine and chance.random() < 0.3:
            name = mine.pop(chance.randrange(len(mine)))
            print("delete-try", name, flush=True)
            await dav.delete(calendar.collection_id, name)
            print("delete", name, flush=True)
            continue
        names = [f"{number}-{chance.randrange(1 << 40)}-{count + at}" for at in range(chance.choice((1, 1, 1, 20)))]
        count += len(names)
        print("put-try", *names, flush=True)
        size = chance.choice((10, 300, 5000))
        await dav.put(
            calendar.collection_id,
            [NewResource(name, name.encode() * size, ResourceFacts(name, "VEVENT"), errand=b"tell") for name in names],
        )
        print("put", *names, flush=True)
        mine += names


async def main(address: str, seed: int) -> None:
    chance = random.Random(seed)
    async with open_house(load(None, os.environ).settings) as house:
        found = await house.storage.directory.find(Address.parse(address))
        dav = house.storage.accounts.of(found.account_id).dav
        calendar = await dav.collection(CollectionKind.CALENDAR, "work")
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(write(dav, calendar, number, random.Random(chance.random())))


if __name__ == "__main__":
    lossy_vfs.install()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
