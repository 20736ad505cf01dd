"""SIGKILL while mail is accepted, leased and delivered: nothing is lost, and nothing is sent twice without a reason.

A message goes in by the MX for an alias that leads to another server. Once our 250 was seen it must arrive there. It may
arrive twice only if it was brought twice, or the other server's 250 was not seen: it was never sent, or the kill came
before it could be recorded.
"""

import os
import random
import threading
import time

import pytest

from crash.load import Ledger, smtp_worker
from crash.sink import Sink
from system.server import DOMAIN, Server

pytestmark = pytest.mark.crash

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
ALIASES = [f"out{number}@{DOMAIN}" for number in range(3)]
SETTLED_WITHIN_S = 1.0
"""A 250 that came so shortly before a kill may not have been recorded."""
UNSEEN_WITHIN_S = 0.2
"""The sink still answers what the dead had sent; nobody saw a 250 that it sent so shortly behind a kill."""
SETTINGS = {
    "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "false",
    "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true",
    "MAILSTEAD_QUEUE_LEASE_S": "1",
    "MAILSTEAD_QUEUE_FIRST_RETRY_S": "0.2",
    "MAILSTEAD_QUEUE_RETRY_MAX_S": "1",
    "MAILSTEAD_POLICY_MESSAGES_PER_SENDER_HOUR_MAX": "0",
    "MAILSTEAD_POLICY_MESSAGES_PER_RECIPIENT_HOUR_MAX": "0",
    "MAILSTEAD_DNS_SERVERS": "127.0.0.1:1",
}


def wait_until_empty(server: Server, ledger: Ledger, sinks: list[Sink], limit_s: float = 90.0) -> None:
    """Until every acknowledged message has arrived somewhere."""
    end = time.monotonic() + limit_s
    while True:
        arrived = {key for sink in sinks for key in tuple(sink.taken)}
        missing = [key for key, entry in ledger.entries.items() if entry.is_acknowledged and key not in arrived]
        if not missing:
            return
        assert time.monotonic() < end, f"{len(missing)} acknowledged messages did not arrive: {missing[:5]}"
        time.sleep(0.05)  # several sinks count, each in a thread of its own


def test_sigkill_during_accept_lease_and_delivery(tmp_path):
    chance = random.Random(3)
    sinks = [Sink(chance, misbehaviour=0.0), Sink(chance, misbehaviour=0.15), Sink(chance, misbehaviour=0.0)]
    server = Server(tmp_path, settings=SETTINGS)
    server.prepare()
    for alias, sink in zip(ALIASES, sinks, strict=True):
        server.run("alias", "create", alias, f"127.0.0.1:{sink.port}")
    ledger, kills = Ledger(), []
    for _ in range(ROUNDS):
        server.start()
        stop = threading.Event()
        errors: list[BaseException] = []

        def work(seed, stop=stop, errors=errors):
            try:
                smtp_worker(server.port["mx"], ledger, ALIASES, stop, random.Random(seed))
            except BaseException as error:
                errors.append(error)

        workers = [threading.Thread(target=work, args=(chance.random(),)) for _ in range(3)]
        for worker in workers:
            worker.start()
        alive_s = chance.uniform(0.05, 0.7)
        time.sleep(alive_s)  # the test itself: the kill comes at a random moment
        server.kill()
        kills.append(time.monotonic())
        stop.set()
        for worker in workers:
            worker.join(30)
            assert not worker.is_alive()
        assert errors == [], server.log()[-2000:]
    for sink in sinks:
        sink.misbehaviour = 0.0
    server.start()
    try:
        wait_until_empty(server, ledger, sinks)
    finally:
        assert server.stop() == 0
    assert server.check() == []
    twice = 0
    for sink in sinks:
        for key, times in sink.taken.items():
            entry = ledger.entries[key]
            reasons = entry.tries - 1
            for at in times[:-1]:
                was_answered = at > 0
                reasons += not was_answered
                reasons += was_answered and any(-UNSEEN_WITHIN_S <= kill - at <= SETTLED_WITHIN_S for kill in kills)
            assert len(times) - 1 <= reasons, f"{key} arrived {len(times)} times, kills at {kills}, 250s at {times}"
            twice += len(times) > 1
    acknowledged = sum(entry.is_acknowledged for entry in ledger.entries.values())
    print(
        f"\nqueue crash: {ROUNDS} rounds, {acknowledged} acknowledged, none lost, {twice} arrived more than once",
        flush=True,
    )
    assert acknowledged > ROUNDS
