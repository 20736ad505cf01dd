"""From wire keys to model keys."""

import pytest

from mailstead.model import search as m
from mailstead.model.ids import ModSeq, Uid
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.search_model import to_model
from mailstead.proto.imap.view import BadSequence, View


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("SEARCH SEEN", m.HasFlag("\\Seen")),
        ("SEARCH 2:3", m.Uids(UidSet([(20, 20), (30, 30)]))),
        ("SEARCH UID 15:25", m.Uids(UidSet([(20, 20)]))),
        ("SEARCH UID 99", m.Nothing()),
        ("SEARCH $", m.Uids(UidSet([(10, 10)]))),
        ("SEARCH YOUNGER 100", m.Within(at_or_after_s=900)),
        ("SEARCH OLDER 100", m.Within(at_or_before_s=900)),
        ("SEARCH NOT 1", m.Not(m.Uids(UidSet([(10, 10)])))),
        (
            "SEARCH OR (SEEN 1) DRAFT",
            m.Or((m.And((m.HasFlag("\\Seen"), m.Uids(UidSet([(10, 10)])))), m.HasFlag("\\Draft"))),
        ),
    ],
)
def test_table(command_of, text, key):
    view = View(UidSet.of([10, 20, 30]), ModSeq(1), Uid(31))
    view.saved = UidSet.of([10])
    assert to_model(command_of(text).key, view.select, 1000) == key


def test_numbers_beyond_the_mailbox(command_of):
    view = View(UidSet.of([10]), ModSeq(1), Uid(31))
    with pytest.raises(BadSequence):
        to_model(command_of("SEARCH NOT 2").key, view.select, 0)
