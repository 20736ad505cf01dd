"""SMTP load: many connections, one process, the same for every system.

Each connection pipelines MAIL, RCPT and DATA in one write where PIPELINING is offered (both systems do), waits for 354,
then sends the message. Runs as a process of its own, which reads its job from standard input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from base64 import b64encode
from dataclasses import asdict, dataclass

import uvloop

from bench.messages import message
from bench.peers import PASSWORD, ROOT, System, client_context


@dataclass(frozen=True)
class Job:
    """What is to be sent."""

    port: int
    connections: int
    recipients: list[str]
    """One message for each, in this order."""
    messages: list[str]
    """Sent in turns; octets as Latin-1."""
    mail_from: str = "sender@sender.test"
    helo: str = "bench.test"
    source_address: str = "127.0.0.1"
    username: str = ""
    """Whoever logs in does so over TLS from the first octet."""


def sample(size: int) -> list[bytes]:
    return [message(size, number) for number in range(50)]


def as_text(messages: list[bytes]) -> list[str]:
    return [octets.decode("latin-1") for octets in messages]


def load(job: Job) -> dict[str, float]:
    """Send all in another process; gives the moments of the beginning, the first acknowledgement and the last.

    Errors: RuntimeError, unless all was taken.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.smtp_load"],
        cwd=ROOT,
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    if result["acknowledged"] != len(job.recipients):
        raise RuntimeError(f"only {result['acknowledged']} of {len(job.recipients)}: {result['failures']}")
    return result


def delivered(system: System, job: Job) -> float:
    """Deliver and wait until the last message is in its mailbox; messages per second over all of it."""
    stored_before, count = system.stored_count(), len(job.recipients)
    result = load(job)
    end = result["end"]
    if stored_before >= 0:
        limit = time.time() + 300
        while system.stored_count() < stored_before + count:
            if time.time() > limit:
                raise RuntimeError(f"{system.name}: {system.stored_count() - stored_before} of {count} arrived")
            time.sleep(0.02)
        end = max(end, time.time())
    return count / (end - result["begin"])


class Client(asyncio.Protocol):
    def __init__(self, job, numbers, bodies, done):
        self.job, self.numbers, self.bodies, self.done = job, numbers, bodies, done
        self.buffer = b""
        self.state = "greeting"
        self.replies_wanted = 0
        self.acknowledged = 0
        self.first_at = 0.0
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
            self.transport.write(f"EHLO {self.job.helo}\r\n".encode())
            self.state = "ehlo"
        elif self.state == "ehlo" and self.job.username:
            secret = b64encode(f"\0{self.job.username}\0{PASSWORD}".encode())
            self.transport.write(b"AUTH PLAIN " + secret + b"\r\n")
            self.state = "auth"
        elif self.state in ("ehlo", "auth"):
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
                self.first_at = self.first_at or time.time()
            else:
                self.failures.append(line.decode(errors="replace"))
            self.next_message()
        elif self.state == "quit":
            self.transport.close()

    def next_message(self):
        self.number = next(self.numbers, None)
        if self.number is None:
            self.state = "quit"
            self.transport.write(b"QUIT\r\n")
            return
        to = self.job.recipients[self.number]
        self.transport.write(f"MAIL FROM:<{self.job.mail_from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
        self.replies_wanted = 3
        self.state = "commands"

    def connection_lost(self, exc):
        if not self.done.done():
            self.done.set_result(None)


async def run(job: Job) -> dict[str, object]:
    bodies = [octets.encode("latin-1") + b".\r\n" for octets in job.messages]
    loop = asyncio.get_running_loop()
    numbers = iter(range(len(job.recipients)))
    clients, waits = [], []
    begin = time.time()
    for _ in range(job.connections):
        done = loop.create_future()
        _, client = await loop.create_connection(
            lambda done=done: Client(job, numbers, bodies, done),
            "127.0.0.1",
            job.port,
            ssl=client_context() if job.username else None,
            local_addr=(job.source_address, 0),
        )
        clients.append(client)
        waits.append(done)
    await asyncio.wait_for(asyncio.gather(*waits), 900)
    end = time.time()
    failures = [failure for client in clients for failure in client.failures]
    return {
        "begin": begin,
        "first": min((client.first_at for client in clients if client.first_at), default=end),
        "end": end,
        "acknowledged": sum(client.acknowledged for client in clients),
        "failures": failures[:5],
        "failure_count": len(failures),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(Job(**json.load(sys.stdin))))))
