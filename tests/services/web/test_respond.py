"""The links of an invitation by mail, over real loopback: from the event to the answer."""

import asyncio
import re
from email import message_from_bytes
from email.policy import default

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service
from services.web.test_web import LIMIT_S, Web

HOST = "mail.example.test"
ALICE = Address.parse("alice@example.test")
ORGANIZER = f"mailto:{ALICE}"


def meeting(sequence=0, start="20260310T100000Z", title="Plan <b>", more=""):
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20260101T000000Z\r\nSEQUENCE:{sequence}\r\n"
        f"DTSTART:{start}\r\nDTEND;TZID=Europe/Berlin:20260310T130000\r\nSUMMARY:{title}\r\nORGANIZER:{ORGANIZER}\r\n"
        f"ATTENDEE:mailto:far@elsewhere.test\r\nATTENDEE:mailto:secret@elsewhere.test\r\n{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


class House(Web):
    """A web service made by the wiring, and the house behind it."""

    async def calendar(self):
        account = await self.house.storage.directory.find(ALICE)
        actor = Actor(account.account_id, ALICE)
        await self.house.collections.home(actor, account, CollectionKind.CALENDAR)
        return await self.house.collections.open(actor, account, CollectionKind.CALENDAR, "default")

    async def put(self, octets):
        await self.house.calendar_objects.put(await self.calendar(), "m.ics", octets)

    async def paths(self, to="far@elsewhere.test"):
        """The paths of the links in the newest mail to somebody."""
        queue, found = self.house.storage.queue, []
        for item in await queue.items(QueueQuery()):
            mail = message_from_bytes(await queue.octets(item.item_id), policy=default)
            if mail["to"] == to:
                text = mail.get_body(("plain",)).get_content()
                found.append((item.item_id, re.findall(rf"https://{HOST}(?::\d+)?(/calendar/respond/\S+)", text)))
        return max(found)[1]

    async def answer(self, who="far@elsewhere.test"):
        opened = await self.calendar()
        (found,) = await opened.store.find_uid(CollectionKind.CALENDAR, "m")
        (line,) = [each for each in found.octets.decode().replace("\r\n ", "").split("\r\n") if each.endswith(who)]
        read = re.search("PARTSTAT=([A-Z-]+)", line)
        return read[1] if read else ""

    async def post(self, path, host=HOST):
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return await self.ask(head.encode(), tls=self.tls())


@pytest.fixture
async def web(tmp_path):
    settings = Settings(
        server=Server(hostname=HOST, data_dir=tmp_path / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, ALICE, Secret("pw-never-in-a-log"))
        web = House(tmp_path / "data")
        web.house = house
        web.service = make_web_service(house, open_certificates("", "", tmp_path / "data", "localhost", 5.0))
        web.service.bind()
        web.port, web.tls_port = (endpoint.port for endpoint in web.service.bound)
        stop = asyncio.Event()
        running = asyncio.create_task(web.service.run(stop))
        await web.put(meeting())
        yield web
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)


@pytest.mark.parametrize(("at", "answer"), [(0, "ACCEPTED"), (1, "DECLINED"), (2, "TENTATIVE")])
async def test_a_guest_without_calendar_answers_once(web, at, answer):
    path = (await web.paths())[at]
    assert path.startswith(("/calendar/respond/accept/", "/calendar/respond/decline/", "/calendar/respond/tentative/"))
    shown = await web.get(HOST, path, tls=web.tls())
    assert shown.status == 200
    for said in (b"Plan &lt;b&gt;", b"2026-03-10 10:00", b"alice@example.test", b"far@elsewhere.test", b"<button>"):
        assert said in shown.body
    assert b"secret@" not in shown.body  # who else is invited
    assert await web.answer() == ""  # scanners of mail look at all links
    assert (await web.post(path)).status == 200
    assert await web.answer() == answer
    for each in await web.paths():
        assert (await web.post(each)).status == 404
    assert b"was answered before" in (await web.get(HOST, path, tls=web.tls())).body
    assert await web.answer() == answer
    assert await web.answer("secret@elsewhere.test") == ""


async def test_a_link_is_for_the_meeting_as_it_was(web):
    path = (await web.paths())[0]
    await web.put(meeting(sequence=1, start="20260310T090000Z"))
    assert (await web.post(path)).status == 404
    assert await web.answer() == ""
    assert (await web.post((await web.paths())[0])).status == 200
    assert await web.answer() == "ACCEPTED"


async def test_a_link_ends_with_the_meeting(web):
    path = (await web.paths())[0]
    await web.house.calendar_objects.delete(await web.calendar(), "m.ics")
    assert (await web.get(HOST, path, tls=web.tls())).status == 404


async def test_attack_083_links_cannot_be_made_or_changed(web):
    path = (await web.paths())[0]
    start, _, token = path.rpartition("/")
    other = token[:-2] + ("AA" if not token.endswith("AA") else "BB")
    for bad in (f"{start}/{other}", f"{start}/{token[:20]}", f"{start}/AAAA", f"{start}/{'A' * 5000}", f"{start}/%ff"):
        assert (await web.post(bad)).status in {400, 404, 414}
    assert (await web.post(path.replace("/accept/", "/cancel/"))).status == 404
    assert await web.answer() == ""
    assert b"far" not in token.encode()


async def test_attack_083_a_link_is_used_up_however_it_is_spelt(web):
    """Of the last character of base64 some bits mean nothing: others of them would be the same link once more."""
    path = (await web.paths())[0]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelt = [f"{path[:-1]}{each}" for each in alphabet if each != path[-1]] + [f"{path}="]
    for each in respelt:
        assert (await web.post(each)).status == 404
    assert await web.answer() == ""
    assert (await web.post(path)).status == 200


async def test_the_link_is_good_over_tls_and_under_the_mail_host_only(web):
    path = (await web.paths())[0]
    assert (await web.get(HOST, path)).status == 404
    assert (await web.post(path, host="autoconfig.example.test")).status == 404
    answer = await web.get(HOST, path, tls=web.tls())
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_only_invitations_have_links(web):
    await web.put(meeting(sequence=1, more="STATUS:CONFIRMED\r\n"))
    await web.house.calendar_objects.delete(await web.calendar(), "m.ics")
    assert await web.paths() == []
