"""Ids of messages and folders: reversible, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.ids import MailboxId, ThreadId, Uid, UidValidity
from mailstead.model.place import Place, thread_object_id

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
