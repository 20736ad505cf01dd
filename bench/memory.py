"""Resident memory of process trees, and a holder of many idle IMAP connections."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.peers import PASSWORD, client_context


def process_tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = (task / "children").read_text().split()
        for child in children:
            found += process_tree(int(child))
    return found


def resident_octets(pid: int) -> int:
    """Proportional resident memory of a process and all below it."""
    total = 0
    for each in process_tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Idler(asyncio.Protocol):
    """Log in, select, IDLE, and stay."""

    def __init__(self, account: str, idle: asyncio.Future[None], password: str = PASSWORD):
        self.account, self.password, self.idle, self.step = account, password, idle, 0

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n")) >= 0:
            line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            if self.step == 0:
                self.transport.write(f"a LOGIN {self.account} {self.password}\r\n".encode())
                self.step = 1
            elif line.startswith(b"a ") or line.startswith(b"+"):
                if self.step == 1:
                    self.transport.write(b"a SELECT INBOX\r\n")
                    self.step = 2
                elif self.step == 2:
                    self.transport.write(b"a IDLE\r\n")
                    self.step = 3
                elif not self.idle.done():
                    self.idle.set_result(None)

    def connection_lost(self, exc):
        if not self.idle.done():
            self.idle.set_exception(exc or EOFError("closed"))


async def hold(port: int, count: int, accounts: int) -> None:
    """Open the connections in groups, say so, and stay until standard input ends."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    context = client_context()
    for at in range(0, count, 100):
        waits = []
        for number in range(at, min(at + 100, count)):
            idle = loop.create_future()
            waits.append(idle)
            await loop.create_connection(
                lambda number=number, idle=idle: Idler(f"user{number % accounts}@example.test", idle),
                "127.0.0.1",
                port,
                ssl=context,
            )
        await asyncio.wait_for(asyncio.gather(*waits), 120)
    print(json.dumps({"idle": count}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(hold(*map(int, sys.argv[1:4])))
