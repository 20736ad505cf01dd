"""Mail of our own that goes out: from the queue to a sink that takes everything.

The sink is Debian's smtp-sink on port 25, found by MX records; both systems may have as many connections. Mailstead is
given the mail as authors give it, over TLS with log-in; Postfix by a client in its own network.

*relayed*: the sink stands still until the last message is acknowledged; the clock runs from the moment it goes on to the
last arrival, so this is the queue alone. *through*: all at once, from the first acknowledgement to the last arrival.
*accepted*: the acknowledgements meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import network
from bench.peers import DOMAIN, Mailstead, System, account, start_mailstead, start_postfix
from bench.report import ratio, record
from bench.smtp_load import Job, as_text, load, sample

if TYPE_CHECKING:
    from mailstead.wiring.house import House

TARGET = 1.0
SINK_DOMAINS = [f"sink{number}.test" for number in range(20)]
PER_DESTINATION, IN_ALL = 20, 100
"""Connections, the defaults of Postfix."""
WARM_UP = 100
"""Messages before the clock: the first log-in costs a password hash, the first relaying a connection."""


class Sink:
    """How many messages have arrived, and when the last did."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.count = 0
        self.at = 0.0
        self._process = process
        self._arrived = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while octets := os.read(self._process.stdout.fileno(), 65536):
            found = re.findall(rb"mesg=(\d+)\b", octets)
            with self._arrived:
                if found and int(found[-1]) > self.count:
                    self.count, self.at = int(found[-1]), time.time()
                    self._arrived.notify_all()

    def stand_still(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> float:
        """Give the moment."""
        self._process.send_signal(signal.SIGCONT)
        return time.time()

    def wait(self, count: int, limit_s: float = 300) -> float:
        """Give the moment of the last arrival, once so many have come in all."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self.count >= count, limit_s):
                raise RuntimeError(f"the sink got only {self.count} of {count}")
            return self.at


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    command = ["/usr/sbin/smtp-sink", "-c", "-u", "postfix", f"{network.SINK_ADDRESS}:25", "1024"]
    with network.running(command, stdout=subprocess.PIPE) as process:
        try:
            yield Sink(process)
        finally:
            process.send_signal(signal.SIGCONT)


def records() -> list[str]:
    return [f"{domain}. MX 10 mx.sink.test." for domain in SINK_DOMAINS] + [f"mx.sink.test. A {network.SINK_ADDRESS}"]


def recipients(count: int, domain_count: int) -> list[str]:
    return [f"user{number}@{SINK_DOMAINS[number % domain_count]}" for number in range(count)]


def messages() -> list[str]:
    """As `account(0)` may send them."""
    author = f"From: User <{account(0)}>\r\n".encode()
    return as_text([re.sub(rb"^From: .*\r\n", author, octets) for octets in sample(4096)])


async def without_keys(house: House) -> None:
    """Let the domain sign nothing."""
    from mailstead.wiring.house import ADMINISTRATOR

    for published in await house.keys.list(ADMINISTRATOR, DOMAIN):
        await house.keys.retire(ADMINISTRATOR, DOMAIN, published.key.selector)


def start_sender(folder: Path, name: str, **more: object) -> Mailstead:
    """A Mailstead that submits and relays."""
    return start_mailstead(
        folder,
        [account(0)],
        name,
        MAILSTEAD_SERVER_SERVICES="mx,submission,imap,pop3,queue",
        MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES="true",
        MAILSTEAD_QUEUE_CONNECTIONS_MAX=str(IN_ALL),
        MAILSTEAD_QUEUE_CONNECTIONS_PER_DESTINATION_MAX=str(PER_DESTINATION),
        **more,
    )


def given_to(system: System, job: Job) -> Job:
    """The job as the system takes it."""
    if isinstance(system, Mailstead):
        return replace(job, port=system.ports.submissions, username=account(0))
    return replace(job, port=system.ports.smtp)


def through(system: System, to: Sink, job: Job) -> tuple[float, float]:
    """Give the arrivals and the acceptances per second."""
    count, before = len(job.recipients), to.count
    result = load(given_to(system, job))
    arrived_at = to.wait(before + count)
    return count / (arrived_at - result["first"]), count / (result["end"] - result["begin"])


def relayed(system: System, to: Sink, job: Job) -> float:
    """Give the arrivals per second of what had gathered in the queue."""
    count, before = len(job.recipients), to.count
    to.stand_still()
    load(given_to(system, job))
    began_at = to.go_on()
    return count / (to.wait(before + count) - began_at)


def measure(folder: Path, options: argparse.Namespace) -> None:
    count = 300 if options.quick else 2000
    bodies = messages()
    with contextlib.ExitStack() as stack:
        stack.enter_context(network.dns_server(folder / "dns", records()))
        arrivals = stack.enter_context(sink())
        systems: list[System] = [
            start_sender(folder / "signing", "mailstead, DKIM-signed twice"),
            start_sender(folder / "unsigned", "mailstead, unsigned", prepare=without_keys),
        ]
        stack.callback(lambda: [system.stop() for system in systems])
        if not options.without_peers:
            main_cf = f"smtp_destination_concurrency_limit = {PER_DESTINATION}\ndefault_process_limit = {IN_ALL}\n"
            systems.append(start_postfix(folder / "postfix", "postfix, unsigned", main_cf))
        for domain_count in (1, len(SINK_DOMAINS)):
            work = f"send {count} x 4 KB to {domain_count} domain(s)"
            values: dict[str, dict[str, list[float]]] = {
                figure: {system.name: [] for system in systems} for figure in ("relayed", "through", "accepted")
            }
            job = Job(0, 20, recipients(count, domain_count), bodies, mail_from=account(0))
            for system in systems:
                through(system, arrivals, replace(job, recipients=job.recipients[:WARM_UP]))
            for _ in range(options.rounds):
                for system in systems:
                    values["relayed"][system.name].append(relayed(system, arrivals, job))
                    rate, acceptances = through(system, arrivals, job)
                    values["through"][system.name].append(rate)
                    values["accepted"][system.name].append(acceptances)
            for figure, target in (("relayed", TARGET), ("through", TARGET), ("accepted", None)):
                for system in systems:
                    record(work, system.name, figure, values[figure][system.name], "messages/s")
                ratio(work, figure, f">= {target}" if target else "(told for honesty)", more_is_better=True)
