"""Two relays of ours bring each other mail over HTTPS, and over port 25 where that is not to be had; real clients on both.

Their names and keys come from real name servers.
"""

import re
import shutil
import smtplib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from policy.pgp import mail
from system.dns import DnsServers
from system.relays import Clients, Relay, eventually, received, within
from system.server import free_ports, loopback_block, tls_context

pytestmark = pytest.mark.full

ADDRESSES = {"_one.test": f"{loopback_block()}.61", "_two.test": f"{loopback_block()}.62"}
CMPING = """
    import sys, cmping
    uris = {sys.argv[1]: sys.argv[2].split(" "), sys.argv[3]: sys.argv[4].split(" ")}
    cmping.create_qr_url = lambda domain: uris[domain].pop()
    sys.argv = ["cmping", sys.argv[1], sys.argv[3], "-c", "100", "-i", "0.05"]
    cmping.main()
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    with DnsServers(tmp_path_factory.mktemp("dns"), {name: [] for name in ADDRESSES}) as dns:
        yield dns


@pytest.fixture(scope="module", params=["https", "smtp"])
def relays(request, net, tmp_path_factory):
    """Two relays; `smtp`: nobody listens for HTTPS at the port where they look."""
    mx_port, https_port, other_port = free_ports(3)
    made = []
    for name, address in ADDRESSES.items():
        relay = Relay(tmp_path_factory.mktemp("relay"), name, sends_per_minute=6000, send_burst=1000)
        relay.meets(address, net, mx_port, https_port)
        if request.param == "smtp":
            relay.settings["MAILSTEAD_RELAY_HTTPS_PORT"] = str(other_port)
        made.append(relay)
    with made[0] as one, made[1] as two:
        for relay in made:
            relay.publish(net, ADDRESSES[relay.domain])
        yield request.param, one, two


def test_people_of_two_relays_talk(relays, tmp_path):
    way, one, two = relays
    with Clients(tmp_path) as clients:
        alice, bob = clients.online(one), clients.online(two)
        bob.secure_join(alice.get_qr_code())
        within(alice.wait_for_securejoin_inviter_success)
        within(bob.wait_for_securejoin_joiner_success)
        alice.create_chat(bob).send_text("to the other relay")
        message = received(bob)
        while message.get_snapshot().text != "to the other relay":
            message = received(bob)
        message.get_snapshot().chat.accept()
        message.get_snapshot().chat.send_text("and back")
        answer = received(alice)
        while answer.get_snapshot().text != "and back":
            answer = received(alice)
        message.mark_seen()
        assert "rror" not in message.get_info()
    for relay in (one, two):
        by_https, by_smtp = relay.delivered("mxdeliv"), relay.delivered("mx")
        assert (by_https > 0, by_smtp > 0) == (way == "https", way == "smtp")


def test_mail_without_a_signature_is_refused(relays):
    _, one, _ = relays
    bob = one.new_person()
    one.imap(bob).logout()
    client = smtplib.SMTP("127.0.0.1", one.port["mx"], "mx._two.test")
    client.starttls(context=tls_context())
    with pytest.raises(smtplib.SMTPDataError, match="No DKIM signature found"):
        client.sendmail("carl@_two.test", [bob.address], mail(sender="carl@_two.test"))
    client.close()
    assert one.stored(bob) == []


def test_what_arrives_shows_no_signatures_and_nothing_of_the_sender_s_machine(relays):
    _, one, two = relays
    alice, bob = one.new_person(), two.new_person()
    two.imap(bob).logout()
    one.smtp(alice).sendmail(alice.address, [bob.address], mail(sender=alice.address))
    [found] = eventually(lambda: two.stored(bob))
    header = found.partition(b"\r\n\r\n")[0]
    assert not re.search(rb"(?im)^(received|dkim-signature|authentication-results):", header)
    assert b"127.0.0.1" not in found


def test_a_bounce_names_whom_nobody_knows(relays):
    """The relay's own limit for it is 30 s."""
    _, one, two = relays
    bob = two.new_person()
    two.smtp(bob).sendmail(bob.address, [f"nobody123@{one.domain}"], mail(sender=bob.address))
    [found] = eventually(lambda: two.stored(bob), limit_s=30)
    assert b"nobody123@_one.test" in found
    assert re.search(rb"(?i)\r\nFrom:[^\r]*mailer-daemon@", found)


def test_cmping_both_ways(relays, tmp_path):
    _, one, two = relays
    for sender, receiver in ((one, two), (two, one)):
        uris = [" ".join(relay.new_login() for _ in range(2)) for relay in (sender, receiver)]
        home = tmp_path / sender.domain
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")
        }  # fmt: skip
        home.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CMPING), sender.domain, uris[0], receiver.domain, uris[1]],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "100 transmitted, 100 received" in done.stdout
        shutil.rmtree(home)
