"""Receptions: recipients, trace fields, what is staged and what is left."""

import base64
import random
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import open_smtp_house

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.model.errors import BadMessage, MessageTooLarge, NoSuchAddress, NotOurDomain, OverQuota, PolicyRefused
from mailstead.usecases.tracefields import Hop

CAROL = Address("carol", "client.example")
FROM = b"From: carol@client.example\r\n"
PEER = Peer("192.0.2.1", 50000, 2525)
TLS_PEER = Peer("2001:db8::1", 50000, 2525, "TLSv1.3", "TLS_AES_128_GCM_SHA256")


@pytest.fixture
async def house(tmp_path):
    async with open_smtp_house(tmp_path) as opened:
        yield opened


def rcpt(name):
    return Recipient(Address.parse(name if "@" in name else f"{name}@example.test"))


async def add(reception, name):
    more = reception.add_recipient(rcpt(name))
    if more is not None:
        await more
    return more


async def test_trace_fields(house):
    reception = house.receptions.begin(TLS_PEER, "client.example", Envelope(CAROL))
    await add(reception, "sales")
    reception.write(FROM + b"Subject: x\r\n\r\nbody\r\n")
    await reception.accept()
    [octets] = await house.messages("alice")
    assert re.fullmatch(
        rb"Return-Path: <carol@client\.example>\r\n"
        rb"Delivered-To: alice@example\.test\r\n"
        rb"Received: from client\.example \(\[IPv6:2001:db8::1\]\)\r\n"
        rb"\tby mx\.example\.test with ESMTPS \(TLSv1\.3 TLS_AES_128_GCM_SHA256\) id [0-9a-f]{14,}\r\n"
        rb"\tfor <sales@example\.test>; [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\r\n"
        rb"Authentication-Results: mx\.example\.test;\r\n(?:[ \t][^\r\n]*\r\n)+"
        rb"Received-SPF: none [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*"
        rb"From: carol@client\.example\r\nSubject: x\r\n\r\nbody\r\n",
        octets,
    )


@pytest.mark.parametrize(
    ("is_extended", "is_encrypted", "is_authenticated", "is_smtputf8", "word"),
    [
        (False, True, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, True, False, False, "ESMTPS"),
        (True, False, True, False, "ESMTPA"),
        (True, True, True, False, "ESMTPSA"),
        (True, False, False, True, "UTF8SMTP"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_words_behind_with(is_extended, is_encrypted, is_authenticated, is_smtputf8, word):
    peer = TLS_PEER if is_encrypted else PEER
    hop = Hop(peer, "x", "y", is_extended, is_authenticated, is_smtputf8)
    assert hop.protocol == word


async def test_a_copy_names_only_its_own_recipient(house):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    await add(reception, "alice")
    await add(reception, "bob")
    reception.write(FROM + b"\r\n")
    await reception.accept()
    for name, other in (("alice", b"bob@"), ("bob", b"alice@")):
        [octets] = await house.messages(name)
        assert octets.startswith(b"Return-Path: <>\r\n")
        assert other not in octets


async def test_an_account_gets_one_copy_by_however_many_names(house):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    for name in ("alice", "ALICE", "alice+tag", "sales", "team"):
        await add(reception, name)
    assert reception.account_count == 2
    reception.abandon()


async def test_a_known_recipient_needs_no_waiting(house):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    assert await add(reception, "alice") is not None
    assert await add(reception, "alice") is None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nobody", NoSuchAddress),
        ("x@elsewhere.test", NotOurDomain),
        ("postmaster@elsewhere.test", NotOurDomain),
    ],
)
async def test_refused_recipients(house, name, error):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    with pytest.raises(error):
        await add(reception, name)
    assert reception.account_count == 0


async def test_room_is_looked_at_when_the_size_is_known(tmp_path):
    async with open_smtp_house(tmp_path, quotas={"bob": 2000}) as house:
        for size, is_refused in ((2000, False), (2001, True), (None, False)):
            reception = house.receptions.begin(PEER, "x", Envelope(None, size_octets=size))
            if is_refused:
                with pytest.raises(OverQuota):
                    await add(reception, "bob")
            else:
                await add(reception, "bob")
        reception.write(FROM + b"\r\n" + b"x" * 1000)
        await reception.accept()
        reception = house.receptions.begin(PEER, "x", Envelope(None, size_octets=1000))
        with pytest.raises(OverQuota):
            await add(reception, "team")


async def test_too_large_is_said_as_soon_as_it_is(house):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    reception.write(b"x" * 100_000)
    with pytest.raises(MessageTooLarge):
        reception.write(b"x")
    reception.abandon()
    reception.abandon()


@pytest.mark.parametrize("header", [b"Subject: a\0b\r\n\r\n", b"Subject: a\nb: c\r\n\r\n", b"Subject: a\rb\r\n\r\n"])
async def test_attack_002_and_006_a_header_reads_the_same_for_all(house, header):
    reception = house.receptions.begin(PEER, "x", Envelope(None, body="BINARYMIME"))
    await add(reception, "alice")
    reception.write(header + b"body\0\n")
    with pytest.raises(BadMessage):
        await reception.accept()
    assert house.staging.octets == 0
    assert await house.messages("alice") == []


@pytest.mark.parametrize(
    "octets", [b"", b"no header field", b"\r\n", b"\r\n\r\nbody\0\n", b"Subject: only a header\r\n"]
)
async def test_odd_messages_are_taken_if_they_have_an_author(house, octets):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    await add(reception, "alice")
    reception.write(FROM + octets)
    await reception.accept()
    [stored] = await house.messages("alice")
    assert stored.endswith(FROM + octets)


@pytest.mark.parametrize(
    "octets", [b"", b"no header at all", b"\r\n", b"\r\n\r\nbody\0\n", b"Subject: only a header\r\n", FROM + FROM]
)
async def test_attack_031_messages_without_exactly_one_author_are_refused(house, octets):
    reception = house.receptions.begin(PEER, "x", Envelope(None))
    await add(reception, "alice")
    reception.write(octets)
    with pytest.raises(PolicyRefused, match="From"):
        await reception.accept()
    assert house.staging.octets == 0
    assert await house.messages("alice") == []


def resident_octets(name):
    """VmRSS: what the process has in memory now; VmHWM: the most it had since the mark was reset."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks the kernel of Linux")
@pytest.mark.parametrize("names", [("alice",), ("alice", "bob")], ids=["one", "two"])
async def test_a_message_of_50_mb_raises_memory_by_little_more_than_its_size(tmp_path, names):
    size = 50_000_000
    async with open_smtp_house(tmp_path, message_octets_max=2 * size, staged_octets_max=2 * size) as house:
        piece = base64.encodebytes(random.Random(1).randbytes(48_000)).replace(b"\n", b"\r\n")
        Path("/proc/self/clear_refs").write_text("5")
        before = resident_octets("VmRSS")
        reception = house.receptions.begin(PEER, "x", Envelope(None))
        for name in names:
            await add(reception, name)
        reception.write(FROM + b"Subject: large\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(size // len(piece)):
            reception.write(piece)
        await reception.accept()
        assert resident_octets("VmHWM") - before < 2 * size
        usage = await house.storage.accounts.of((await house.account(names[-1])).account_id).usage()
        assert usage.size_octets > size - len(piece)
