"""The API: lists, a new alias, a large message; each alone and all in turn, over TLS on connections that stay open.

No peer is beside it: Forward Email and WildDuck need MongoDB and Redis, which are not here; what they publish stands in
docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench import memory
from bench.dav_client import DavClient
from bench.imap_client import ImapClient
from bench.messages import message
from bench.peers import DOMAIN, PASSWORD, client_context, start_mailstead, wait_for_port
from bench.peers import free_ports as ports
from bench.report import record

ALIASES, MESSAGES = 10_000, 100_000
CLIENTS = 16
USERS = 4 * CLIENTS
"""Who ask for aliases; a user makes 300 in a day and no more."""
TURNS_OF_A_USER = 200
OWNER = f"user0@{DOMAIN}"
ALICE = f"user1@{DOMAIN}"
_CONTEXT = client_context()


class ApiClient(DavClient):
    """The same, over TLS."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24, ssl=_CONTEXT)


@dataclass(frozen=True)
class Work:
    name: str
    users: list[str]
    """Those of each client in turn, or one for all."""
    password: str
    ask: Callable[[int], tuple[str, str, bytes]]
    """Method, path and body of the request with this number."""
    status: int = 200


def _prepare(aliases: int, token: list[str]) -> Callable[[Any], Any]:
    async def prepare(house: Any) -> None:
        from mailstead.model.address import Address
        from mailstead.model.directory import Alias
        from mailstead.model.secret import Secret
        from mailstead.policy.targets import read_target
        from mailstead.wiring.house import ADMINISTRATOR

        for number in range(USERS):
            address = Address.parse(OWNER if not number else f"admin{number}@elsewhere.test")
            password = Secret(PASSWORD) if number else None
            user = await house.users.create(ADMINISTRATOR, address, password, is_admin=True)
            made = await house.users.tokens.create(ADMINISTRATOR, "bench", user=user)
            token.append(made.secret.reveal())
        target = read_target("somebody@elsewhere.test")
        for at in range(0, aliases, 500):
            await asyncio.gather(
                *(
                    house.storage.directory.add_alias(Alias(Address(f"alias{at + n}", DOMAIN), (target,)))
                    for n in range(500)
                )
            )

    return prepare


async def _run(port: int, works: list[Work], seconds: float, numbers: dict[str, count[int]]) -> list[float]:
    """Give the times of all answers, in ms, by `CLIENTS` clients that each do the works in turn."""
    times: list[float] = []
    stop_at = time.perf_counter() + seconds

    async def client(at: int) -> None:
        clients: dict[str, ApiClient] = {}
        for turn in count(at):
            if time.perf_counter() >= stop_at:
                break
            work = works[turn % len(works)]
            user = work.users[(at + CLIENTS * (turn // TURNS_OF_A_USER)) % len(work.users)]
            if user not in clients:
                clients[user] = ApiClient(port, user, work.password)
            method, path, body = work.ask(next(numbers[work.name]))
            begin = time.perf_counter()
            answer = await clients[user].ask(method, path, body, Content_Type="application/json")
            times.append((time.perf_counter() - begin) * 1000)
            if answer.status != work.status:
                raise RuntimeError(f"{work.name}: {answer.status}: {answer.body[:300]!r}")
        for each in clients.values():
            await each.close()

    await asyncio.gather(*(client(at) for at in range(CLIENTS)))
    return sorted(times)


def _works(port: int, tokens: list[str]) -> list[Work]:
    client = ApiClient(port, ALICE, PASSWORD)

    async def newest() -> str:
        answer = await client.ask("GET", "/v1/messages?folder=Large&limit=1")
        await client.close()
        return str(json.loads(answer.body)[0]["id"])

    large = asyncio.run(newest())
    aliases = f"/v1/domains/{DOMAIN}/aliases"

    def new_alias(number: int) -> tuple[str, str, bytes]:
        content = {"name": f"made{number}", "recipients": ["somebody@elsewhere.test"], "has_imap": False}
        return "POST", aliases, json.dumps(content).encode()

    pages = ALIASES // 50
    return [
        Work("list 50 aliases", tokens, "", lambda n: ("GET", f"{aliases}?limit=50&page={1 + n % pages}", b"")),
        Work("create alias", tokens, "", new_alias),
        Work("get message of 100 KB", [ALICE], PASSWORD, lambda _: ("GET", f"/v1/messages/{large}", b"")),
        Work(
            "list 50 messages",
            [ALICE],
            PASSWORD,
            lambda n: ("GET", f"/v1/messages?lightweight=true&limit=50&page={1 + n % 20}", b""),
        ),
        Work(
            "list 50 messages, parsed",
            [ALICE],
            PASSWORD,
            lambda n: ("GET", f"/v1/messages?raw=false&limit=50&page={1 + n % 20}", b""),
        ),
    ]


def measure(folder: Path, options: argparse.Namespace) -> None:
    aliases, messages, seconds = (1000, 2000, 2.0) if options.quick else (ALIASES, MESSAGES, 10.0)
    for workers in (1, 2):
        (port,) = ports(1)
        token: list[str] = []
        system = start_mailstead(
            folder / f"api{workers}",
            [OWNER, ALICE],
            prepare=_prepare(aliases, token),
            MAILSTEAD_SERVER_SERVICES="mx,imap,pop3,api",
            MAILSTEAD_SERVER_WORKERS=str(workers),
            MAILSTEAD_API_LISTEN_TLS=f"127.0.0.1:{port}",
            MAILSTEAD_API_REQUESTS_PER_MINUTE="0",
        )
        try:
            wait_for_port(port)
            client = ImapClient(system, ALICE)
            for at in range(0, messages, 1000):
                client.append(b"INBOX", [message(1024, at + n) for n in range(1000)])
            client.command(b"CREATE Large")
            client.append(b"Large", [message(102_400, 0)])
            client.close()
            works = _works(port, token)
            name = f"mailstead --workers {workers}" if workers > 1 else "mailstead"
            numbers = {work.name: count() for work in works}
            for chosen in [*([work] for work in works), works[:4]]:
                what = chosen[0].name if len(chosen) == 1 else "all four in turn"
                asyncio.run(_run(port, chosen, 1.0, numbers))
                times = asyncio.run(_run(port, chosen, seconds, numbers))
                record(f"API: {what}", name, "rate", [len(times) / seconds], "requests/s")
                record(f"API: {what}", name, "median", [statistics.median(times)], "ms")
                record(f"API: {what}", name, "99th percentile", [times[len(times) * 99 // 100]], "ms")
            record("API: after all that", name, "memory", [memory.resident_octets(system.pids[0]) / 1e6], "MB")
        finally:
            system.stop()
    print(f"  target: 300 requests/s in all with a 99th percentile below 200 ms, on 2 cores; here {os.cpu_count()}")
