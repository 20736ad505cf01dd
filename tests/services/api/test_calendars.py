"""Calendars and events over HTTP: the fields of the reference, spans, moves, deletions that are told."""

import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.ports.changebus import dav_topic
from services.api.asking import asking
from services.api.golden import same_as_golden
from usecases.api_home import event


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def put(api, *args, **more):
    body = {key: more.pop(key) for key in ("calendar_id", "event_id") if key in more}
    return await api.ask("POST", "/v1/calendar-events", {"ical": event(*args, **more).decode(), **body})


async def uids(api, query):
    answer = await api.ask("GET", f"/v1/calendar-events?{query}")
    assert answer.status == 200, answer.body
    return [each["uid"] for each in answer.json()]


async def test_a_calendar_is_as_the_reference_has_it(api):
    body = {
        "name": "Work",
        "calendar_id": "work",
        "description": "What is to be done",
        "color": "#112233",
        "timezone": "Europe/Berlin",
        "order": "2",
    }
    answer = await api.ask("POST", "/v1/calendars", body)
    assert answer.status == 200
    made = answer.json()
    same_as_golden("calendar", made, "id")
    assert [each["name"] for each in (await api.ask("GET", "/v1/calendars")).json()] == ["Work", "Calendar"]
    assert (await api.ask("POST", "/v1/calendars", body)).status == 409
    assert (await api.ask("POST", "/v1/calendars", {"name": "Work"})).status == 409
    changed = (await api.ask("PUT", f"/v1/calendars/{made['id']}", {"name": "Office"})).json()
    assert changed == {**made, "name": "Office"}
    assert (await api.ask("GET", "/v1/calendars/work")).json() == changed
    assert (await api.ask("DELETE", f"/v1/calendars/{made['id']}")).json() == changed
    assert (await api.ask("GET", f"/v1/calendars/{made['id']}")).status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a", "colour": "red"}, {"name": "a", "color": "red"}, {"name": "a", "order": "x"}],
)
async def test_attack_093_what_is_no_calendar(api, body):
    assert (await api.ask("POST", "/v1/calendars", body)).status == 400


async def test_an_event_is_as_the_reference_has_it(api):
    more = ("DTEND:20260110T100000Z", "DESCRIPTION:All of it", "LOCATION:Here", "STATUS:CONFIRMED")
    answer = await put(api, "one", "20260110T090000Z", *more, summary="Tea")
    assert answer.status == 200
    made = answer.json()
    same_as_golden("calendar_event", made, "id", "calendar_id", "created_at", "updated_at")
    assert (await api.ask("GET", f"/v1/calendar-events/{made['id']}")).json() == made
    calendars = (await api.ask("GET", "/v1/calendars")).json()
    assert made["calendar_id"] == calendars[0]["id"]


async def test_events_are_found_by_dates_and_calendar(api):
    work = (await api.ask("POST", "/v1/calendars", {"name": "Work"})).json()["id"]
    await put(api, "weekly", "20260105T090000Z", "RRULE:FREQ=WEEKLY", calendar_id=work)
    await put(api, "once", "20260106T090000Z")
    await put(api, "task", "", component="VTODO")
    assert await uids(api, "start_date=2026-01-19&end_date=2026-01-20T00:00:00Z") == ["task", "weekly"]
    assert await uids(api, f"calendar_id={work}") == ["weekly"]
    assert await uids(api, "limit=2") == ["task", "weekly"]
    assert await uids(api, "limit=2&page=2") == ["once"]
    for query in ("start_date=never", "end_date=2026-01-01&start_date=2026-01-02", "unknown=1", "page=0"):
        assert (await api.ask("GET", f"/v1/calendar-events?{query}")).status == 400
    assert (await api.ask("GET", "/v1/calendar-events?calendar_id=none")).status == 404


async def test_an_event_is_replaced_moved_and_deleted(api):
    work = (await api.ask("POST", "/v1/calendars", {"name": "Work"})).json()["id"]
    answer = await put(api, "one")
    made, etag = answer.json(), answer.headers["etag"]
    path = f"/v1/calendar-events/{made['id']}"
    body = {"ical": event("one", summary="New").decode(), "calendar_id": work}
    changed = await api.ask("PUT", path, body, if_match=etag)
    assert (changed.json()["summary"], changed.json()["calendar_id"], changed.json()["id"]) == ("New", work, made["id"])
    assert (await api.ask("PUT", path, body, if_match=etag)).status == 412
    assert (await api.ask("DELETE", path, if_match=etag)).status == 412
    gone = (await api.ask("DELETE", path)).json()
    assert gone["deleted_at"] is not None
    assert (await api.ask("GET", path)).status == 404
    assert await uids(api, "") == []
    (deleted,) = (await api.ask("GET", "/v1/calendar-events?include_deleted=true")).json()
    assert (deleted["id"], deleted["uid"], deleted["ical"]) == (made["id"], "one", "")
    assert deleted["deleted_at"] is not None
    assert (await api.ask("DELETE", path)).status == 404


async def test_attack_092_events_are_their_owners(api):
    made = (await put(api, "one")).json()
    for method, body in (("GET", None), ("PUT", {"ical": event("one").decode()}), ("DELETE", None)):
        answer = await api.ask(method, f"/v1/calendar-events/{made['id']}", body, by="bob@example.test")
        assert answer.status == 404
    for method in ("GET", "PUT", "DELETE"):
        body = {"name": "Mine"} if method == "PUT" else None
        path = f"/v1/calendars/{made['calendar_id']}"
        assert (await api.ask(method, path, body, by="bob@example.test")).status == 404
    assert (await api.ask("GET", "/v1/calendar-events", by="bob@example.test")).json() == []
    assert (await api.ask("GET", "/v1/calendars", by="server admin")).status == 401


async def test_who_is_invited_by_a_program_is_invited(api):
    """Exactly as by a CalDAV client: what scheduling does hangs on the store, not on who writes."""
    people = ("ORGANIZER:mailto:alice@example.test", "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@example.test")
    made = (await put(api, "meet", "20300110T090000Z", "DURATION:PT1H", *people, summary="Lunch")).json()
    assert made["organizer"] == "alice@example.test"
    (invited,) = (await api.ask("GET", "/v1/calendar-events", by="bob@example.test")).json()
    assert (invited["uid"], invited["summary"], invited["id"] != made["id"]) == ("meet", "Lunch", True)
    body = {"ical": invited["ical"].replace("NEEDS-ACTION", "ACCEPTED")}
    answer = await api.ask("PUT", f"/v1/calendar-events/{invited['id']}", body, by="bob@example.test")
    assert answer.status == 200
    again = (await api.ask("GET", f"/v1/calendar-events/{made['id']}")).json()
    assert "PARTSTAT=ACCEPTED" in again["ical"].replace("\r\n ", "")
    await api.ask("DELETE", f"/v1/calendar-events/{made['id']}")
    left = (await api.ask("GET", "/v1/calendar-events", by="bob@example.test")).json()
    assert [each["status"] for each in left] == ["CANCELLED"]


async def test_dav_clients_are_told_of_what_programs_write(api):
    """The sync token goes on, and a device that has registered by WebDAV-Push has something to learn."""
    account = await api.house.storage.directory.find(Address.parse("alice@example.test"))
    dav = api.house.storage.accounts.of(account.account_id).dav
    await api.ask("GET", "/v1/calendars")
    woken = []
    with api.house.bus.watch(dav_topic(account.account_id), lambda: woken.append(True)):
        before = (await dav.collection(CollectionKind.CALENDAR, "default")).modseq
        await put(api, "one")
        after = await dav.collection(CollectionKind.CALENDAR, "default")
        changes = await dav.changes_since(after.collection_id, before)
    assert [each.name for each in changes.changed] == ["one.ics"]
    assert woken
