"""A queue of 100,000 messages to a host that never answers: memory, time to list, and what it costs the others."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import memory, network, outbound
from bench.messages import message
from bench.peers import DOMAIN, Mailstead, account
from bench.report import ratio, record
from bench.smtp_load import Job

if TYPE_CHECKING:
    from mailstead.wiring.house import House

TARGET = 0.95
"""Of the rate without the flood."""
DEAD_DOMAIN = "dead.test"
BATCH = 500


async def fill(house: House, count: int) -> None:
    """Queue so many messages of 4 KB."""
    from mailstead.model.address import Address
    from mailstead.model.envelope import Recipient
    from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient

    now = datetime.now(UTC)
    author, destination = Address.parse(account(0)), Destination(DestinationKind.DOMAIN, DEAD_DOMAIN)
    bodies = [message(4096, number) for number in range(50)]
    for at in range(0, count, BATCH):
        await house.storage.queue.put(
            [
                NewItem(
                    queue_id=f"flood{number}",
                    kind=ItemKind.SUBMISSION,
                    mail_from=author,
                    recipients=(NewRecipient(Recipient(Address.parse(f"user{number}@{DEAD_DOMAIN}")), destination),),
                    octets=bodies[number % len(bodies)],
                    accepted_at=now,
                    expires_at=now + timedelta(days=5),
                    domain=DOMAIN,
                    notify_to=author,
                    message_id=f"{number}@flood.test",
                )
                for number in range(at, min(at + BATCH, count))
            ]
        )


def commands(system: Mailstead, work: str, count: int, rounds: int) -> None:
    """What an administrator waits for."""
    mailstead = str(Path(sys.executable).parent / "mailstead")
    for words in (
        ["queue", "list"],
        ["queue", "list", "--limit", str(count)],
        ["queue", "list", "--destination", DEAD_DOMAIN],
        ["queue", "list", "--address", f"user{count // 2}@{DEAD_DOMAIN}"],
        ["queue", "destinations"],
    ):
        values: list[float] = []
        for _ in range(rounds):
            begin = time.perf_counter()
            done = subprocess.run(
                [mailstead, *words], env=system.environment, check=True, capture_output=True, text=True
            )
            values.append((time.perf_counter() - begin) * 1000)
            if DEAD_DOMAIN not in done.stdout:
                raise RuntimeError(f"{' '.join(words)} shows nothing: {done.stdout[:300]}")
        record(work, system.name, " ".join(words), values, "ms")


async def reads(environment: dict[str, str], rounds: int) -> dict[str, list[float]]:
    """The store's own verbs, beside the server that works; milliseconds."""
    from mailstead.config.load import load
    from mailstead.model.queue import QueueQuery, RecipientState
    from mailstead.wiring.house import open_house

    values: dict[str, list[float]] = {}
    async with open_house(load(None, environment).settings) as house:
        queue = house.storage.queue
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "Queue.items, first 100": lambda: queue.items(QueueQuery(state=RecipientState.WAITING)),
            "Queue.count": queue.count,
            "Queue.destinations": queue.destinations,
        }
        for _ in range(rounds):
            for name, verb in verbs.items():
                begin = time.perf_counter()
                await verb()
                values.setdefault(name, []).append((time.perf_counter() - begin) * 1000)
    return values


def measure(folder: Path, options: argparse.Namespace) -> None:
    count = 5000 if options.quick else 100_000
    work = f"queue of {count}"
    dead = [f"{DEAD_DOMAIN}. MX 10 mx.{DEAD_DOMAIN}.", f"mx.{DEAD_DOMAIN}. A {network.SILENT_ADDRESS}"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(network.dns_server(folder / "dns", outbound.records() + dead))
        stack.enter_context(network.silent_host())
        arrivals = stack.enter_context(outbound.sink())
        calm = outbound.start_sender(folder / "calm", "mailstead, empty queue")
        stack.callback(calm.stop)
        begin = time.perf_counter()
        flooded = outbound.start_sender(folder / "flooded", "mailstead, flooded", prepare=partial(fill, count=count))
        stack.callback(flooded.stop)
        record(work, flooded.name, "fill by Queue.put", [time.perf_counter() - begin], "s (4 KB each, with start)")
        systems = (flooded, calm)
        for system in systems:
            record(work, system.name, "memory", [memory.resident_octets(system.pids[0]) / 1e6], "MB")
        rates: dict[str, dict[str, list[float]]] = {
            figure: {system.name: [] for system in systems} for figure in ("relayed", "through")
        }
        sent_count = 300 if options.quick else 3000
        job = Job(0, 20, outbound.recipients(sent_count, 1), outbound.messages(), mail_from=account(0))
        for system in systems:
            outbound.through(system, arrivals, replace(job, recipients=job.recipients[: outbound.WARM_UP]))
        for number in range(options.rounds):
            for system in systems if number % 2 else reversed(systems):
                rates["relayed"][system.name].append(outbound.relayed(system, arrivals, job))
                rates["through"][system.name].append(outbound.through(system, arrivals, job)[0])
        flood = f"send {sent_count}, {count} wait for a dead host"
        for figure, of_systems in rates.items():
            for name, values in of_systems.items():
                record(flood, name, figure, values, "messages/s")
            ratio(flood, figure, f">= {TARGET}", more_is_better=True, ours=flooded.name)
        for system in systems:
            after = memory.resident_octets(system.pids[0]) / 1e6
            record(work, system.name, "memory after", [after], f"MB (after {2 * sent_count * options.rounds} messages)")
        commands(flooded, work, count, options.rounds)
        for name, values in asyncio.run(reads(flooded.environment, options.rounds)).items():
            record(work, flooded.name, name, values, "ms")
