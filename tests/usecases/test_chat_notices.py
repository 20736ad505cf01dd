"""What becomes of the mail of chat domains behind the session: notices that other relays let in, and what comes home."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
import chat_mails as mails
from smtp_house import ADMIN, PASSWORD

from mailstead.mailauth import dkim
from mailstead.mime.dsn import parse_dsn
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.policy import encryption
from usecases.flow import NOBODY, header_of, message, open_flow, rcpt

ADA, CARL = "ada@chat.test", "carl@relay.test"
TLS_PEER = Peer("192.0.2.1", 50000, 2525, "TLSv1.3", "TLS_AES_256_GCM_SHA384")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        await opened.house.domains.add(ADMIN, "chat.test", "chatmail")
        await opened.house.accounts.create(ADMIN, Address.parse(ADA), Secret(PASSWORD))
        yield opened


async def signers(flow, octets):
    for domain in ("chat.test", "relay.test"):
        for key in await flow.house.keys.signing_keys(domain):
            flow.smtp.zones.names[f"{key.selector}._domainkey.{domain}"] = {"TXT": [dkim.public_record(key)]}
    found = await dkim.verify(octets, flow.smtp.zones, flow.clock.now())
    return {each.domain for each in found if each.result == "pass"}


async def test_a_bounce_of_a_relay_comes_to_the_author(flow):
    flow.remote.say("relay.test", NOBODY)
    await flow.submit(CARL, octets=mails.encrypted(ADA, CARL), name=ADA)
    await flow.work()
    await flow.work()
    [notice] = await flow.stored(ADA)
    report = parse_dsn(notice)
    assert [(each.address, each.status) for each in report.recipients] == [(CARL, "5.1.1")]
    header = header_of(notice)
    assert header.startswith(b"Return-Path: <>\r\nDelivered-To: ada@chat.test\r\n")
    assert b"\r\nFrom: Mail delivery <mailer-daemon@chat.test>\r\n" in header
    assert b"\r\nAuto-Submitted: auto-replied\r\n" in header
    assert b"DKIM-Signature" not in header


async def test_bounces_are_signed_by_the_domain_they_come_from(flow):
    """A stranger's mail is taken and cannot be delivered: his relay lets our notice in by its rules, which are ours."""
    await flow.house.aliases.create(ADMIN, Address("away", "chat.test"), [Address("x", "elsewhere.test")])
    flow.remote.say("elsewhere.test", NOBODY)
    keys = dkim.new_keys("relay.test", flow.clock.now(), "s")
    for key in keys:
        flow.smtp.zones.names[f"{key.selector}._domainkey.relay.test"] = {"TXT": [dkim.public_record(key)]}
    octets = mails.encrypted(CARL, "away@chat.test")
    octets = dkim.sign(octets, [dkim.load_key(key) for key in keys], flow.clock.now()) + octets
    await flow.receive("away@chat.test", octets=octets, mail_from=Address.parse(CARL), peer=TLS_PEER)
    await flow.work()
    await flow.work()
    [sent] = [each for each in flow.remote.sent if each.recipients == [CARL]]
    assert sent.envelope.mail_from is None
    assert b"From: Mail delivery <mailer-daemon@chat.test>" in sent.octets
    assert await signers(flow, sent.octets) == {"chat.test"}
    judged = encryption.judge(sent.octets, encryption.Direction.INCOMING, None, [Address.parse(CARL)])
    assert (judged.is_allowed, judged.kind) == (True, "mailer-daemon")


async def test_no_notice_goes_to_a_sender_whom_the_signature_does_not_name(flow):
    await flow.house.aliases.create(ADMIN, Address("away", "chat.test"), [Address("x", "elsewhere.test")])
    flow.remote.say("elsewhere.test", NOBODY)
    octets = mails.encrypted("carl@[127.0.0.2]", "away@chat.test")
    await flow.receive("away@chat.test", octets=octets, mail_from=Address("eve", "stranger.test"), peer=TLS_PEER)
    await flow.work()
    await flow.work()
    assert {each.destination for each in flow.remote.sent} == {"elsewhere.test"}


async def test_mail_waits_for_as_many_days_as_the_domain_says(flow):
    flow.remote.say("relay.test", *[NOBODY])
    await flow.submit(CARL, octets=mails.encrypted(ADA, CARL), name=ADA)
    await flow.submit(CARL, octets=message("alice@example.test"), name="alice")
    days = [(item.expires_at - item.accepted_at).days for item in await flow.smtp.queued()]
    assert days == [2, 5]


async def test_attack_102_a_redirect_of_clear_text_ends_at_the_chat_domain(flow):
    await flow.script("alice", 'redirect "ada@chat.test";')
    await flow.receive("alice", octets=message("ann@friend.test"))
    await flow.work()
    await flow.receive("alice", octets=mails.encrypted("ann@friend.test", "alice@example.test"))
    await flow.work()
    [stored] = await flow.stored(ADA)
    assert b"multipart/encrypted" in stored


async def test_who_does_not_want_to_be_told_is_not(flow):
    await flow.submit(rcpt("gone@chat.test", "NEVER"), octets=mails.encrypted(ADA, "gone@chat.test"), name=ADA)
    await flow.work()
    assert await flow.stored(ADA) == []
