"""A relay over the days: mailboxes that clear themselves, mails that run out, accounts that nobody uses.

The server's clock is moved by Debian's libfaketime between two starts; its people are real clients, whose clocks are not.
"""

import glob
import re
import secrets

import pytest

from policy.pgp import mail
from system.relays import Clients, Login, Relay, eventually, received
from system.server import free_ports

pytestmark = pytest.mark.full

MIB = 1024 * 1024


def set_clock(relay, moved):
    """Let the server start in the past, as `faketime -f` reads it (``-26h``, ``-21d``); empty: now."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        pytest.skip("needs faketime from Debian")
    for name in ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"):
        relay.settings.pop(name, None)
    if moved:
        relay.settings |= {"LD_PRELOAD": found[0], "FAKETIME": moved, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def restart(relay, moved):
    assert relay.stop() == 0, relay.log()[-3000:]
    set_clock(relay, moved)
    relay.start()


def usage(relay, login):
    """Give how many octets somebody's mailbox has, and may have."""
    client = relay.imap(login)
    _, (_, [quota]) = client.getquotaroot("INBOX")
    client.logout()
    used, limit = re.search(rb"STORAGE (\d+) (\d+)", quota).groups()
    return int(used) * 1024, int(limit) * 1024


def test_a_mailbox_that_is_nearly_full_clears_itself_of_what_is_a_day_old(tmp_path):
    relay = Relay(tmp_path / "relay", "_days.test", account_quota_octets="2M", sends_per_minute=600, send_burst=100)
    set_clock(relay, "-26h")
    with relay, Clients(tmp_path) as clients:
        bob_login = Login(f"bob{secrets.token_hex(3)}@_days.test", "bob's password")
        name, password = bob_login.address.partition("@")[0], bob_login.password
        alice, bob = clients.online(relay), clients.online(relay, relay.new_login(name, password), bcc_self="1")
        bob.create_chat(alice)
        there = alice.create_chat(bob)
        number = 0
        while usage(relay, bob_login)[0] < 1.6 * MIB:
            (tmp_path / f"{number}.bin").write_bytes(secrets.token_bytes(150_000))
            there.send_file(str(tmp_path / f"{number}.bin"))
            received(bob)
            number += 1
        used, limit = usage(relay, bob_login)
        assert (limit, used > 0.75 * limit) == (2 * MIB, True)
        count = len(relay.stored(bob_login))

        restart(relay, "")
        clients.deltachat.maybe_network()
        there.send_text("a day later")
        assert received(bob).get_snapshot().text == "a day later"
        eventually(lambda: usage(relay, bob_login)[0] < 0.75 * limit)
        used = usage(relay, bob_login)[0]
        assert used > 0.5 * limit
        assert 1 < len(relay.stored(bob_login)) < count


def test_a_full_mailbox_is_told_to_who_writes(tmp_path):
    relay = Relay(tmp_path / "relay", "_days.test", account_quota_octets="1M")
    relay.settings["MAILSTEAD_SERVER_METRICS_LISTEN"] = f"127.0.0.1:{free_ports(1)[0]}"
    with relay:
        alice, bob = relay.new_person(), relay.new_person()
        client = relay.imap(bob)
        assert client.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"x" * (1000 * 1024))[0] == "OK"
        client.logout()
        octets = mail(sender=alice.address) + b"x" * 30_000
        relay.smtp(alice).sendmail(alice.address, [bob.address], octets)
        [bounce] = eventually(lambda: relay.stored(alice))
        assert b"5.2.2 The mailbox is full" in bounce
        assert bob.address.encode() in bounce
        assert len(relay.stored(bob)) == 1
        assert relay.metric("quota_exceeded ") == 1


def test_mails_and_accounts_run_out(tmp_path):
    relay = Relay(tmp_path / "relay", "_days.test")
    set_clock(relay, "-95d")
    with relay, Clients(tmp_path) as clients:
        idle = relay.new_person()
        relay.imap(idle).logout()
        restart(relay, "-21d")
        login = Login(f"bob{secrets.token_hex(3)}@_days.test", "bob's password")
        alice = clients.online(relay)
        bob = clients.online(relay, relay.new_login(login.address.partition("@")[0], login.password), bcc_self="1")
        bob.create_chat(alice)
        alice.create_chat(bob).send_text("three weeks ago")
        assert received(bob).get_snapshot().text == "three weeks ago"
        assert relay.stored(login)
        restart(relay, "")
        eventually(lambda: idle.address not in relay.run("account", "list"))
        assert login.address in relay.run("account", "list")
        eventually(lambda: relay.stored(login) == [])
