"""Calendars behind public links."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.pim.calendar_object import split
from mailstead.services.dav import public
from mailstead.usecases.calendar_files import CalendarFiles
from services.dav.asking import asking

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n"
    "DTSTART:20260101T100000Z\r\nSUMMARY:secret\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path, ("alice",)) as found:
        account = await found.house.storage.directory.find(Address.parse("alice@example.test"))
        found.actor, found.account = Actor(account.account_id, account.address), account
        await found.ask("PUT", "/dav/alice%40example.test/default/u.ics", EVENT.format(uid="u"))
        yield found


async def link(dav, **more):
    opened = await dav.house.collections.open(dav.actor, dav.account, CollectionKind.CALENDAR, "default")
    return await dav.house.sharings.link(dav.actor, opened, **more)


async def get(dav, token, method="GET", **headers):
    return await dav.ask(method, f"/public/calendars/{token}.ics", b"", "", **headers)


async def test_everybody_with_the_link_reads(dav):
    made = await link(dav)
    answer = await get(dav, made.token)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert [each.components[-1].value("SUMMARY") for each in split(answer.body)] == ["secret"]
    assert b"VALARM" not in answer.body
    assert (await dav.ask("GET", f"/public/calendars/{made.token}", b"", "")).status == 200
    head = await get(dav, made.token, "HEAD")
    assert (head.status, head.headers["etag"]) == (200, answer.headers["etag"])


async def test_what_has_not_changed_is_not_sent_again(dav):
    made = await link(dav)
    etag = (await get(dav, made.token)).headers["etag"]
    again = await get(dav, made.token, if_none_match=etag)
    assert (again.status, again.body) == (304, b"")
    await dav.ask("PUT", "/dav/alice%40example.test/default/v.ics", EVENT.format(uid="v"))
    assert (await get(dav, made.token, if_none_match=etag)).status == 200


async def test_attack_084_busy_times_only(dav):
    made = await link(dav, hides_details=True)
    body = (await get(dav, made.token)).body
    assert b"SUMMARY:Busy" in body
    assert b"secret" not in body


async def test_attack_079_a_file_is_made_once_for_all_who_read_it(dav, monkeypatch):
    made, files = await link(dav), []
    public_file = CalendarFiles.public_file

    async def counted(self, linked):
        files.append(await public_file(self, linked))
        return files[-1]

    monkeypatch.setattr(CalendarFiles, "public_file", counted)
    assert [(await get(dav, made.token)).body for _ in range(3)] == files * 3
    await dav.ask("PUT", "/dav/alice%40example.test/default/v.ics", EVENT.format(uid="v"))
    assert b"UID:v" in (await get(dav, made.token)).body
    assert len(files) == 2
    monkeypatch.setattr(public, "KEPT_OCTETS_MAX", 10)
    for _ in range(2):
        await get(dav, (await link(dav, hides_details=True)).token)
    assert len((await get(dav, made.token)).body) > 10
    assert len(files) == 5


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PROPFIND", "POST", "OPTIONS", "REPORT"])
async def test_a_link_only_reads(dav, method):
    made = await link(dav)
    assert (await get(dav, made.token, method)).status == 405


async def test_attack_084_wrong_links_are_all_alike_and_slowed(dav):
    made = await link(dav)
    dav.address = "127.0.0.2"
    answers = [await get(dav, guess) for guess in ("x", "a" * 32, made.token[:-1], "..", "%00")]
    assert {(each.status, each.body) for each in answers} == {(404, b"There is no such calendar (any more)\n")}
    statuses = [(await get(dav, f"guess{number}")).status for number in range(30)]
    assert statuses[-1] == 429
    assert (await get(dav, made.token)).status == 200  # a good one is answered all the same
    dav.address = "127.0.0.3"
    assert (await get(dav, "x")).status == 404


async def test_attack_084_nothing_over_clear_text(dav):
    made = await link(dav)
    dav.address = "192.0.2.1"
    assert (await get(dav, made.token)).status == 403


async def test_an_ended_link_is_gone(dav):
    made = await link(dav)
    await dav.house.sharings.unlink(dav.actor, dav.account, made.token)
    assert (await get(dav, made.token)).status == 404
