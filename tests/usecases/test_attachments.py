"""Attachments that the server keeps."""

import pytest

from mailstead.model.dav import CollectionKind, Precondition
from mailstead.model.errors import BadObject, NoSuchResource, PreconditionFailed
from mailstead.usecases.attachments import Attachments, NewFile
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.resources import ResourceTerms

FILE = NewFile("minutes.txt", "text/plain", b"we met")
SERIES = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//EN\r
BEGIN:VEVENT\r
UID:series\r
DTSTAMP:20260101T000000Z\r
DTSTART:20260110T090000Z\r
RRULE:FREQ=DAILY;COUNT=3\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:series\r
DTSTAMP:20260101T000000Z\r
RECURRENCE-ID:20260111T090000Z\r
DTSTART:20260111T100000Z\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture
def objects():
    return CalendarObjects(ResourceTerms("https://mail.example.test", attachment_octets_max=1000, attachments_max=3))


@pytest.fixture
def attachments(storage, collections, objects):
    return Attachments(storage, collections, objects)


@pytest.fixture
async def opened(collections, objects, alice, actor_of):
    (found,) = await collections.home(actor_of(alice), alice, CollectionKind.CALENDAR)
    await objects.put(found, "series.ics", SERIES)
    return found


async def octets_of(objects, opened):
    return (await objects.get(opened, "series.ics")).octets.replace(b"\r\n ", b"")


async def test_a_file_is_attached_exchanged_and_taken_away(attachments, objects, opened, alice, actor_of):
    written, managed_id = await attachments.add(opened, "series.ics", FILE)
    assert not written.is_new
    text = await octets_of(objects, opened)
    assert text.count(f"/attachments/{alice.account_id}/{managed_id}".encode()) == 2
    assert text.count(b"FILENAME=minutes.txt") == 2
    assert text.count(b"SIZE=6") == 2
    assert (await attachments.get(actor_of(alice), alice.account_id, managed_id)).octets == b"we met"
    _, second = await attachments.update(opened, "series.ics", managed_id, NewFile("", "text/html", b"we left"))
    assert second != managed_id
    with pytest.raises(NoSuchResource):
        await attachments.get(actor_of(alice), alice.account_id, managed_id)
    got = await attachments.get(actor_of(alice), alice.account_id, second)
    assert (got.octets, got.media_type, got.file_name) == (b"we left", "text/html", "minutes.txt")
    await attachments.remove(opened, "series.ics", second)
    assert b"ATTACH" not in await octets_of(objects, opened)
    with pytest.raises(NoSuchResource):
        await attachments.get(actor_of(alice), alice.account_id, second)


async def test_instances_have_their_own(attachments, objects, opened, alice, actor_of):
    _, managed_id = await attachments.add(opened, "series.ics", FILE, rids=["20260111T090000Z"])
    assert (await octets_of(objects, opened)).count(b"ATTACH") == 1
    _, of_both = await attachments.add(opened, "series.ics", FILE, rids=["M", "20260111T090000Z"])
    await attachments.remove(opened, "series.ics", of_both, rids=["M"])
    await attachments.get(actor_of(alice), alice.account_id, of_both)
    await attachments.remove(opened, "series.ics", of_both, rids=["20260111T090000Z"])
    with pytest.raises(NoSuchResource):
        await attachments.get(actor_of(alice), alice.account_id, of_both)
    _, of_third = await attachments.add(opened, "series.ics", FILE, rids=["20260112T090000Z"])
    text = await octets_of(objects, opened)
    assert text.count(b"BEGIN:VEVENT") == 3
    assert b"RECURRENCE-ID:20260112T090000Z" in text
    await attachments.remove(opened, "series.ics", of_third)
    with pytest.raises(BadObject) as caught:
        await attachments.add(opened, "series.ics", FILE, rids=["20300101T000000Z"])
    assert caught.value.log_fields["condition"] == "valid-rid"
    assert [
        each.managed_id
        for each in await opened.store.attachments((await objects.get(opened, "series.ics")).resource_id)
    ] == [managed_id]


async def test_attack_085_what_is_too_large_or_too_much_is_refused(attachments, opened):
    with pytest.raises(BadObject) as caught:
        await attachments.add(opened, "series.ics", NewFile("large", "text/plain", b"x" * 1001))
    assert caught.value.log_fields["condition"] == "max-attachment-size"
    for _ in range(3):
        _, managed_id = await attachments.add(opened, "series.ics", FILE)
    with pytest.raises(BadObject) as caught:
        await attachments.add(opened, "series.ics", FILE)
    assert caught.value.log_fields["condition"] == "max-attachments-per-resource"
    await attachments.update(opened, "series.ics", managed_id, FILE)
    with pytest.raises(BadObject) as caught:
        await attachments.remove(opened, "series.ics", managed_id)
    assert caught.value.log_fields["condition"] == "valid-managed-id"


async def test_nothing_is_kept_when_the_object_changed_meanwhile(attachments, objects, opened):
    with pytest.raises(PreconditionFailed):
        await attachments.add(opened, "series.ics", FILE, Precondition(etags=frozenset({"other"})))
    assert await opened.store.attachments((await objects.get(opened, "series.ics")).resource_id) == []


async def test_attack_071_a_file_s_name_is_data(attachments, objects, opened, alice, actor_of):
    file = NewFile("..\\..\\etc/passwd\r\nX-EVIL:1", "text/plain", b"x")
    _, managed_id = await attachments.add(opened, "series.ics", file)
    got = await attachments.get(actor_of(alice), alice.account_id, managed_id)
    assert got.file_name == "passwdX-EVIL:1"
    assert b"\r\nX-EVIL" not in (await objects.get(opened, "series.ics")).octets


async def test_others_see_nothing_of_it_and_it_goes_with_the_object(attachments, objects, opened, alice, bob, actor_of):
    _, managed_id = await attachments.add(opened, "series.ics", FILE)
    for actor, owner in ((actor_of(bob), alice), (actor_of(bob), bob), (actor_of(alice), bob)):
        with pytest.raises(NoSuchResource):
            await attachments.get(actor, owner.account_id, managed_id)
    await objects.delete(opened, "series.ics")
    with pytest.raises(NoSuchResource):
        await attachments.get(actor_of(alice), alice.account_id, managed_id)
