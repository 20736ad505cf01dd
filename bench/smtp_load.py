"""SMTP load: many connections, one process, the same for every system.

Each connection pipelines MAIL, RCPT and DATA in one write where PIPELINING is offered (both systems do), waits for 354,
then sends the message. Run as a process of its own: `python -m bench.smtp_load PORT CONNECTIONS MESSAGES SIZE ACCOUNTS`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from bench.messages import message


class Client(asyncio.Protocol):
    def __init__(self, jobs, bodies, accounts, done):
        self.jobs, self.bodies, self.accounts, self.done = jobs, bodies, accounts, done
        self.buffer = b""
        self.state = "greeting"
        self.replies_wanted = 0
        self.acknowledged = 0
        self.failures: list[str] = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n")) >= 0:
            line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            if line[3:4] != b"-":
                self.reply(line)

    def reply(self, line):
        code = line[:1]
        if self.state == "greeting":
            self.transport.write(b"EHLO bench.test\r\n")
            self.state = "ehlo"
        elif self.state == "ehlo":
            self.next_message()
        elif self.state == "commands":
            if code not in b"23":
                self.failures.append(line.decode(errors="replace"))
            self.replies_wanted -= 1
            if self.replies_wanted == 0:
                self.state = "data"
                self.transport.write(self.bodies[self.number % len(self.bodies)])
        elif self.state == "data":
            if code == b"2":
                self.acknowledged += 1
            else:
                self.failures.append(line.decode(errors="replace"))
            self.next_message()
        elif self.state == "quit":
            self.transport.close()

    def next_message(self):
        self.number = next(self.jobs, None)
        if self.number is None:
            self.state = "quit"
            self.transport.write(b"QUIT\r\n")
            return
        to = self.accounts[self.number % len(self.accounts)]
        self.transport.write(f"MAIL FROM:<sender@sender.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
        self.replies_wanted = 3
        self.state = "commands"

    def connection_lost(self, exc):
        if not self.done.done():
            self.done.set_result(None)


async def run(port: int, connections: int, count: int, size: int, accounts: list[str]) -> dict[str, object]:
    bodies = [message(size, number) + b".\r\n" for number in range(50)]
    loop = asyncio.get_running_loop()
    jobs = iter(range(count))
    clients, waits = [], []
    begin = time.time()
    for _ in range(connections):
        done = loop.create_future()
        _, client = await loop.create_connection(
            lambda done=done: Client(jobs, bodies, accounts, done), "127.0.0.1", port
        )
        clients.append(client)
        waits.append(done)
    await asyncio.wait_for(asyncio.gather(*waits), 900)
    end = time.time()
    failures = [failure for client in clients for failure in client.failures]
    return {
        "begin": begin,
        "end": end,
        "acknowledged": sum(client.acknowledged for client in clients),
        "failures": failures[:5],
        "failure_count": len(failures),
    }


if __name__ == "__main__":
    port, connections, count, size, account_count = map(int, sys.argv[1:6])
    accounts = [f"user{number}@example.test" for number in range(account_count)]
    print(json.dumps(uvloop.run(run(port, connections, count, size, accounts))))
