"""SORT: the order of messages by what was computed at append.

Spec: RFC 5256 §3 (SORT), RFC 5957 (SORT=DISPLAY), RFC 5051 (collation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from mailstead.mime.subject import base_subject
from mailstead.mime.text import fold
from mailstead.mime.threading import ThreadItem, threads_by_references, threads_by_subject, written_threads
from mailstead.model.ids import Uid
from mailstead.model.message import MessageRecord, OrderFacts

__all__ = [
    "SortCriterion",
    "SortKey",
    "ThreadItem",
    "base_subject",
    "sorted_uids",
    "threads_by_references",
    "threads_by_subject",
    "written_threads",
]


class SortKey(Enum):
    """What messages are ordered by; the value is the word on the wire. Spec: RFC 5256 §3, RFC 5957 §3."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"


class SortCriterion(NamedTuple):
    """One criterion of a SORT program."""

    key: SortKey
    is_reversed: bool = False


def sorted_uids(records: Iterable[MessageRecord], criteria: Sequence[SortCriterion]) -> list[Uid]:
    """Order messages; where all criteria are equal, by ascending UID, reversed or not.

    Spec: RFC 5256 §3 (SORT): "the sequence number is the last sort criterion".
    Shapes: records carry `order`, except for ARRIVAL and SIZE alone.
    """
    ordered = sorted(records, key=_uid)
    # The sort is stable, so the last criterion is sorted first; reversing keeps equals in their order.
    for criterion in reversed(criteria):
        ordered.sort(key=_KEYS[criterion.key], reverse=criterion.is_reversed)
    return [record.uid for record in ordered]


def collated(text: str) -> str:
    """Give the form in which texts are ordered: i;unicode-casemap orders by upper case, so ``_`` comes after ``Z``.

    Spec: RFC 5051 §2, RFC 5256 §3.
    """
    return fold(text).upper()


def _uid(record: MessageRecord) -> int:
    return record.uid


def _order(record: MessageRecord) -> OrderFacts:
    assert record.order is not None  # the caller asked for Wanted.ORDER
    return record.order


def _date(record: MessageRecord) -> int:
    """Give the sent date, else the internal date. Spec: RFC 5256 §2.2."""
    sent_at_s = _order(record).sent_at_s
    return record.internaldate_s if sent_at_s is None else sent_at_s


_KEYS: Final[Mapping[SortKey, Callable[[MessageRecord], Any]]] = {
    SortKey.ARRIVAL: lambda record: record.internaldate_s,
    SortKey.CC: lambda record: collated(_order(record).sort_cc),
    SortKey.DATE: _date,
    SortKey.FROM: lambda record: collated(_order(record).sort_from),
    SortKey.SIZE: lambda record: record.size_octets,
    SortKey.SUBJECT: lambda record: collated(_order(record).base_subject),
    SortKey.TO: lambda record: collated(_order(record).sort_to),
    SortKey.DISPLAYFROM: lambda record: collated(_order(record).display_from),
    SortKey.DISPLAYTO: lambda record: collated(_order(record).display_to),
}
