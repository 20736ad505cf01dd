"""What becomes of an accepted message: mailboxes, forwards, filters' wishes, submissions to others."""

import re
from dataclasses import replace

import pytest

from mailauth.zones import Zones
from mailstead.mailauth import arc, dkim
from mailstead.mailauth.dkim import public_record
from mailstead.mime.dsn import Action, parse_dsn
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.errors import PolicyRefused, StorageFull, TryAgainLater
from mailstead.model.queue import ItemKind
from mailstead.usecases.invitation_mail import written
from usecases.flow import ADMIN, ANN, EVE, NOW, PEER, header_of, message, open_flow, rcpt

OUT = Address("x", "elsewhere.test")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


async def published(flow):
    """A DNS that has the keys of example.test."""
    keys = await flow.storage.directory.dkim_keys("example.test")
    return Zones({f"{key.selector}._domainkey.example.test": {"TXT": [public_record(key)]} for key in keys})


async def test_a_forward_has_a_sender_of_ours_a_seal_and_the_name_it_came_to(flow):
    octets = message(ANN)
    await flow.receive("away", octets=octets)
    [item] = await flow.smtp.queued()
    assert (item.kind, item.domain, item.notify_to) == (ItemKind.FORWARD, "example.test", ANN)
    assert str(item.mail_from).startswith("SRS0=")
    assert str(item.mail_from).endswith("=friend.test=ann@example.test")
    [recipient] = item.recipients
    assert (recipient.recipient.address, str(recipient.via)) == (OUT, "away@example.test")
    assert recipient.recipient.orcpt == "rfc822;away@example.test"
    queued = await flow.octets(item)
    assert queued.endswith(b"X-Original-To: away@example.test\r\n" + octets)
    assert re.match(rb"ARC-Seal: i=1;", queued)
    assert b"\r\nAuthentication-Results: mx.example.test;\r\n\tspf=pass" in header_of(queued)
    result = await arc.verify(queued, await published(flow), NOW)
    assert (result.result, result.sealers) == ("pass", ("example.test",))
    assert "spf=pass" in result.newest_results
    assert await flow.stored("alice") == []


async def test_copies_that_leave_share_one_message(flow, monkeypatch):
    put, queued = flow.storage.queue.put, []
    monkeypatch.setattr(flow.storage.queue, "put", lambda items: queued.extend(items) or put(items))
    for name in ("one", "two", "three"):
        await flow.alias(name, Address(name, "elsewhere.test"))
    await flow.receive("one", "two", "three", "alice", octets=message(ANN, body="x" * 78 + "\r\n"))
    first, second, third = queued
    assert first.octets is second.octets is third.octets
    assert len({each.before for each in queued}) == 3


async def test_the_null_sender_and_ours_stay_as_they_are(flow):
    await flow.receive("away", mail_from=None)
    await flow.submit("away")
    first, second = await flow.smtp.queued()
    assert (first.mail_from, first.notify_to) == (None, None)
    assert (str(second.mail_from), str(second.notify_to)) == ("alice@example.test", "alice@example.test")


async def test_a_sender_who_gives_a_name_of_ours_is_rewritten_as_he_is_none(flow):
    await flow.receive("away", octets=message(EVE), mail_from=Address("alice", "example.test"))
    [item] = await flow.smtp.queued()
    assert str(item.mail_from).startswith("SRS0=")
    assert item.notify_to is None


async def test_an_account_may_send_on_and_keep_a_copy(flow):
    await flow.house.accounts.set_forwarding(ADMIN, Address("bob", "example.test"), [OUT], keeps_copy=True)
    await flow.receive("team")
    assert len(await flow.stored("alice")) == len(await flow.stored("bob")) == 1
    [item] = await flow.smtp.queued()
    assert str(item.recipients[0].via) == "bob@example.test"


async def test_each_domain_rewrites_and_seals_for_itself(flow):
    await flow.house.domains.add(ADMIN, "second.test")
    await flow.house.aliases.create(ADMIN, Address("info", "second.test"), [Address("y", "elsewhere.test")])
    await flow.receive("away", "info@second.test")
    items = await flow.smtp.queued()
    assert {(item.domain, item.mail_from.domain, len(item.recipients)) for item in items} == {
        ("example.test", "example.test", 1), ("second.test", "second.test", 1),
    }  # fmt: skip
    for item in items:
        assert b"; d=%s;" % item.domain.encode() in (await flow.octets(item)).partition(b"ARC-Message")[0]


async def test_a_submission_goes_out_signed_by_both_keys_to_all_its_recipients(flow):
    octets = message("alice@example.test", header="Bcc: hidden@elsewhere.test\r\nUser-Agent: me\r\n")
    await flow.submit("x@elsewhere.test", "y@third.test", "bob", octets=octets, ret="FULL", envid="e1")
    [item] = await flow.smtp.queued()
    assert (item.kind, item.ret, item.envid) == (ItemKind.SUBMISSION, "FULL", "e1")
    assert [(str(each.recipient.address), each.destination.name) for each in item.recipients] == [
        ("x@elsewhere.test", "elsewhere.test"),
        ("y@third.test", "third.test"),
    ]
    queued = await flow.octets(item)
    results = await dkim.verify(queued, await published(flow), NOW)
    assert sorted((each.result, each.algorithm) for each in results) == [
        ("pass", "ed25519-sha256"),
        ("pass", "rsa-sha256"),
    ]
    assert b"hidden" not in queued
    assert b"User-Agent" not in queued
    assert b"for <" not in header_of(queued)  # a copy for several names none of them
    [kept] = await flow.stored("bob")
    assert [each.result for each in await dkim.verify(kept, await published(flow), NOW)] == ["pass", "pass"]


async def test_if_the_queue_fails_nobody_gets_two_copies(flow, monkeypatch):
    """The signature of a submission is another one at each try; it is the same message all the same."""
    put = flow.storage.queue.put

    async def full(items):
        raise StorageFull

    for send in (flow.receive, flow.submit):
        monkeypatch.setattr(flow.storage.queue, "put", full)
        for _ in range(2):
            with pytest.raises(TryAgainLater):
                await send("bob", "away")
        monkeypatch.setattr(flow.storage.queue, "put", put)
        flow.clock.advance(minutes=5)
        await send("bob", "away")
    assert len(await flow.stored("bob")) == 2
    assert len(await flow.smtp.queued()) == 2


# filters


REJECT = 'require "reject"; reject "Not for me.";'


async def test_a_rejection_of_all_is_said_in_the_session(flow):
    await flow.script("bob", REJECT)
    with pytest.raises(PolicyRefused, match="Not for me"):
        await flow.receive("bob")
    assert await flow.stored("bob") == []
    assert await flow.smtp.queued() == []


@pytest.mark.parametrize(
    ("mail_from", "notify", "is_told"),
    [
        (ANN, (), True),
        (ANN, ("FAILURE",), True),
        (ANN, ("NEVER",), False),
        (ANN, ("SUCCESS",), False),
        (EVE, (), False),
    ],
    ids=str,
)
async def test_attack_017_a_rejection_of_one_of_several_is_told_to_senders_who_are_vouched_for(
    flow, mail_from, notify, is_told
):
    await flow.script("bob", REJECT)
    await flow.receive("alice", rcpt("bob", *notify), mail_from=mail_from)
    assert len(await flow.stored("alice")) == 1
    assert await flow.stored("bob") == []
    reports = await flow.notices(mail_from)
    assert [(each.address, each.action, each.status) for report in reports for each in report.recipients] == (
        [("bob@example.test", Action.FAILED, "5.7.1")] if is_told else []
    )
    assert not reports or "Not for me." in reports[0].recipients[0].diagnostic


async def test_attack_017_no_sender_without_authentication_gets_a_notice_of_a_forward(flow):
    await flow.receive("away", mail_from=EVE)
    [item] = await flow.smtp.queued()
    assert item.notify_to is None


@pytest.mark.parametrize(
    ("mail_from", "is_answered"),
    [
        (Address("x", "signed.test"), True),
        (Address("x", "sub.signed.test"), True),
        (Address("x", "notsigned.test"), False),
        (Address("x", "everybody.test"), False),
    ],
    ids=str,
)
async def test_attack_017_a_signature_vouches_for_senders_in_its_domain_only(tmp_path, mail_from, is_answered):
    key = dkim.new_keys("signed.test", NOW, "s")[1]
    zones = {
        f"{key.selector}._domainkey.signed.test": {"TXT": [public_record(key)]},
        "everybody.test": {"TXT": ["v=spf1 +all"]},
    }
    octets = message("x@signed.test")
    octets = dkim.sign(octets, [dkim.load_key(key)], NOW) + octets
    async with open_flow(tmp_path, zones=zones) as flow:
        await flow.receive("away", octets=octets, mail_from=mail_from)
        [item] = await flow.smtp.queued()
        assert (item.notify_to is not None) is is_answered


async def test_a_redirect_leaves_like_a_forward_and_names_nobody(flow):
    await flow.script("bob", 'require "copy"; redirect :copy "hidden@elsewhere.test";')
    await flow.receive("bob")
    assert len(await flow.stored("bob")) == 1
    [item] = await flow.smtp.queued()
    [recipient] = item.recipients
    assert str(item.mail_from).startswith("SRS0=")
    assert str(recipient.recipient.address) == "hidden@elsewhere.test"
    assert (str(recipient.via), recipient.recipient.orcpt) == ("bob@example.test", "rfc822;bob@example.test")
    account = await flow.smtp.account("bob")
    assert item.account_id == account.account_id


async def test_a_redirect_keeps_what_the_sender_wants_to_be_told(flow):
    await flow.script("bob", 'redirect "hidden@elsewhere.test";')
    await flow.receive(rcpt("bob", "NEVER"))
    [item] = await flow.smtp.queued()
    assert item.recipients[0].recipient.notify == {"NEVER"}


async def test_a_script_files_where_it_says_and_into_inbox_where_that_is_not_there(flow):
    await flow.script("bob", 'require ["fileinto", "mailbox"]; fileinto :create "Lists/New"; fileinto "Gone";')
    await flow.receive("bob")
    assert len(await flow.stored("bob", "Lists/New")) == 1
    assert len(await flow.stored("bob")) == 1


async def test_an_answer_of_vacation_is_signed_and_answered_by_nobody(flow):
    await flow.script("alice", 'require "vacation"; vacation "I am away.";')
    octets = message(ANN).replace(b"To: you@", b"To: alice@")
    await flow.receive("alice", octets=octets)
    [item] = [each for each in await flow.smtp.queued() if each.kind is ItemKind.REPLY]
    assert (item.mail_from, str(item.recipients[0].recipient.address)) == (None, str(ANN))
    assert item.recipients[0].recipient.notify == {"NEVER"}
    queued = await flow.octets(item)
    assert b"I am away." in queued
    assert {each.result for each in await dkim.verify(queued, await published(flow), NOW)} == {"pass"}


# success, as asked for


async def test_who_asks_for_success_hears_of_mailboxes_and_of_aliases_that_lead_out(flow):
    await flow.receive(rcpt("alice", "SUCCESS"), rcpt("away", "SUCCESS", "FAILURE"), rcpt("bob"), envid="e2")
    [report] = await flow.notices()
    assert report.envid == "e2"
    assert [(each.address, each.action) for each in report.recipients] == [
        ("alice@example.test", Action.DELIVERED),
        ("away@example.test", Action.EXPANDED),
    ]
    [forward] = [each for each in flow.remote.sent if each.destination == "elsewhere.test"]
    assert forward.envelope.recipients[0].notify == {"FAILURE"}  # RFC 3461 §5.2.7.3 (c)


async def test_tls_required_no_and_requiretls_go_on(flow):
    await flow.receive("away", octets=message(ANN, header="TLS-Required: No\r\n"))
    await flow.receive("away", octets=message(ANN, header="TLS-Required: No\r\n"), require_tls=True,
                       peer=replace(PEER, tls_version="TLSv1.3", tls_cipher="x"))  # fmt: skip
    first, second = await flow.smtp.queued()
    assert (first.tls_optional, first.require_tls) == (True, False)
    assert (second.tls_optional, second.require_tls) == (False, True)


async def test_a_notice_of_success_is_read_by_machines_and_hides_the_target(flow):
    await flow.receive(rcpt("away", "SUCCESS"))
    await flow.work()
    [notice] = [each for each in flow.remote.sent if each.recipients == [str(ANN)]]
    assert parse_dsn(notice.octets) is not None
    assert b"elsewhere" not in notice.octets
    assert notice.envelope.mail_from is None


def invitation(author):
    octets = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART:20261201T100000Z\r\nORGANIZER:mailto:{author}\r\nATTENDEE:mailto:bob@example.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    return written(author, Address("bob", "example.test"), "REQUEST", octets.encode())


@pytest.mark.parametrize(
    ("author", "script", "is_taken"),
    [
        (ANN, "", True),
        (ANN, 'require ["fileinto", "mailbox"]; fileinto :create "Meetings";', True),
        (ANN, 'require ["fileinto", "mailbox"]; fileinto :create "Junk";', False),
        (ANN, 'require ["fileinto", "mailbox", "special-use"]; fileinto :specialuse "\\\\Trash" :create "Bin";', False),
        (ANN, "discard;", False),
        (EVE, "", False),
    ],
    ids=["as it comes", "filed", "filed as junk", "thrown away", "discarded", "nobody vouches for it"],
)
async def test_attack_083_only_mail_that_is_wanted_and_vouched_for_gets_into_the_calendar(
    flow, author, script, is_taken
):
    if script:
        await flow.script("bob", script)
    await flow.receive("bob", octets=invitation(author), mail_from=author)
    bob = (await flow.actor("bob")).account_id
    found = await flow.storage.accounts.of(bob).dav.find_uid(CollectionKind.CALENDAR, "m")
    assert bool(found) is is_taken
