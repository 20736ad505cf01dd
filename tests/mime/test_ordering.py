from mailstead.mime.ordering import SortCriterion, SortKey, sorted_uids
from mailstead.mime.subject import base_subject
from mailstead.mime.text import fold
from mailstead.model.message import MessageRecord, OrderFacts


def record(uid, subject="", sent=None, message_id=None, references=(), from_="", display="", received=None, size=0):
    base, is_reply = base_subject(subject)
    order = OrderFacts(sent, base, is_reply, fold(from_), "", "", display, "", message_id, tuple(references))
    return MessageRecord(
        uid, 1, frozenset(), received if received is not None else uid, 0, 0, size, 0, "", "", 0, order=order
    )


def by(*words):
    return [SortCriterion(SortKey(word.lstrip("-")), word.startswith("-")) for word in words]


def test_sort_by_each_key_and_reversed():
    records = [
        record(1, "Re: b", 30, from_="Zoe", display="_", received=5, size=9),
        record(2, "A", None, from_="adam", display="Z", received=20, size=8),
        record(3, "b", 10, from_="ADAM", display="a", received=4, size=8),
    ]
    assert sorted_uids(records, by("ARRIVAL")) == [3, 1, 2]
    assert sorted_uids(records, by("DATE")) == [3, 2, 1]  # the second has its internal date
    assert sorted_uids(records, by("-DATE")) == [1, 2, 3]
    assert sorted_uids(records, by("FROM")) == [2, 3, 1]
    assert sorted_uids(records, by("-FROM")) == [1, 2, 3]  # equals stay in ascending order
    assert sorted_uids(records, by("SUBJECT")) == [2, 1, 3]
    assert sorted_uids(records, by("SUBJECT", "DATE")) == [2, 3, 1]
    assert sorted_uids(records, by("SIZE", "-ARRIVAL")) == [2, 3, 1]
    assert sorted_uids(records, by("DISPLAYFROM")) == [3, 2, 1]  # "_" comes after "Z"
    assert sorted_uids(records, by("CC", "TO", "DISPLAYTO")) == [1, 2, 3]
    assert sorted_uids([], by("DATE")) == []
