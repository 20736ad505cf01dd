"""Invitations by mail: what comes in is applied only where its author is known (attack row 83)."""

from types import SimpleNamespace

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.usecases.invitation_mail import InvitationsByMail, written
from services.dav.asking import asking

BOBS = "/dav/bob%40example.test/default/"


def calendar(
    method="REQUEST", host="far@elsewhere.test", who="bob@example.test", answer="NEEDS-ACTION", more="", sequence=0
):
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T00000{sequence}Z\r\nSEQUENCE:{sequence}\r\n"
        f"DTSTART:20260310T100000Z\r\nSUMMARY:Plan\r\nORGANIZER:mailto:{host}\r\nATTENDEE;PARTSTAT={answer}:mailto:{who}\r\n{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


def mail(octets, author="far@elsewhere.test", method="REQUEST"):
    return written(Address.parse(author), Address.parse("bob@example.test"), method, octets)


class Trace:
    def __init__(self):
        self.notes = []

    def note(self, *words, **_):
        self.notes.append(words)


def accepted(octets, *, domain="elsewhere.test", is_known=True, submitter=None):
    """As much of a message as is asked for."""
    dmarc = SimpleNamespace(author_domain=domain)
    authentication = None if submitter else SimpleNamespace(is_author_authenticated=is_known, dmarc=dmarc)
    return SimpleNamespace(
        octets=bytearray(octets),
        header=b"",
        submitter=submitter,
        is_submission=submitter is not None,
        authentication=authentication,
        queue_id="q",
        trace=Trace(),
    )


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path) as found:
        yield found


@pytest.fixture
async def take(dav):
    taking = InvitationsByMail(dav.house.meetings, dav.house.storage.memory, dav.house.clock)
    bob = await dav.house.storage.directory.find(Address.parse("bob@example.test"))

    async def give(octets, **more):
        message = accepted(octets, **more)
        await taking.take(bob, message)
        return message.trace.notes

    return give


async def titles(dav):
    answer = await dav.ask("GET", BOBS, by="bob@example.test")
    return [line for line in answer.body.decode().splitlines() if line.startswith(("SUMMARY", "STATUS", "DTSTART"))]


async def test_an_invitation_from_elsewhere_is_in_the_calendar(dav, take):
    assert await take(mail(calendar())) == [("invitation", "pass", "Looked at for the calendar")]
    assert "SUMMARY:Plan" in await titles(dav)
    await take(mail(calendar("CANCEL", sequence=1), method="CANCEL"))
    assert "STATUS:CANCELLED" in await titles(dav)


@pytest.mark.parametrize(
    ("octets", "more"),
    [
        (mail(calendar()), {"is_known": False}),
        (mail(calendar()), {"domain": "evil.test"}),
        (mail(calendar(), author="evil@evil.test"), {"domain": "evil.test"}),
        (mail(calendar(), author="other@elsewhere.test"), {}),
        (mail(calendar(who="alice@example.test")), {}),
        (mail(calendar()).replace(b"From: far@elsewhere.test", b"From: far@elsewhere.test, evil@evil.test"), {}),
        (mail(calendar("PUBLISH"), method="PUBLISH"), {}),
        (mail(calendar("COUNTER"), method="COUNTER"), {}),
    ],
    ids=[
        "not authenticated",
        "other domain",
        "not the organizer",
        "same domain, not the organizer",
        "not invited",
        "two authors",
        "published",
        "countered",
    ],
)
async def test_attack_083_mail_that_is_not_the_organizers_changes_nothing(dav, take, octets, more):
    await take(octets, **more)
    assert await titles(dav) == []


async def test_attack_083_no_address_in_an_invitation_is_fetched(dav, take, monkeypatch):
    async def never(*_, **__):
        raise AssertionError("something was fetched")

    monkeypatch.setattr(type(dav.house.web), "get", never)
    monkeypatch.setattr(type(dav.house.web), "send", never)
    await take(mail(calendar(more="ATTACH:http://127.0.0.1/x\r\nURL:http://127.0.0.1/y\r\n")))
    assert "SUMMARY:Plan" in await titles(dav)


async def test_attack_083_a_flood_is_cut_off(dav, take):
    notes = [await take(mail(calendar(sequence=number))) for number in range(8)]
    assert [each[0][2] for each in notes][-1] == "Too many in an hour"


async def test_a_reply_by_mail_is_the_attendees_own(dav, take):
    mine = calendar("X", host="bob@example.test", who="far@elsewhere.test").replace(b"METHOD:X\r\n", b"")
    assert (await dav.ask("PUT", f"{BOBS}m.ics", mine, by="bob@example.test")).status == 201
    answer = calendar("REPLY", host="bob@example.test", who="far@elsewhere.test", answer="ACCEPTED")
    await take(mail(answer, author="evil@elsewhere.test", method="REPLY"))
    assert b"PARTSTAT=ACCEPTED" not in (await dav.ask("GET", f"{BOBS}m.ics", by="bob@example.test")).body
    await take(mail(answer, method="REPLY"))
    assert b"PARTSTAT=ACCEPTED" in (await dav.ask("GET", f"{BOBS}m.ics", by="bob@example.test")).body


async def test_mail_between_our_own_goes_the_whole_way(dav):
    alice = await dav.house.storage.directory.find(Address.parse("alice@example.test"))
    submission = await dav.house.submissions.begin(
        Actor(alice.account_id, alice.address),
        Peer("127.0.0.1", 1, tls_version="TLSv1.3"),
        "x",
        Envelope(alice.address),
    )
    more = submission.add_recipient(Recipient(Address.parse("bob@example.test")))
    if more is not None:
        await more
    submission.write(mail(calendar(host="alice@example.test"), author="alice@example.test"))
    await submission.accept()
    assert "SUMMARY:Plan" in await titles(dav)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"text/calendar",
        b"Content-Type: text/calendar\r\n\r\nno",
        b"Content-Type: text/calendar; charset=x-nobody\r\nFrom: far@elsewhere.test\r\n\r\n\xff",
    ],
)
async def test_what_cannot_be_read_is_left_alone(dav, take, octets):
    await take(octets)
    assert await titles(dav) == []


def test_attack_085_a_title_begins_no_field_of_the_mail():
    octets = calendar(more="").replace(b"SUMMARY:Plan", b"SUMMARY:Plan\\nBcc: evil@evil.test\\n\\nText")
    head = mail(octets).partition(b"\r\n\r\n")[0]
    assert b"\r\nBcc" not in head
    assert b"Subject: Invitation: Plan Bcc: evil@evil.test Text" in head.replace(b"\r\n ", b" ")
