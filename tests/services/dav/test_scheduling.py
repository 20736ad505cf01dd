"""Meetings over CalDAV: between people here, by the outbox, and what programs are told."""

from email import message_from_bytes
from email.policy import default

import pytest

from mailstead.model.address import Address
from mailstead.model.queue import QueueQuery
from mailstead.pim.rule import Budget
from mailstead.wiring.house import ADMINISTRATOR
from services.dav.asking import asking

D, C = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"
ALICE, BOB = "/dav/alice%40example.test/", "/dav/bob%40example.test/"


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path) as found:
        yield found


def meeting(*people, more=""):
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260310T100500Z\r\n"
        "DTEND:20260310T105000Z\r\nSUMMARY:Secret plan\r\nORGANIZER:mailto:alice@example.test\r\n"
        + "".join(f"ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:{who}@example.test\r\n" for who in people) + more + "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )  # fmt: skip


def question(*people, organizer="alice@example.test"):
    return (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\nUID:q\r\nDTSTAMP:20260101T000000Z\r\n"
        f"DTSTART:20260310T000000Z\r\nDTEND:20260311T000000Z\r\nORGANIZER:mailto:{organizer}\r\n"
        + "".join(f"ATTENDEE:mailto:{who}\r\n" for who in people) + "END:VFREEBUSY\r\nEND:VCALENDAR\r\n"
    )  # fmt: skip


async def names(dav, path, by):
    answer = await dav.ask("PROPFIND", path, by=by, depth="1")
    return [each.text for each in answer.xml().findall(f"{D}response/{D}href")][1:]


async def test_an_invitation_comes_answered_by_the_other_and_shows(dav):
    made = await dav.ask("PUT", f"{ALICE}default/m.ics", meeting("alice", "bob"))
    assert made.status == 201
    assert "etag" not in made.headers  # the server has noted what became of the invitation: RFC 4791 §5.3.4
    tag = made.headers["schedule-tag"]
    (path,) = await names(dav, f"{BOB}default/", "bob@example.test")
    assert len(await names(dav, f"{BOB}inbox/", "bob@example.test")) == 1
    read = await dav.ask("GET", path, by="bob@example.test")
    text = read.body.decode()
    assert "Secret plan" in text
    answer = await dav.ask(
        "PUT",
        path,
        text.replace("PARTSTAT=NEEDS-ACTION:mailto:bob", "PARTSTAT=ACCEPTED:mailto:bob"),
        by="bob@example.test",
        if_schedule_tag_match=read.headers["schedule-tag"],
    )
    assert answer.status == 204, answer
    shown = await dav.ask("GET", f"{ALICE}default/m.ics")
    assert "PARTSTAT=ACCEPTED" in shown.body.decode()
    assert shown.headers["schedule-tag"] == tag  # an answer does not change it: RFC 6638 §3.2.10
    # alice, who has not seen the answer, changes the meeting all the same by its schedule tag
    changed = (
        meeting("alice", "bob")
        .replace("T100500Z", "T120000Z")
        .replace("T105000Z", "T130000Z")
        .replace("UID:m", "UID:m\r\nSEQUENCE:1")
    )
    assert (await dav.ask("PUT", f"{ALICE}default/m.ics", changed, if_schedule_tag_match=tag)).status == 204
    assert (await dav.ask("PUT", f"{ALICE}default/m.ics", changed, if_schedule_tag_match='"old"')).status == 412
    assert "T120000Z" in (await dav.ask("GET", path, by="bob@example.test")).body.decode()
    assert (
        await dav.ask("DELETE", (await names(dav, f"{BOB}inbox/", "bob@example.test"))[0], by="bob@example.test")
    ).status == 204
    assert (
        await dav.ask("DELETE", f"{BOB}default/" + path.rpartition("/")[2], by="bob@example.test", schedule_reply="F")
    ).status == 204
    assert "PARTSTAT=DECLINED" not in (await dav.ask("GET", f"{ALICE}default/m.ics")).body.decode()


async def test_attack_084_others_learn_when_and_nothing_else(dav):
    await dav.ask(
        "PUT",
        f"{BOB}default/b.ics",
        meeting().replace("ORGANIZER:mailto:alice@example.test\r\n", ""),
        by="bob@example.test",
    )
    answer = await dav.ask(
        "POST",
        f"{ALICE}outbox/",
        question("bob@example.test", "nobody@example.test", "far@elsewhere.test"),
        content_type="text/calendar",
    )
    assert answer.status == 200, answer
    found = {each.findtext(f"{C}recipient/{D}href"): each for each in answer.xml()}
    assert found["mailto:bob@example.test"].findtext(f"{C}request-status") == "2.0;Success"
    data = found["mailto:bob@example.test"].findtext(f"{C}calendar-data")
    assert "FREEBUSY:20260310T100000Z/20260310T110000Z" in data.replace("\r\n ", "")  # in quarters of an hour
    assert "Secret" not in data
    for who in ("nobody@example.test", "far@elsewhere.test"):
        assert found[f"mailto:{who}"].findtext(f"{C}request-status").startswith("3.7")


async def test_attack_084_strangers_and_borrowed_names_learn_nothing(dav):
    assert (await dav.ask("POST", f"{ALICE}outbox/", question("bob@example.test"), by="")).status == 401
    assert (await dav.ask("POST", f"{BOB}outbox/", question("bob@example.test"))).status in {403, 404}
    assert (
        await dav.ask("POST", f"{ALICE}outbox/", question("bob@example.test", organizer="bob@example.test"))
    ).status == 403
    assert (await dav.ask("POST", f"{ALICE}outbox/", meeting("bob"))).status == 403


async def test_availability_and_calendars_that_do_not_count(dav):
    available = "BEGIN:VCALENDAR&#13;\nVERSION:2.0&#13;\nBEGIN:VAVAILABILITY&#13;\nUID:a&#13;\nDTSTART:20260101T000000Z&#13;\nBEGIN:AVAILABLE&#13;\nUID:b&#13;\nDTSTART:20260101T080000Z&#13;\nDTEND:20260101T180000Z&#13;\nRRULE:FREQ=DAILY&#13;\nEND:AVAILABLE&#13;\nEND:VAVAILABILITY&#13;\nEND:VCALENDAR&#13;\n"
    patch = '<D:propertyupdate xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>{}</D:prop></D:set></D:propertyupdate>'
    answer = await dav.ask(
        "PROPPATCH",
        f"{BOB}inbox/",
        patch.format(f"<C:calendar-availability>{available}</C:calendar-availability>"),
        by="bob@example.test",
    )
    assert b"200 OK" in answer.body
    await dav.ask(
        "PUT",
        f"{BOB}default/b.ics",
        meeting().replace("ORGANIZER:mailto:alice@example.test\r\n", ""),
        by="bob@example.test",
    )
    answer = await dav.ask(
        "PROPPATCH",
        f"{BOB}default/",
        patch.format("<C:schedule-calendar-transp><C:transparent/></C:schedule-calendar-transp>"),
        by="bob@example.test",
    )
    assert b"200 OK" in answer.body
    answer = await dav.ask("POST", f"{ALICE}outbox/", question("bob@example.test"), content_type="text/calendar")
    data = answer.xml().findtext(f"{C}response/{C}calendar-data").replace("\r\n ", "").replace("\n ", "")
    assert "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260310T000000Z/20260310T080000Z" in data
    assert "T100000Z" not in data
    found = await dav.prop(f"{BOB}default/", f"{C}schedule-calendar-transp", by="bob@example.test")
    assert found[f"{C}schedule-calendar-transp"].find(f"{C}transparent") is not None
    found = await dav.prop(
        f"{BOB}inbox/", f"{C}schedule-default-calendar-URL", f"{C}calendar-availability", by="bob@example.test"
    )
    assert found[f"{C}schedule-default-calendar-URL"].findtext(f"{D}href") == f"{BOB}default/"
    assert "AVAILABLE" in found[f"{C}calendar-availability"].text


async def test_what_others_are_asked_by_mail_waits_in_the_queue(dav):
    octets = meeting("alice").replace("ATTENDEE", "ATTENDEE;CN=Far:mailto:far@elsewhere.test\r\nATTENDEE", 1)
    assert (await dav.ask("PUT", f"{ALICE}default/m.ics", octets)).status == 201
    (item,) = await dav.house.storage.queue.items(QueueQuery())
    mail = message_from_bytes(await dav.house.storage.queue.octets(item.item_id), policy=default)
    assert (mail["from"], mail["to"], mail["subject"]) == (
        "alice@example.test",
        "far@elsewhere.test",
        "Invitation: Secret plan",
    )
    assert "DKIM-Signature" in mail or mail["message-id"]
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == ["multipart/mixed", "multipart/alternative", "text/plain", "text/calendar", "application/ics"]
    (calendar,) = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert calendar.get_param("method") == "REQUEST"
    assert "METHOD:REQUEST" in calendar.get_content()
    text = mail.get_body(("plain",)).get_content()
    assert "When: Tuesday, 10 March 2026, 10:05 to 10:50 (UTC)" in text
    assert "Organizer: alice@example.test" in text


async def test_a_program_chooses_where_invitations_go(dav):
    patch = '<D:propertyupdate xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop><C:schedule-default-calendar-URL>{}</C:schedule-default-calendar-URL></D:prop></D:set></D:propertyupdate>'
    assert (await dav.ask("MKCALENDAR", f"{BOB}work/", by="bob@example.test")).status == 201
    for href in ("", "<D:href>/principals/bob@example.test/</D:href>", "<D:href>http://[/</D:href>"):
        answer = await dav.ask("PROPPATCH", f"{BOB}inbox/", patch.format(href), by="bob@example.test")
        assert b"valid-schedule-default-calendar-URL" in answer.body
    answer = await dav.ask(
        "PROPPATCH", f"{BOB}inbox/", patch.format(f"<D:href>{BOB}work/</D:href>"), by="bob@example.test"
    )
    assert b"200 OK" in answer.body
    found = await dav.prop(f"{BOB}inbox/", f"{C}schedule-default-calendar-URL", by="bob@example.test")
    assert found[f"{C}schedule-default-calendar-URL"].findtext(f"{D}href") == f"{BOB}work/"
    await dav.ask("PUT", f"{ALICE}default/m.ics", meeting("alice", "bob"))
    assert len(await names(dav, f"{BOB}work/", "bob@example.test")) == 1


async def test_an_old_program_posts_its_invitation(dav):
    octets = meeting("alice", "bob").replace("PRODID", "METHOD:REQUEST\r\nPRODID")
    answer = await dav.ask("POST", f"{ALICE}outbox/", octets, content_type="text/calendar")
    (told,) = answer.xml()
    assert told.findtext(f"{C}recipient/{D}href") == "mailto:bob@example.test"
    assert told.findtext(f"{C}request-status") == "1.2;Delivered"
    assert len(await names(dav, f"{BOB}default/", "bob@example.test")) == 1
    answer = await dav.ask("POST", f"{BOB}outbox/", octets, by="bob@example.test", content_type="text/calendar")
    assert (answer.status, b"organizer-allowed" in answer.body) == (403, True)


async def test_attack_083_a_meeting_keeps_its_organizer(dav):
    await dav.ask("PUT", f"{ALICE}default/m.ics", meeting("alice"))
    taken = meeting("alice", "bob").replace("ORGANIZER:mailto:alice", "ORGANIZER:mailto:carol")
    answer = await dav.ask("PUT", f"{ALICE}default/m.ics", taken)
    assert (answer.status, b"allowed-organizer-scheduling-object-change" in answer.body) == (403, True)
    assert await names(dav, f"{BOB}default/", "bob@example.test") == []


async def test_attack_084_nobody_asks_about_years(dav):
    long = question("bob@example.test").replace("20260311T000000Z", "20280311T000000Z")
    answer = await dav.ask("POST", f"{ALICE}outbox/", long, content_type="text/calendar")
    assert answer.status == 403


async def test_attack_080_one_question_has_one_measure_of_work(dav, monkeypatch):
    """Who asks about many people with rules without end does not get that much work for each of them."""
    steps = 0
    step = Budget.step

    def counted(budget, count=1):
        nonlocal steps
        if type(budget) is Budget:
            steps += count
        step(budget, count)

    bomb = meeting().replace("ORGANIZER:mailto:alice@example.test\r\n", "RRULE:FREQ=SECONDLY;INTERVAL=7\r\n")
    aliases = [f"bob{number}@example.test" for number in range(30)]
    for each in aliases:
        await dav.house.aliases.create(ADMINISTRATOR, Address.parse(each), (Address.parse("bob@example.test"),))
    assert (await dav.ask("PUT", f"{BOB}default/b.ics", bomb, by="bob@example.test")).status == 201
    monkeypatch.setattr("mailstead.usecases.free_busy.STEPS_MAX", 20_000)
    monkeypatch.setattr("mailstead.usecases.free_busy.PERSON_STEPS_MAX", 5_000)
    monkeypatch.setattr(Budget, "step", counted)
    asked = question("alice@example.test", *aliases)
    answer = await dav.ask("POST", f"{ALICE}outbox/", asked, content_type="text/calendar")
    assert answer.status == 200, answer
    status = {each.findtext(f"{C}recipient/{D}href"): each.findtext(f"{C}request-status") for each in answer.xml()}
    assert status.pop("mailto:alice@example.test") == "2.0;Success"
    assert {each[:3] for each in status.values()} == {"5.1"}
    assert steps < 22_000
