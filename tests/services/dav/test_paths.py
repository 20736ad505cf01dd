"""Paths are written as they are read, in whichever form they were asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.dav import CollectionKind
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav.app import is_ours
from mailstead.services.dav.paths import Form, Place, PlaceKind, place_of, principal

CALENDAR, BOOK, INBOX = CollectionKind.CALENDAR, CollectionKind.ADDRESSBOOK, CollectionKind.INBOX
USER = "alice@example.test"
AT = "alice%40example.test"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", Place(PlaceKind.ROOT)),
        ("/principals/", Place(PlaceKind.PRINCIPALS)),
        (f"/principals/{AT}/", principal(USER)),
        (f"/principals/{AT}/calendar-proxy-read/", Place(PlaceKind.PROXY, user=USER, resource="calendar-proxy-read")),
        (f"/dav/{AT}/", Place(PlaceKind.CALENDAR_HOME, Form.REFERENCE, USER)),
        (f"/dav/{AT}/addressbooks/", Place(PlaceKind.BOOK_HOME, Form.REFERENCE, USER, BOOK)),
        (f"/dav/{AT}/inbox/", Place(PlaceKind.COLLECTION, Form.REFERENCE, USER, INBOX, "inbox")),
        (f"/dav/{AT}/inbox/a.ics", Place(PlaceKind.RESOURCE, Form.REFERENCE, USER, INBOX, "inbox", "a.ics")),
        (f"/dav/{AT}/outbox/", Place(PlaceKind.OUTBOX, Form.REFERENCE, USER)),
        (f"/dav/{AT}/work/", Place(PlaceKind.COLLECTION, Form.REFERENCE, USER, CALENDAR, "work")),
        (f"/dav/{AT}/work/a.ics", Place(PlaceKind.RESOURCE, Form.REFERENCE, USER, CALENDAR, "work", "a.ics")),
        (f"/dav/{AT}/addressbooks/x/", Place(PlaceKind.COLLECTION, Form.REFERENCE, USER, BOOK, "x")),
        (f"/dav/{AT}/addressbooks/x/a.vcf", Place(PlaceKind.RESOURCE, Form.REFERENCE, USER, BOOK, "x", "a.vcf")),
        (f"/cal/{AT}/work/", Place(PlaceKind.COLLECTION, Form.LEGACY, USER, CALENDAR, "work")),
        (f"/calendars/{AT}/", Place(PlaceKind.CALENDAR_HOME, Form.CLEAN, USER)),
        (f"/calendars/{AT}/work/a.ics", Place(PlaceKind.RESOURCE, Form.CLEAN, USER, CALENDAR, "work", "a.ics")),
        (f"/addressbooks/{AT}/", Place(PlaceKind.BOOK_HOME, Form.CLEAN, USER, BOOK)),
        (f"/addressbooks/{AT}/x/", Place(PlaceKind.COLLECTION, Form.CLEAN, USER, BOOK, "x")),
        ("/dav/alice/work/", Place(PlaceKind.COLLECTION, Form.REFERENCE, "alice", CALENDAR, "work")),
        ("/attachments/0123/abc", Place(PlaceKind.ATTACHMENT, user="0123", resource="abc")),
        ("/dav-push/abc", Place(PlaceKind.PUSH, resource="abc")),
    ],
)
def test_what_a_path_means_and_how_it_is_written(path, place):
    assert place_of(path) == place
    assert place.path == path


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/dav", "/"),
        ("/dav/", "/"),
        ("//", "/"),
        (f"/p/{AT}", f"/principals/{AT}/"),
        ("/dav/alice@example.test/work", f"/dav/{AT}/work/"),
        (f"/dav/{AT}//work/a%20b.ics", f"/dav/{AT}/work/a%20b.ics"),
        (f"/dav/{AT}/Z%C3%BCrich/", f"/dav/{AT}/Z%C3%BCrich/"),
    ],
)
def test_other_ways_to_write_one(path, written):
    assert place_of(path).path == written


@pytest.mark.parametrize(
    "path",
    ["/elsewhere/", f"/dav/{AT}/work/a/b", f"/principals/{AT}/x/", "/calendars/", "/attachments/a", "/dav-push/a/b"],
)
def test_what_is_nowhere(path):
    assert place_of(path) is None


def test_a_calendar_holds_no_calendars():
    with pytest.raises(BadRequest) as refused:
        place_of(f"/dav/{AT}/work/inner/")
    assert refused.value.status == 403


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})


@given(
    st.sampled_from(Form), st.sampled_from([CALENDAR, BOOK]), NAMES,
    NAMES.filter(lambda name: name not in {"inbox", "outbox", "addressbooks"}), NAMES,
)  # fmt: skip
def test_what_is_written_is_read_back(form, kind, user, collection, resource):
    if form is Form.CLEAN or kind is CALENDAR:
        place = Place(PlaceKind.RESOURCE, form, user, kind, collection, resource)
    else:
        place = Place(PlaceKind.COLLECTION, form, user, kind, collection)
    if len(place.path) <= 4096:
        assert place_of(place.path) == place
        assert place_of(place.parent.path) == place.parent
    assert is_ours(place.path)


@given(st.text(max_size=200))
def test_whatever_comes_is_a_place_nowhere_or_refused(path):
    try:
        place = place_of("/" + path)
    except BadRequest:
        return
    if place is not None:
        assert place_of(place.path) == place


@pytest.mark.parametrize("path", ["/", "/davy/", "/index.html", "/mxdeliv", "/public/", "/principal", "/calendar"])
def test_what_belongs_to_the_pages(path):
    assert not is_ours(path)
