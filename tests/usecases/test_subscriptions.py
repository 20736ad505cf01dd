"""Calendars that come from elsewhere."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.dav import Access, CollectionKind
from mailstead.model.errors import NotAllowed, PolicyRefused, WebFailed
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from mailstead.usecases.resources import must_write
from mailstead.usecases.subscriptions import BACK_OFF_MAX, Subscriptions, web_address

CALENDAR = CollectionKind.CALENDAR
URL = "https://far.test/holidays.ics"


def calendar(*uids, stamp="20260101T000000Z", summary="x", extra=""):
    events = "".join(
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:{stamp}\r\nDTSTART:20260101T100000Z\r\nSUMMARY:{summary}\r\n{extra}"
        "END:VEVENT\r\n"
        for uid in uids
    )
    return (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//far//EN\r\nMETHOD:PUBLISH\r\n{events}END:VCALENDAR\r\n".encode()
    )


class Web:
    """Answers in turn; the last answer stays."""

    def __init__(self):
        self.answers = []
        self.asked = []

    async def send(self, method, url, octets, headers, *, octets_max, limit_s):
        self.asked.append((method, url, dict(headers)))
        assert octets is None
        assert octets_max <= 10 * 2**20
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, WebResponse) else WebResponse(200, {"etag": '"1"'}, answer)


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def subscriptions(storage, collections, clock, web):
    return Subscriptions(storage, collections, clock, web)


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
async def opened(subscriptions, me, alice):
    return await subscriptions.subscribe(me, alice, URL, "holidays")


async def uids(opened):
    return sorted(each.facts.uid for each in await opened.store.resources(opened.collection.collection_id))


async def modseq(opened):
    return (await opened.store.collection_by_id(opened.collection.collection_id)).modseq


async def test_events_come_change_and_go(subscriptions, web, opened, clock):
    web.answers = [calendar("a", "b"), calendar("b", "c")]
    assert await subscriptions.fetch_due() == 1
    assert await uids(opened) == ["a", "b"]
    assert await subscriptions.fetch_due() == 0
    clock.passed_s += 3600
    assert await subscriptions.fetch_due() == 1
    assert await uids(opened) == ["b", "c"]


async def test_it_is_for_reading_only(collections, opened, me, alice):
    again = await collections.open(me, alice, CALENDAR, "holidays")
    assert again.access is Access.READ
    with pytest.raises(NotAllowed):
        must_write(again)


@pytest.mark.parametrize(
    "bad",
    [
        WebFailed("gone"),
        WebResponse(404),
        WebResponse(500, {}, calendar("z")),
        b"",
        b"<html>Log in</html>",
        calendar(),
        calendar("a")[:-20],
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nDTSTART:x\r\n",
    ],
)
async def test_what_fails_or_is_empty_wipes_nothing(subscriptions, web, opened, me, alice, bad):
    web.answers = [calendar("a", "b"), bad]
    await subscriptions.refresh(opened)
    before = await modseq(opened)
    outcome = await subscriptions.refresh(opened)
    assert outcome.failure
    assert await uids(opened) == ["a", "b"]
    assert await modseq(opened) == before
    (kept,) = await subscriptions.of(me, alice)
    assert kept.failure == outcome.failure


async def test_failures_are_asked_less_and_less_often(subscriptions, web, opened, clock, me, alice):
    web.answers = [WebResponse(503)]
    waits = []
    for _ in range(8):
        await subscriptions.fetch_due()
        (kept,) = await subscriptions.of(me, alice)
        waits.append(kept.next_at - clock.now())
        clock.passed_s += waits[-1].total_seconds()
    hours = [round(each.total_seconds() / 3600) for each in waits]
    assert hours == [1, 2, 4, 8, 16, 24, 24, 24]
    assert max(waits) <= BACK_OFF_MAX
    web.answers = [calendar("a")]
    await subscriptions.fetch_due()
    (kept,) = await subscriptions.of(me, alice)
    assert (kept.failure, kept.next_at - clock.now()) == ("", timedelta(hours=1))


async def test_what_is_the_same_is_not_sent_again(subscriptions, web, opened):
    web.answers = [calendar("a"), WebResponse(304)]
    await subscriptions.refresh(opened)
    outcome = await subscriptions.refresh(opened)
    assert (outcome.changed_count, outcome.removed_count, outcome.failure) == (0, 0, "")
    assert web.asked[1][2]["If-None-Match"] == '"1"'
    assert "If-None-Match" not in web.asked[0][2]


async def test_new_stamps_alone_change_nothing(subscriptions, web, opened):
    web.answers = [calendar("a"), calendar("a", stamp="20260202T000000Z"), calendar("a", summary="y")]
    await subscriptions.refresh(opened)
    before = await modseq(opened)
    assert (await subscriptions.refresh(opened)).changed_count == 0
    assert await modseq(opened) == before
    assert (await subscriptions.refresh(opened)).changed_count == 1


async def test_one_event_that_cannot_be_read_stays_as_it_was(subscriptions, web, opened):
    web.answers = [calendar("a", "b"), calendar("a", "b", "b", summary="y")]  # one UID, two events: none of ours
    await subscriptions.refresh(opened)
    outcome = await subscriptions.refresh(opened)
    assert (outcome.changed_count, outcome.removed_count, outcome.failure) == (1, 0, "")
    assert await uids(opened) == ["a", "b"]


async def test_attack_085_alarms_of_others_are_not_rung(subscriptions, web, opened):
    alarm = "BEGIN:VALARM\r\nACTION:PROCEDURE\r\nATTACH:file:///bin/sh\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"
    web.answers = [calendar("a", extra=alarm)]
    await subscriptions.refresh(opened)
    (kept,) = await opened.store.resources(opened.collection.collection_id, with_octets=True)
    assert b"VALARM" not in kept.octets
    assert b"METHOD" not in kept.octets


async def test_redirects_are_followed_but_not_out_of_tls_nor_for_ever(subscriptions, web, opened):
    web.answers = [WebResponse(301, {"location": "/new.ics"}), calendar("a")]
    assert (await subscriptions.refresh(opened)).changed_count == 1
    assert [url for _, url, _ in web.asked] == [URL, "https://far.test/new.ics"]
    web.answers = [WebResponse(302, {"location": "http://far.test/x.ics"})]
    assert "TLS" in (await subscriptions.refresh(opened)).failure
    web.answers = [WebResponse(302, {"location": "/again"})]
    web.asked.clear()
    assert (await subscriptions.refresh(opened)).failure
    assert len(web.asked) == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "192.168.1.1:8080"])
async def test_attack_037_a_subscription_does_not_reach_into_the_house(storage, collections, clock, me, alice, host):
    web = SafeWebClient(resolver=None, allows_private=False, ca_file="", hostname="us.test")
    subscriptions = Subscriptions(storage, collections, clock, web)
    opened = await subscriptions.subscribe(me, alice, f"http://{host}/a.ics", "inner")
    assert "not on the public Internet" in (await subscriptions.refresh(opened)).failure


async def test_attack_037_nor_by_a_redirect(storage, collections, clock, web, me, alice):
    real = SafeWebClient(resolver=None, allows_private=False, ca_file="", hostname="us.test")

    class First:
        async def send(self, method, url, octets, headers, **more):
            if url == URL:
                return WebResponse(302, {"location": "https://127.0.0.1/secret"})
            return await real.send(method, url, octets, headers, **more)

    subscriptions = Subscriptions(storage, collections, clock, First())
    opened = await subscriptions.subscribe(me, alice, URL, "inner")
    assert "not on the public Internet" in (await subscriptions.refresh(opened)).failure


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("webcal://far.test/a.ics", "https://far.test/a.ics"),
        ("WEBCAL://far.test/a.ics", "https://far.test/a.ics"),
        (" https://far.test/a ", "https://far.test/a"),
    ],
)
def test_webcal_is_https(url, wanted):
    assert web_address(url) == wanted


@pytest.mark.parametrize(
    "url", ["", "file:///etc/passwd", "ftp://far.test/", "https://", "https://a:b@far.test/", "https://far.test/a b"]
)
def test_attack_037_other_addresses_are_refused(url):
    with pytest.raises(PolicyRefused):
        web_address(url)


async def test_a_removed_calendar_is_fetched_no_more(subscriptions, collections, web, opened, me, alice, clock):
    await collections.delete(me, opened)
    web.answers = [calendar("a")]
    assert await subscriptions.fetch_due() == 0
    assert web.asked == []


async def test_a_calendar_removed_while_it_is_fetched_stays_removed(subscriptions, collections, web, opened, me, alice):
    async def send(*_, **__):
        await collections.delete(me, opened)
        return WebResponse(200, {}, calendar("a"))

    web.send = send
    await subscriptions.fetch_due()
    assert [each.name for each in await collections.home(me, alice, CALENDAR)] == ["default"]


async def test_the_worker_stops(subscriptions, web, opened):
    web.answers = [calendar("a")]
    stop = asyncio.Event()
    task = asyncio.create_task(subscriptions.run(stop))
    while await uids(opened) != ["a"]:
        await asyncio.sleep(0)
    stop.set()
    await task


@pytest.mark.parametrize("interval", [timedelta(minutes=1), timedelta(days=30)])
async def test_intervals_have_bounds(subscriptions, me, alice, interval):
    with pytest.raises(PolicyRefused):
        await subscriptions.subscribe(me, alice, URL, "x", interval=interval)


async def test_garbage_in_the_middle_of_a_calendar_wipes_nothing(subscriptions, web, opened):
    """Cut and spoilt at many places: what is left is either taken whole, or changes nothing."""
    whole = calendar("a", "b", "c")
    web.answers = [whole]
    await subscriptions.refresh(opened)
    for at in range(0, len(whole), 7):
        for spoilt in (whole[:at], whole[:at] + b"\x00" + whole[at:], whole[:at] + b"END:VEVENT\r\n" + whole[at:]):
            web.answers = [spoilt]
            outcome = await subscriptions.refresh(opened)
            there = await uids(opened)
            assert outcome.failure or {"a", "b", "c"} & set(there), (at, spoilt)
            if outcome.failure:
                assert (outcome.changed_count, outcome.removed_count) == (0, 0)
        web.answers = [whole]
        await subscriptions.refresh(opened)
        assert await uids(opened) == ["a", "b", "c"]
