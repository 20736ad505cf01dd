"""Mail sent over the API: what is sent, what becomes of it, who may see it; on the real store and queue."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import open_smtp_house

from mailstead.model.address import Address
from mailstead.model.emails import EmailStatus
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    BadMessage,
    NoSuchEmail,
    NotAllowed,
    OverQuota,
    PolicyRefused,
    RateLimited,
)
from mailstead.model.people import Group, Listing
from mailstead.model.queue import Outcome, RecipientState, RemoteReply
from mailstead.usecases.emails import ACCEPTING, KEPT, DsnWishes, Emails, OutgoingEmail

PEER = Peer("192.0.2.7", 50000, 443, "TLSv1.3")
TO_FAR = "To: x@far.test\r\n"


@pytest.fixture
async def house(tmp_path, clock):
    async with open_smtp_house(tmp_path, clock=clock, quotas={"bob": 3000}) as opened:
        yield opened


@pytest.fixture
def emails(house):
    return Emails(house.storage, house.submissions, recipients_max=3)


@pytest.fixture
async def alice(house):
    return Actor((await house.account("alice")).account_id, Address("alice", "example.test"))


@pytest.fixture
def user():
    return Actor(None, Address("owner", "home.test"), user_id="b" * 24, groups={"example.test": Group.ADMIN})


def mail(fields=TO_FAR, sender="alice@example.test", body="Hello\r\n"):
    return OutgoingEmail(f"From: {sender}\r\n{fields}Subject: Größe\r\n\r\n{body}".encode())


async def settle(house, reply, state):
    """Let the far server answer the same to all who are due."""
    now = house.house.clock.now()
    for delivery in await house.storage.queue.lease(now, now + timedelta(minutes=3), 10, 10):
        again = now + timedelta(minutes=5) if state is RecipientState.WAITING else None
        await house.storage.queue.settle(
            delivery, [Outcome(each.recipient_id, state, reply, again) for each in delivery.item.recipients]
        )


OK = RemoteReply(250, "2.0.0", "Taken", "mx.far.test", "192.0.2.9", "encrypted")
NOT_NOW = RemoteReply(451, "4.2.1", "Not now", "mx.far.test", "192.0.2.9", "encrypted")
NEVER = RemoteReply(550, "5.1.1", "Nobody", "mx.far.test", "192.0.2.9", "encrypted", is_permanent=True)


async def test_an_email_to_elsewhere_and_to_us_until_it_is_sent(house, emails, alice):
    view = await emails.send(alice, PEER, mail("To: x@far.test\r\nBcc: bob@example.test\r\n"))
    email = view.email
    assert (email.status, email.recipients, email.subject) == ("queued", ("x@far.test", "bob@example.test"), "Größe")
    assert [(each.state, each.is_local) for each in email.outcomes] == [("waiting", False), ("delivered", True)]
    assert b"bob" not in email.header.lower()
    [there] = await house.messages("bob")
    assert b"Bcc" not in there
    assert f"Message-ID: <{email.message_id}>".encode() in there
    assert (await emails.octets(view)).endswith(b"Hello\r\n")
    await settle(house, OK, RecipientState.DELIVERED)
    after = await emails.show(alice, f"<{email.message_id}>")
    assert (after.email.status, after.email.outcomes[0].reply, after.email.is_settled) == ("sent", OK, True)
    assert await emails.octets(after) is None
    assert (await emails.find(alice, Listing())).items == (replace(after, email=replace(after.email, header=b"")),)


@pytest.mark.parametrize(
    ("reply", "state", "status"),
    [
        (NOT_NOW, RecipientState.WAITING, EmailStatus.DEFERRED),
        (NEVER, RecipientState.FAILED, EmailStatus.BOUNCED),
        (RemoteReply(0, "5.4.4", "No MX", is_permanent=True), RecipientState.FAILED, EmailStatus.REJECTED),
    ],
)
async def test_what_servers_say_is_the_status(house, emails, alice, reply, state, status):
    view = await emails.send(alice, PEER, mail())
    await settle(house, reply, state)
    assert (await emails.show(alice, view.email.email_id)).email.status is status


async def test_an_email_of_the_future_waits_for_its_date_and_is_cancelled(house, emails, alice, clock):
    at = clock.now() + timedelta(days=2)
    fields = f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\r\nTo: bob@example.test, x@far.test\r\n"
    view = await emails.send(alice, PEER, mail(fields))
    assert (view.email.not_before, view.email.status) == (at.replace(microsecond=0), "queued")
    assert await house.messages("bob") == []
    [waiting] = (await emails.find(alice, Listing(), is_scheduled=True)).items
    assert (await emails.find(alice, Listing(), is_scheduled=False)).item_count == 0
    cancelled = await emails.cancel(alice, waiting.email.email_id)
    assert (cancelled.email.status, cancelled.email.is_settled) == ("rejected", True)
    with pytest.raises(PolicyRefused, match="rejected"):
        await emails.cancel(alice, waiting.email.email_id)
    clock.passed_s += 3 * 86400
    now = clock.now()
    assert await house.storage.queue.lease(now, now + timedelta(minutes=3), 10, 10) == []


async def test_a_date_too_far_ahead(emails, alice, clock):
    at = clock.now() + timedelta(days=31)
    with pytest.raises(PolicyRefused, match="too far"):
        await emails.send(alice, PEER, mail(f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\r\n{TO_FAR}"))
    with pytest.raises(BadMessage, match="date"):
        await emails.send(alice, PEER, mail(f"Date: soon\r\n{TO_FAR}"))
    assert (await emails.find(alice, Listing())).item_count == 0


@pytest.mark.parametrize(
    ("outgoing", "error"),
    [
        (mail(""), BadMessage),
        (mail("To: a@far.test, b@far.test, c@far.test\r\nCc: d@far.test\r\n"), BadMessage),
        (mail("To: a@far..test\r\n"), BadMessage),
        (mail(sender="bob@example.test"), NotAllowed),
        (mail(sender="alice@far.test"), NotAllowed),
        (mail(f"Sender: bob@example.test\r\n{TO_FAR}"), NotAllowed),
        (mail("To: nobody@example.test\r\n"), PolicyRefused),
        (mail("To: bob@example.test\r\n", body="x" * 4000), OverQuota),
        (OutgoingEmail(b"To: x@far.test\r\n\r\n"), BadMessage),
    ],
)
async def test_attack_015_what_is_refused_leaves_no_record_and_no_mail(house, emails, alice, outgoing, error):
    with pytest.raises(error):
        await emails.send(alice, PEER, outgoing)
    assert (await emails.find(alice, Listing())).item_count == 0
    assert await house.queued() == []
    assert house.staging.octets == 0


async def test_the_same_email_is_taken_once(house, emails, alice):
    fields = f"Message-ID: <once@example.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n{TO_FAR}"
    first = await emails.send(alice, PEER, mail(fields))
    assert await emails.send(alice, PEER, mail(fields)) == first
    assert len(await house.queued()) == 1
    other = await emails.send(alice, PEER, mail(fields.replace("x@far", "y@far")))
    assert other.email.email_id != first.email.email_id


async def test_the_same_email_at_once_is_taken_once(house, emails, alice):
    fields = f"Message-ID: <once@example.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n{TO_FAR}"
    views = await asyncio.gather(*(emails.send(alice, PEER, mail(fields)) for _ in range(5)))
    assert len({view.email.email_id for view in views}) == 1
    assert len(await house.queued()) == 1


async def test_attack_092_everybody_sees_his_own_emails_only(house, emails, alice, user):
    bob = Actor((await house.account("bob")).account_id, Address("bob", "example.test"))
    stranger = Actor(None, None, user_id="c" * 24, groups={"example.test": Group.USER})
    admin = Actor(None, None, is_admin=True, user_id="d" * 24)
    view = await emails.send(alice, PEER, mail())
    for actor in (alice, user, admin):
        assert (await emails.show(actor, view.email.email_id)).email.email_id == view.email.email_id
        assert (await emails.find(actor, Listing())).item_count == 1
    for actor in (bob, stranger):
        assert (await emails.find(actor, Listing())).item_count == 0
        for verb in (emails.show, emails.cancel):
            with pytest.raises(NoSuchEmail):
                await verb(actor, view.email.email_id)
    assert (await emails.find(Actor(None, None, is_admin=True), Listing())).item_count == 1  # the command line
    assert (await emails.find(replace(bob, is_admin=True), Listing())).item_count == 0  # on behalf of Bob
    with pytest.raises(NotAllowed):
        await emails.find(Actor(None, None), Listing())
    with pytest.raises(NotAllowed):
        await emails.send(Actor(None, None, is_admin=True), PEER, mail())


async def test_attack_015_a_user_sends_for_domains_that_he_administers(house, emails, alice, user):
    view = await emails.send(user, PEER, mail(sender="Sales <sales@example.test>"))
    assert (view.email.mail_from, view.email.user_id) == ("sales@example.test", user.user_id)
    own = await emails.send(user, PEER, mail())
    assert own.email.account_id == alice.account_id
    assert (await emails.find(alice, Listing())).items[0].email.email_id == own.email.email_id
    assert (own.domain_id, own.alias_id) != (None, None)
    member = replace(user, groups={"example.test": Group.USER})
    with pytest.raises(NotAllowed):
        await emails.send(member, PEER, mail())


async def test_what_was_sent_today_is_counted(house, emails, alice, clock):
    account = await house.account("alice")
    await house.storage.directory.set_sending_limit(account.account_id, 2)
    assert await emails.sent_today(alice) == (0, 2)
    await emails.send(alice, PEER, mail("To: x@far.test, y@far.test\r\n"))
    assert await emails.sent_today(alice) == (2, 2)
    with pytest.raises(RateLimited):
        await emails.send(alice, PEER, mail("To: z@far.test\r\n"))
    clock.passed_s += 86400
    assert (await emails.sent_today(alice))[0] == 0


async def test_wishes_for_notices_and_for_tls_reach_the_queue(house, emails, alice):
    wishes = DsnWishes("id-1", "headers", ("success", "failure"), "x@far.test")
    view = await emails.send(alice, PEER, replace(mail(), require_tls=True, dsn=wishes))
    [item] = await house.queued()
    assert (item.envid, item.ret, item.require_tls) == ("id-1", "HDRS", True)
    assert item.recipients[0].recipient.notify == {"SUCCESS", "FAILURE"}
    assert item.recipients[0].recipient.orcpt == "rfc822;x@far.test"
    assert view.email.dsn == {
        "id": "id-1", "return": "headers", "notify": "success,failure", "recipient": "x@far.test",
    }  # fmt: skip


async def test_how_it_stands_is_kept_before_the_queue_forgets_it(house, emails, alice, clock):
    view = await emails.send(alice, PEER, mail())
    await settle(house, OK, RecipientState.DELIVERED)
    await emails.look_after(clock.now())
    await house.storage.queue.forget_finished(clock.now() + timedelta(days=9))
    assert (await emails.show(alice, view.email.email_id)).email.status is EmailStatus.SENT
    await emails.look_after(clock.now() + KEPT + timedelta(seconds=1))
    assert (await emails.find(alice, Listing())).item_count == 0


async def test_a_record_that_a_crash_left_behind(house, emails, alice, clock):
    view = await emails.send(alice, PEER, mail())
    left = replace(
        view.email, email_id="f" * 24, queue_id="gone", status=EmailStatus.PENDING, message_id="left@x",
        created_at=clock.now(),
    )  # fmt: skip
    await house.storage.emails.add(left)
    assert (await emails.show(alice, "left@x")).email.status is EmailStatus.PENDING
    clock.passed_s += ACCEPTING.total_seconds()
    found = (await emails.show(alice, "left@x")).email
    assert (found.status, found.is_settled) == ("rejected", True)
    assert "may not have been sent" in found.outcomes[0].reply.text


async def test_an_administrator_holds_it(house, emails, alice):
    view = await emails.send(alice, PEER, mail())
    items = await house.queued()
    await house.storage.queue.hold([item.item_id for item in items])
    assert (await emails.show(alice, view.email.email_id)).email.status is EmailStatus.PENDING
    assert (await emails.cancel(alice, view.email.email_id)).email.status is EmailStatus.REJECTED
