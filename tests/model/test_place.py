"""Ids of messages and folders: reversible, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.dav import CollectionId, ResourceId
from mailstead.model.ids import AccountId, MailboxId, ThreadId, Uid, UidValidity
from mailstead.model.place import DavPlace, Place, thread_object_id

NUMBERS = st.integers(0, 2**32 - 1)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_an_id_is_24_hex_digits_and_comes_back(mailbox_id, uidvalidity, uid):
    place = Place(MailboxId(mailbox_id), UidValidity(uidvalidity), Uid(uid))
    assert len(place.object_id) == 24
    assert Place.of(place.object_id) == Place.of(place.object_id.upper()) == place


@pytest.mark.parametrize("text", ["", "0" * 23, "0" * 25, "g" * 24, "٠" * 24, " " + "0" * 23, "INBOX"])
def test_other_texts_are_none(text):
    assert Place.of(text) is None


def test_threads_have_ids_of_the_same_form():
    assert thread_object_id(ThreadId("T255")) == "0" * 22 + "ff"


def test_a_calendar_and_an_event_are_named_by_owner_and_key():
    owner = AccountId("0123456789abcdef")
    for place in (DavPlace(owner, CollectionId(7)), DavPlace(owner, resource_id=ResourceId(7)), DavPlace(owner)):
        assert len(place.object_id) == 24
        assert DavPlace.of(place.object_id) == place
        assert DavPlace.of(place.object_id.upper()) == place
    assert DavPlace(owner, CollectionId(7)).object_id != DavPlace(owner, resource_id=ResourceId(7)).object_id
    assert DavPlace(owner, resource_id=ResourceId(10)).object_id == "0123456789abcdef0000000a"
    for text in ("", "work", "0" * 23, "g" * 24, "0" * 25):
        assert DavPlace.of(text) is None
