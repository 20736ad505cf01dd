"""Reports on collections, over real use cases and a fresh store; the request around them is the test's."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from starlette.responses import StreamingResponse

from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSyncToken
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.proto.dav import parse, write
from mailstead.services.dav.reports import addressbooks, answers, calendars, sync
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import Collections
from mailstead.usecases.contacts import Contacts
from mailstead.usecases.domains import Domains
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.resources import ResourceTerms

ADMIN = Actor(None, None, is_admin=True)
D, C, A = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{urn:ietf:params:xml:ns:carddav}"
HOME = "/dav/alice%40example.test/"


@dataclass
class House:
    calendar_objects: CalendarObjects
    contacts: Contacts


@dataclass
class Call:
    house: House
    collection: Any
    collection_path: str = f"{HOME}default/"
    resource_name: str = ""
    wants_zones: bool | None = None

    async def opened(self, kind=None):
        return await self.collection()

    def resource_values(self, opened, resource, wanted):
        values = {
            f"{D}getetag": write.text(f"{D}getetag", f'"{resource.etag}"'),
            f"{D}getcontenttype": write.text(f"{D}getcontenttype", "text/calendar"),
        }
        found = {name: values[name] for name in wanted.props if name in values}
        return found, [name for name in wanted.props if name not in values]


@pytest.fixture
async def storage(tmp_path):
    storage = await EmbeddedStorage.open(
        Store(master_key=Secret("00" * 32)), tmp_path / "data", LocalBus(), SystemClock()
    )
    yield storage
    await storage.close()


@pytest.fixture
async def alice(storage):
    await Domains(storage).add(ADMIN, "example.test")
    clock = SystemClock()
    accounts = Accounts(
        storage,
        LocalBus(),
        clock,
        passwords=Passwords(clock, HashCost(1, 8)),
        decoy_key=b"d",
        scram_iteration_count=4096,
    )
    account = await accounts.create(ADMIN, Address.parse("alice@example.test"), Secret("pw-never-in-a-log-alice"))
    await accounts.close()
    return account


@pytest.fixture
def call_of(storage, alice):
    terms = ResourceTerms("https://mail.example.test")
    house, collections = House(CalendarObjects(terms), Contacts(terms)), Collections(storage)
    actor = Actor(alice.account_id, alice.address)

    def make(kind):
        return Call(house, lambda: collections.open(actor, alice, kind, "default"))

    return make


@pytest.fixture
def calendar(call_of):
    return call_of(CollectionKind.CALENDAR)


@pytest.fixture
def book(call_of):
    call = call_of(CollectionKind.ADDRESSBOOK)
    call.collection_path = f"{HOME}addressbooks/default/"
    return call


def event(uid, *more, summary="Meeting", start="20260110T090000Z"):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z"]
    lines += [f"DTSTART:{start}", f"SUMMARY:{summary}", *more, "END:VEVENT", "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def contact(uid, name):
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:;;;;\r\nEND:VCARD\r\n".encode()


async def put(call, name, octets, house="calendar_objects"):
    return await getattr(call.house, house).put(await call.opened(), name, octets)


def report(body):
    return parse.report(
        (
            '<?xml version="1.0"?>'
            + body.replace(
                ">",
                ' xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="urn:ietf:params:xml:ns:carddav">',
                1,
            )
        ).encode()
    )


async def told(response):
    """The answer as XML, and how many pieces it came in."""
    is_long = isinstance(response, StreamingResponse)
    pieces = [piece async for piece in response.body_iterator] if is_long else [response.body]
    assert response.status_code == 207
    return ET.fromstring(b"".join(pieces)), len(pieces)


def by_href(tree):
    return {each.findtext(f"{D}href"): each for each in tree.findall(f"{D}response")}


def status(response):
    return response.findtext(f"{D}status") or response.findtext(f"{D}propstat/{D}status")


QUERY = (
    "<C:calendar-query><D:prop><D:getetag/><C:calendar-data/></D:prop><C:filter>"
    '<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{}</C:comp-filter></C:comp-filter>'
    "</C:filter>{}</C:calendar-query>"
)
MONTH = '<C:time-range start="20260101T000000Z" end="20260201T000000Z"/>'


async def test_a_query_answers_with_what_was_put_escaped_once(calendar):
    octets = event("a", summary="R&D <now>  ]]> Café")
    await put(calendar, "a&b.ics", octets)
    await put(calendar, "later.ics", event("later", start="20270101T000000Z"))
    tree, _ = await told(await calendars.calendar_query(calendar, report(QUERY.format(MONTH, ""))))
    assert list(by_href(tree)) == [f"{HOME}default/a%26b.ics"]
    assert tree.findtext(f".//{C}calendar-data").encode() == octets
    assert tree.findtext(f".//{D}getetag").startswith('"')


async def test_a_query_of_one_object_is_about_that_object(calendar):
    await put(calendar, "a.ics", event("a"))
    await put(calendar, "b.ics", event("b"))
    calendar.resource_name = "b.ics"
    tree, _ = await told(await calendars.calendar_query(calendar, report(QUERY.format(MONTH, ""))))
    assert list(by_href(tree)) == [f"{HOME}default/b.ics"]


async def test_a_multiget_takes_hrefs_as_clients_write_them(calendar):
    await put(calendar, "a b.ics", event("a"))
    await put(calendar, "c@d.ics", event("c"))
    await put(calendar, "e.ics", event("e"))
    hrefs = [
        f"https://mail.example.test{HOME}default/a%20b.ics",
        "/dav/alice@example.test/default/c%40d.ics",
        f"{HOME}default/gone.ics",
        f"{HOME}other/e.ics",
        f"{HOME}default/",
        "/dav/bob%40example.test/default/e.ics",
        f"{HOME}default/..%2fe.ics",
    ]
    body = "".join(f"<D:href>{href}</D:href>" for href in hrefs)
    request = report(
        f"<C:calendar-multiget><D:prop><D:getetag/><C:calendar-data/></D:prop>{body}</C:calendar-multiget>"
    )
    tree, _ = await told(await calendars.calendar_multiget(calendar, request))
    answers_by_href = by_href(tree)
    found = {href for href, each in answers_by_href.items() if "200" in status(each)}
    assert found == {f"{HOME}default/a%20b.ics", f"{HOME}default/c%40d.ics"}
    assert {href for href, each in answers_by_href.items() if "404" in status(each)} == set(hrefs[2:])


async def test_a_sync_tells_changes_deletions_and_a_token(calendar):
    for uid in "abc":
        await put(calendar, f"{uid}.ics", event(uid))

    async def ask(token, limit=""):
        body = f"<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level>{limit}"
        request = report(f"<D:sync-collection>{body}<D:prop><D:getetag/></D:prop></D:sync-collection>")
        tree, _ = await told(await sync.sync_collection(calendar, request))
        return {href: status(each) for href, each in by_href(tree).items()}, tree.findtext(f"{D}sync-token")

    told_first, token = await ask("")
    assert len(told_first) == 3
    assert await ask(token) == ({}, token)
    await calendar.house.calendar_objects.delete(await calendar.opened(), "b.ics")
    await put(calendar, "a.ics", event("a", summary="New"))
    changes, later = await ask(token)
    assert changes == {f"{HOME}default/a.ics": "HTTP/1.1 200 OK", f"{HOME}default/b.ics": "HTTP/1.1 404 Not Found"}
    assert later != token
    few, between = await ask("", "<D:limit><D:nresults>1</D:nresults></D:limit>")
    assert few[f"{HOME}default/"].startswith("HTTP/1.1 507")
    assert len(few) == 2
    rest, last = await ask(between)
    assert rest == changes
    assert last == later
    with pytest.raises(BadSyncToken):
        await ask("https://mail.example.test/ns/sync-token/1")


async def test_attack_079_a_long_answer_goes_out_in_pieces(calendar):
    parts = (event(f"{n}", f"DESCRIPTION:{'x' * 2000}").decode().split("\r\n")[2:-2] for n in range(120))
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", *(line for part in parts for line in part), "END:VCALENDAR", ""]
    opened = await calendar.opened()
    await calendar.house.calendar_objects.import_all(opened, "\r\n".join(lines).encode())
    tree, piece_count = await told(await calendars.calendar_query(calendar, report(QUERY.format("", ""))))
    assert len(by_href(tree)) == 120
    assert piece_count >= 240_000 // answers.CHUNK_CHARACTERS


async def test_attack_079_a_multiget_of_many_hrefs_that_are_not_there(calendar):
    hrefs = "".join(f"<D:href>{HOME}default/{n}.ics</D:href>" for n in range(20_000))
    request = report(f"<C:calendar-multiget><D:prop><D:getetag/></D:prop>{hrefs}</C:calendar-multiget>")
    tree, piece_count = await told(await calendars.calendar_multiget(calendar, request))
    assert len(by_href(tree)) == 20_000
    assert piece_count > 10


async def test_attack_079_what_is_too_much_is_told_with_507(calendar):
    await put(calendar, "bomb.ics", event("bomb", "RRULE:FREQ=SECONDLY", start="20200101T000000Z"))
    expanded = QUERY.replace(
        "<C:calendar-data/>",
        '<C:calendar-data><C:expand start="20200101T000000Z" end="20400101T000000Z"/></C:calendar-data>',
    )
    tree, _ = await told(await calendars.calendar_query(calendar, report(expanded.format("", ""))))
    (response,) = by_href(tree).values()
    assert status(response).startswith("HTTP/1.1 507")
    assert response.find(f"{D}error/{D}number-of-matches-within-limits") is not None


async def test_free_busy_is_a_calendar(calendar):
    await put(calendar, "a.ics", event("a", "DURATION:PT1H"))
    request = report(f"<C:free-busy-query>{MONTH}</C:free-busy-query>")
    response = await calendars.free_busy_query(calendar, request)
    assert response.media_type.startswith("text/calendar")
    assert b"FREEBUSY:20260110T090000Z/20260110T100000Z" in response.body


async def test_address_books_are_asked_in_the_same_way(book):
    for number, name in enumerate(("Ada & Co", "Bert", "Ada Yonath")):
        await put(book, f"{number}.vcf", contact(number, name), "contacts")
    match = '<A:prop-filter name="FN"><A:text-match>ada</A:text-match></A:prop-filter>'
    query = "<A:addressbook-query><D:prop><A:address-data/></D:prop><A:filter>{}</A:filter>{}</A:addressbook-query>"
    tree, _ = await told(await addressbooks.addressbook_query(book, report(query.format(match, ""))))
    assert list(by_href(tree)) == [f"{HOME}addressbooks/default/{n}.vcf" for n in (0, 2)]
    assert tree.findtext(f".//{A}address-data").encode() == contact(0, "Ada & Co")
    limit = "<A:limit><A:nresults>1</A:nresults></A:limit>"
    tree, _ = await told(await addressbooks.addressbook_query(book, report(query.format(match, limit))))
    assert status(by_href(tree)[f"{HOME}addressbooks/default/"]).startswith("HTTP/1.1 507")
    hrefs = f"<D:href>{HOME}addressbooks/default/1.vcf</D:href><D:href>/x</D:href>"
    multiget = f"<A:addressbook-multiget><D:prop><D:getetag/></D:prop>{hrefs}</A:addressbook-multiget>"
    tree, _ = await told(await addressbooks.addressbook_multiget(book, report(multiget)))
    assert [status(each)[9:12] for each in by_href(tree).values()] == ["200", "404"]
