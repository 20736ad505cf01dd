"""Rows 12, 13 and 20 against the ports of a whole house: nobody relays, nobody lends himself an address, nobody lists users."""

import statistics
import time
from pathlib import Path

import pytest

from attacks.home import DOMAIN, open_home
from mailstead.net.probes import HostProbes
from mailstead.policy.relay_forms import foreign_recipients
from mailstead.telemetry import metrics
from mailstead.wiring.house import ADMINISTRATOR

FOREIGN = foreign_recipients(DOMAIN, "mx.example.test")


@pytest.mark.parametrize("sender", ["x@elsewhere.test", f"alice@{DOMAIN}", "", "x@[127.0.0.1]"])
async def test_attack_012_thirty_forms_of_foreign_recipients(home, sender):
    assert len(FOREIGN) == 30
    client = None
    for number, form in enumerate(FOREIGN):
        if number % 8 == 0:  # errors end a conversation (row 9): a tester comes again, and so do we
            client = await home.mx()
        sent, answer, data, _ = await client.smtp(f"MAIL FROM:<{sender}>", f"RCPT TO:{form}", "DATA", "RSET")
        assert sent[:3] == "250"
        assert answer[:3] in {"550", "501", "553"}, form
        assert data[:3] in {"503", "554"}, form


async def test_attack_012_submission_relays_for_nobody_unknown(home):
    client = await home.dial("submissions")
    await client.smtp_reply()
    await client.smtp("EHLO client.test")
    for form in FOREIGN[:8]:
        sent, answer, _ = await client.smtp("MAIL FROM:<alice@example.test>", f"RCPT TO:{form}", "RSET")
        assert sent.startswith("530 5.7.0 ")
        assert answer[:3] in {"503", "530"}


async def test_attack_012_the_self_test_finds_the_whole_house_closed(home):
    """Asked by the probe of `mailstead doctor`, from outside the house's own ways; a catch-all is no relay."""
    probes = HostProbes(home.house.settings, Path("none"), None, "")
    where = f"127.0.0.1:{home.ports['mx']}"
    assert await probes.accepted_recipients(where, foreign_recipients("mx.example.test", "mx.example.test")) == []
    await home.house.aliases.create(ADMINISTRATOR, _address("*"), [_address("alice")])
    taken = await probes.accepted_recipients(where, FOREIGN)
    assert taken
    assert all(form.rstrip(">").endswith(f"@{DOMAIN}") for form in taken)


V1 = b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\0\x01\0\x19"


@pytest.mark.parametrize("header", [V1, V2, b"XCLIENT ADDR=10.0.0.1\r\n", b"XFORWARD ADDR=10.0.0.1\r\n"])
async def test_attack_013_a_stranger_lends_himself_no_address(home, header):
    """What claims another address is a bad command; the trace field shows who really came."""
    [alice] = [await home.house.storage.directory.find(address) for address in [_address("alice")]]
    client = await home.dial("mx")
    await client.smtp_reply()
    await client.send(header + b"\r\nEHLO 10.0.0.1\r\n")
    replies = []
    try:
        while not replies or replies[-1][:1] in {"5", "2"}:
            replies.append(await client.smtp_reply())
            if replies[-1].startswith("250"):
                break
    except EOFError:
        replies.append("closed")
    assert replies[0][:1] in {"5", "c", "4"}
    if replies[-1] != "closed":
        assert (await client.smtp("MAIL FROM:<a@example.test>", "RCPT TO:<victim@elsewhere.test>"))[1][:3] == "550"
        await client.smtp("RSET")
        assert (await home.deliver(client, "alice", b"Subject: who\r\n\r\nx"))[:3] == "250"
        [octets] = await home.stored(alice)
        received = octets.split(b"Received:", 1)[1].split(b"\r\n\t")[0]
        assert b"[127.0.0.1]" in received
        assert b"[10.0.0.1]" not in octets


@pytest.mark.parametrize("port", ["imap", "pop3", "submission", "mx"])
async def test_attack_013_a_claimed_address_does_not_reset_the_counters(home, port):
    """If a header of a stranger were believed, guesses from ever new addresses would never be slowed."""
    client = await home.dial(port)
    await client.line()
    await client.send(V1)
    answer = (await client.line()).upper()
    assert answer.startswith(("500", "501", "-ERR", "PROXY BAD", "* BAD", "* BYE", "421", "554", "521", "502"))


async def test_attack_013_the_listed_peer_without_header_is_refused(tmp_path):
    """Loopback is trusted only if it is listed; who is listed must send a header (h2: no bridge passes for a client)."""
    async with open_home(tmp_path / "data", limits={"proxy_from": ("127.0.0.1",)}) as home:
        client = await home.dial("mx")
        await client.send(b"EHLO client.test\r\n")
        assert b"250" not in await client.rest()
        client = await home.dial("mx")
        await client.send(b"PROXY TCP4 192.0.2.77 127.0.0.1 5000 25\r\n")
        assert (await client.smtp_reply())[:3] == "220"
        await client.smtp("EHLO client.test")
        assert (await home.deliver(client, "alice", b"Subject: x\r\n\r\nx"))[:3] == "250"
        found = await home.house.storage.directory.find(_address("alice"))
        assert b"[192.0.2.77]" in (await home.stored(found))[0]


async def test_attack_020_a_near_miss_takes_no_longer_than_a_wild_guess(home):
    """What a refusal says is its code; medians over interleaved tries show that the clock says no more."""
    guesses = ("alicf", "nobody", "x" * 60, "alic", "bob2", "0")
    times = {name: [] for name in guesses}
    for number in range(60):
        client = await home.mx()
        await client.smtp("MAIL FROM:<>")
        for turn in range(2):
            for name in guesses:
                begin = time.perf_counter()
                [answer] = await client.smtp(f"RCPT TO:<{name}@{DOMAIN}>")
                times[name].append(time.perf_counter() - begin)
                assert answer[:3] == "550", (number, turn)
        await client.close()
    medians = [statistics.median(each) for each in times.values()]
    assert max(medians) / min(medians) < 1.8, medians


async def test_attack_020_harvesting_ends_the_conversation_and_is_counted(home):
    def count():
        return metrics.REFUSALS.labels("mx", "550", "NoSuchAddress")._value.get()

    before = count()
    client = await home.mx()
    await client.smtp("MAIL FROM:<>")
    tries = 0
    with pytest.raises(EOFError):
        for tries in range(10_000):
            await client.smtp(f"RCPT TO:<guess{tries}@{DOMAIN}>")
    assert 5 < tries <= 25
    assert count() - before >= tries - 1


async def test_attack_020_vrfy_and_expn_know_nothing(home):
    client = await home.mx()
    replies = await client.smtp("VRFY alice@example.test", "VRFY nobody@example.test", "EXPN alice", "EXPN nobody")
    assert replies[0] == replies[1]
    assert replies[2] == replies[3]
    assert replies[0].startswith("252 ")


def _address(name):
    from mailstead.model.address import Address

    return Address(name, DOMAIN)
