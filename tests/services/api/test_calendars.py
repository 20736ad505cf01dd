"""Calendars and events over HTTP: the fields of the reference, spans, moves, deletions that are told."""

import pytest

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
