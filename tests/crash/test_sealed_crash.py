"""SIGKILL while mail comes for sealed accounts, while it is taken in, and while accounts are sealed and unsealed.

What was acknowledged is there, once for each time that it was brought; each account opens by its password, whatever the
kill has cut short.
"""

import asyncio
import imaplib
import os
import random
import subprocess
import threading
import time
from collections import Counter

import pytest

from crash.load import Ledger, smtp_worker
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.message import Wanted
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house
from system.server import DOMAIN, MAILSTEAD, PASSWORD, Server, tls_context

pytestmark = pytest.mark.crash

ROUNDS = max(5, int(os.environ.get("CRASH_ROUNDS", "20")) // 4)
ACCOUNTS = [f"sealed{number}@{DOMAIN}" for number in range(3)]
TURNING = ACCOUNTS[2]
"""Sealed and unsealed in turn; the others stay sealed."""
READY_WITHIN_S = 60.0


def start(server: Server) -> None:
    """Start it, until both of its processes are ready."""
    count = server.log().count('"event": "ready"')
    server.start()
    end = time.monotonic() + READY_WITHIN_S
    while server.log().count('"event": "ready"') < count + 2:
        assert time.monotonic() < end, server.log()[-2000:]
        time.sleep(0.02)  # another process gives no sign but its log


def opener(server: Server, account: str, chance: random.Random) -> None:
    """Log in, which takes in what has waited, and stay until the server dies."""
    time.sleep(chance.uniform(0.0, 0.5))  # mail is to wait first
    try:
        client = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=tls_context())
        client.login(account, PASSWORD)
        while client.noop()[0] == "OK":
            pass
    except (imaplib.IMAP4.abort, OSError):
        pass


def turn(server: Server, *, seals: bool) -> "subprocess.Popen[bytes]":
    """Begin to seal or unseal an account; it may be in that state already, or half way."""
    words = ["seal", TURNING, "--yes"] if seals else ["unseal", TURNING]
    process = subprocess.Popen(
        [MAILSTEAD, "account", *words, "--password-stdin"],
        env=server.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(PASSWORD.encode() + b"\n")
    process.stdin.close()
    return process


async def found_in(server: Server) -> dict[str, Counter[str]]:
    """Open each account by its password; give how often each message is there."""
    found: dict[str, Counter[str]] = {}
    async with open_house(load(None, server.environment).settings) as house:
        for name in ACCOUNTS:
            actor = await house.accounts.log_in(name, Secret(PASSWORD), Peer("127.0.0.1", 0), "imap")
            account = await house.storage.directory.account(actor.account_id)
            await house.sealed_merging.merge(account)
            store = house.storage.accounts.of(actor.account_id)
            snapshot = await store.snapshot("INBOX")
            records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.ORDER)
            found[name] = Counter(each.order.message_id.strip("<>").partition("@")[0] for each in records)
        sealing = await house.sealed_accounts.get(ADMINISTRATOR, Address.parse(TURNING))
        if sealing.is_sealed:  # perhaps half: unsealing repairs both halves
            await house.sealed_accounts.unseal(
                ADMINISTRATOR, Address.parse(TURNING), Secret(PASSWORD), Peer("127.0.0.1", 0)
            )
        assert await house.storage.sealed.waiting_counts() == {}
        assert [finding async for finding in house.storage.check()] == []
    return found


def test_sigkill_while_mail_waits_is_taken_in_and_accounts_are_sealed(tmp_path):
    chance = random.Random(34)
    server = Server(tmp_path, arguments=["--workers", "2"])
    server.settings |= {
        "MAILSTEAD_POLICY_MESSAGES_PER_SENDER_HOUR_MAX": "0",
        "MAILSTEAD_POLICY_MESSAGES_PER_RECIPIENT_HOUR_MAX": "0",
    }
    server.prepare(*ACCOUNTS)
    for account in ACCOUNTS[:2]:
        server.run("account", "seal", account, "--yes", "--password-stdin", stdin=PASSWORD + "\n")
    ledger = Ledger()
    for number in range(ROUNDS):
        start(server)
        stop, errors = threading.Event(), []

        def send(seed, stop=stop, errors=errors):
            try:
                smtp_worker(server.port["mx"], ledger, ACCOUNTS, stop, random.Random(seed))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=send, args=(chance.random(),)) for _ in range(3)]
        threads += [
            threading.Thread(target=opener, args=(server, account, random.Random(chance.random())))
            for account in (ACCOUNTS[:2] if number % 2 else ACCOUNTS[number % 3 : number % 3 + 1])
        ]
        turning = turn(server, seals=number % 2 == 0)
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.3, 3.0))  # the test itself: the kill comes at a random moment
        server.kill()
        if number % 4 < 3:
            turning.kill()  # by its own handle, and not always
        turning.wait(60)
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert errors == [], server.log()[-2000:]
    assert "waiting mail is taken in" in server.log()
    found = asyncio.run(found_in(server))
    acknowledged = 0
    for key, entry in ledger.entries.items():
        count = found[entry.account][key]
        acknowledged += entry.is_acknowledged
        assert count >= entry.is_acknowledged, f"{key} of {entry.account} was acknowledged and is not there"
        assert count <= entry.tries, (
            f"{key} of {entry.account} was brought {entry.tries} times and is there {count} times"
        )
    print(f"\nsealed crash: {ROUNDS} rounds, {acknowledged} acknowledged, none lost, none doubled", flush=True)
    assert acknowledged > ROUNDS
