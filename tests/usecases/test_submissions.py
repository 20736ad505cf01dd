"""Submissions: the author's rights and duties."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import open_smtp_house

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import BadMessage, NoSuchAddress, NotAllowed

ALICE = Address("alice", "example.test")
PEER = Peer("192.0.2.77", 50000, 2465, "TLSv1.3", "TLS_AES_128_GCM_SHA256")


@pytest.fixture
async def house(tmp_path):
    async with open_smtp_house(tmp_path) as opened:
        yield opened


async def submit(house, octets, mail_from=ALICE, to="bob@example.test"):
    account = await house.account("alice")
    actor = Actor(account.account_id, ALICE)
    submission = await house.submissions.begin(actor, PEER, "secret-laptop", Envelope(mail_from))
    try:
        more = submission.add_recipient(Recipient(Address.parse(to)))
        if more is not None:
            await more
        submission.write(octets)
        await submission.accept()
    finally:
        submission.abandon()


async def stored(house, octets):
    await submit(house, octets)
    [message] = await house.messages("bob")
    return message


async def test_what_is_missing_is_added_and_where_the_author_sits_is_not_told(house):
    message = await stored(house, b"From: alice@example.test\r\n\r\nbody")
    assert re.search(
        rb"\r\nReceived: from submission\.invalid\r\n\tby mx\.example\.test with ESMTPSA \([^)]+\) id [0-9a-f]+\r\n"
        rb"\tfor <bob@example\.test>; [^\r\n]+\r\n"
        rb"(?:DKIM-Signature: v=1;[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*){2}"
        rb"Date: [^\r\n]+ \+0000\r\nMessage-ID: <[0-9a-f]{24}@example\.test>\r\nFrom: alice@example\.test\r\n\r\nbody$",
        message,
    )
    assert b"192.0.2.77" not in message
    assert b"secret-laptop" not in message


async def test_what_is_there_is_kept(house):
    octets = (
        b"DATE: Thu, 1 Jan 1970 00:00:00 +0000\r\nmessage-id: <a@b>\r\nFrom: Alice <sales@example.test>\r\n\r\nbody"
    )
    assert (await stored(house, octets)).endswith(b"\r\n" + octets)


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (b"Bcc: x@y.test\r\nSubject: s\r\n\r\n", b"Subject: s\r\n\r\n"),
        (b"Subject: s\r\nbCC : x@y.test,\r\n z@y.test\r\n\r\n", b"Subject: s\r\n\r\n"),
        (
            b"Bcc:\r\nSubject: s\r\nResent-Bcc: a@b.test\r\n\tc@d.test\r\nTo: t@u.test\r\n\r\n",
            b"Subject: s\r\nTo: t@u.test\r\n\r\n",
        ),
        (b"Bcc: x@y.test", b""),
        (b"Bcc: x@y.test\r\n\r\nBcc: in the body\r\n", b"\r\nBcc: in the body\r\n"),
        (b"Bcc: x@y.test\r\n" * 900 + b"\r\n", b"\r\n"),
    ],
)
async def test_blind_copies_stay_blind(house, header, left):
    start = b"From: alice@example.test\r\nDate: x\r\nMessage-ID: <a@b>\r\n"
    message = await stored(house, start + header)
    assert message.endswith(b"\r\n" + start + left)


@pytest.mark.parametrize("sender", ["bob@example.test", "x@elsewhere.test", "team@example.test"])
async def test_attack_015_the_envelope_sender(house, sender):
    with pytest.raises(NotAllowed):
        await submit(house, b"From: alice@example.test\r\n\r\n", mail_from=Address.parse(sender))


@pytest.mark.parametrize(
    "sender",
    [
        None,
        ALICE,
        Address("ALICE", "example.test"),
        Address("alice+tag", "example.test"),
        Address("sales", "example.test"),
    ],
)
async def test_own_senders(house, sender):
    await submit(house, b"From: Alice <Alice@Example.test>, sales@example.test\r\n\r\n", mail_from=sender)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (b"From: alice@example.test\r\nFrom: alice@example.test\r\n", BadMessage),
        (b"Subject: x\r\n", BadMessage),
        (b"", BadMessage),
        (b"From: alice\r\n", NotAllowed),
        (b"From: \xff@example.test\r\n", NotAllowed),
        (b"From: bob@example.test\r\n", NotAllowed),
    ],
)
async def test_attack_015_the_header(house, header, error):
    with pytest.raises(error):
        await submit(house, header + b"\r\nFrom: alice@example.test\r\n")
    assert house.staging.octets == 0
    assert await house.messages("bob") == []


@pytest.mark.parametrize("to", ["x@elsewhere.test", "away@example.test"])
async def test_mail_to_others_waits_in_the_queue(house, to):
    await submit(house, b"From: alice@example.test\r\n\r\nbody", to=to)
    [item] = await house.queued("x@elsewhere.test")
    [recipient] = item.recipients
    assert (recipient.destination.kind, recipient.destination.name) == ("domain", "elsewhere.test")
    octets = await house.storage.queue.octets(item.item_id)
    assert octets.endswith(b"From: alice@example.test\r\n\r\nbody")
    assert b"192.0.2.77" not in octets
    assert b"secret-laptop" not in octets
    with pytest.raises(NoSuchAddress):
        await submit(house, b"", to="nobody@example.test")


async def test_a_received_message_may_be_sent_on(house):
    await submit(house, b"Delivered-To: bob@example.test\r\nFrom: alice@example.test\r\n\r\nbody")
    assert len(await house.messages("bob")) == 1
