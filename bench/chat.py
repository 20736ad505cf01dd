"""A chatmail relay as its clients see it: logging in with new names, Delta Chat getting ready, ping and pong, idling.

No peer runs here: the relay's own parts (a patched Dovecot, a filter in Rust) are not to be had on this machine. What they
reached elsewhere is in the reference: an account ready in 0.2 to 0.4 s, a message in 180 to 700 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.memory import resident_octets
from bench.peers import ROOT, Mailstead, client_context, start_mailstead
from bench.report import record

CHAT_DOMAIN = "_chat.test"
PAUSE_S = 1.2
"""Between two rounds: Delta Chat's core itself sends one message a second at most, after a burst of three."""
PASSWORD = "quite-a-long-password"
RPC_SERVER = str(Path(sys.executable).with_name("deltachat-rpc-server"))


async def prepare(house: Any) -> None:
    """Make the relay's domain."""
    from mailstead.wiring.house import ADMINISTRATOR

    await house.domains.add(ADMINISTRATOR, CHAT_DOMAIN, "chatmail")
    terms = {"sends_per_minute": "100000", "send_burst": "100000", "load_max": "1000"}
    await house.domains.set_terms(ADMINISTRATOR, CHAT_DOMAIN, terms)


def new_name() -> str:
    return f"{secrets.token_hex(5)[:9]}@{CHAT_DOMAIN}"


def login_uri(system: Mailstead) -> str:
    password = quote(secrets.token_urlsafe(15), safe="")
    return (
        f"dclogin:{new_name()}?p={password}&v=1&ih=127.0.0.1&ip={system.ports.imaps}&is=ssl"
        f"&sh=127.0.0.1&sp={system.ports.submissions}&ss=ssl&ic=3"
    )


async def _first_log_in(port: int, context: ssl.SSLContext) -> float:
    """Log in with a name that nobody has; gives the seconds from the connection to the OK."""
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    await reader.readline()
    writer.write(f"a LOGIN {new_name()} {PASSWORD}\r\n".encode())
    answer = await reader.readline()
    if not answer.startswith(b"a OK"):
        raise RuntimeError(f"the log-in was refused: {answer!r}")
    seconds = time.perf_counter() - begin
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return seconds


async def _first_log_ins(port: int, count: int, at_once: int) -> tuple[float, list[float]]:
    """Give the log-ins per minute and the seconds of each."""
    context, limit = client_context(), asyncio.Semaphore(at_once)

    async def one() -> float:
        async with limit:
            return await _first_log_in(port, context)

    begin = time.perf_counter()
    seconds = await asyncio.gather(*(one() for _ in range(count)))
    return count / (time.perf_counter() - begin) * 60, list(seconds)


def log_ins(system: Mailstead, options: argparse.Namespace) -> None:
    count = 200 if options.quick else 2000
    rate, seconds = asyncio.run(_first_log_ins(system.ports.imaps, count, 20))
    work = f"{count} first log-ins"
    record(work, system.name, "rate", [rate], "a minute (target >= 1000)")
    record(work, system.name, "each, 20 at once", [1000 * each for each in seconds], "ms")


def ready_and_ping(folder: Path, system: Mailstead, options: argparse.Namespace) -> None:
    """The real Delta Chat core: from `dclogin:` to waiting in IDLE; then one text there and one back."""
    from deltachat_rpc_client import DeltaChat, Rpc

    account_count, ping_count = (5, 10) if options.quick else (20, 100)
    with Rpc(accounts_dir=str(folder / "deltachat"), rpc_server_path=RPC_SERVER) as rpc:
        core = DeltaChat(rpc)
        clients, ready = [], []
        for _ in range(account_count):
            client, begin = core.add_account(), time.perf_counter()
            client.add_transport_from_qr(login_uri(system))
            client.bring_online()
            ready.append(1000 * (time.perf_counter() - begin))
            clients.append(client)
        record("Delta Chat", system.name, "log-in to ready", ready, "ms (target < 500)")
        alice, bob = clients[:2]
        there, back = alice.create_chat(bob), bob.create_chat(alice)
        round_trips = []
        for number in range(ping_count + 5):
            time.sleep(PAUSE_S)
            begin = time.perf_counter()
            there.send_text("ping")
            bob.wait_for_incoming_msg()
            back.send_text("pong")
            alice.wait_for_incoming_msg()
            if number >= 5:  # the first ones exchange keys and open connections
                round_trips.append(1000 * (time.perf_counter() - begin))
        record("Delta Chat", system.name, "ping and pong", round_trips, "ms (target < 300)")
        ninth = statistics.quantiles(round_trips, n=10)[-1]
        record("Delta Chat", system.name, "ping and pong, 90th percentile", [ninth], "ms")


def idle(system: Mailstead, options: argparse.Namespace) -> None:
    """Connections in IDLE, each of an account of its own."""
    count = 500 if options.quick else 10_000
    before = resident_octets(system.pids[0])
    command = [sys.executable, "-m", "bench.chat", str(system.ports.imaps), str(count)]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdin is not None
    if "idle" not in holder.stdout.readline():
        raise RuntimeError("the holder of idle connections failed")
    time.sleep(5)  # what was freed is given back
    after = resident_octets(system.pids[0])
    holder.stdin.close()
    holder.wait()
    work = f"{count} idle chat connections"
    record(work, system.name, "memory in all", [after / 1e6], "MB (target < 600)")
    record(work, system.name, "memory before", [before / 1e6], "MB")


async def hold(port: int, count: int) -> None:
    """Open connections of `count` new accounts, say so, and stay until standard input ends."""
    import resource

    from bench.memory import Idler

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop, context = asyncio.get_running_loop(), client_context()
    for at in range(0, count, 20):
        waits = []
        for _ in range(at, min(at + 20, count)):
            waiting = loop.create_future()
            waits.append(waiting)
            await loop.create_connection(
                lambda waiting=waiting: Idler(new_name(), waiting, PASSWORD), "127.0.0.1", port, ssl=context
            )
        await asyncio.wait_for(asyncio.gather(*waits), 120)
    print(json.dumps({"idle": count}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def measure(folder: Path, options: argparse.Namespace) -> None:
    system = start_mailstead(
        folder / "mailstead",
        [],
        "mailstead",
        prepare=prepare,
        MAILSTEAD_SERVER_SERVICES="mx,submission,imap,pop3,queue",
        MAILSTEAD_LIMITS_CONNECTIONS_PER_ADDRESS_MAX="20000",
        MAILSTEAD_CHATMAIL_OPENINGS_PER_PREFIX_HOUR_MAX="0",
    )
    try:
        ready_and_ping(folder, system, options)
        log_ins(system, options)
        idle(system, options)
    finally:
        system.stop()


if __name__ == "__main__":
    asyncio.run(hold(*map(int, sys.argv[1:3])))
