"""What SEARCH, SORT and THREAD ask, while sequence numbers and relative times still stand in it.

Leaves that need no session are already words of `model.search`; the rest are the classes here. `search_model.to_model`
turns the whole into `model.search` with the help of a view and a clock value.

Spec: RFC 9051 §6.4.4, RFC 5256, RFC 9394, RFC 5032.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailstead.model import search as model
from mailstead.proto.imap.types.sequence import SequenceSet


@dataclass(frozen=True, slots=True)
class Numbered:
    """A sequence set (or, with `by_uid`, ``UID`` and a set) as a search key."""

    messages: SequenceSet
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Aged:
    """YOUNGER or OLDER n seconds. Spec: RFC 5032 §3."""

    interval_s: int
    is_older: bool


@dataclass(frozen=True, slots=True)
class NotKey:
    """NOT key."""

    key: WireKey


@dataclass(frozen=True, slots=True)
class AllOf:
    """Several keys in a row, or in parentheses."""

    keys: tuple[WireKey, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """OR key key; a chain of ORs is flattened."""

    keys: tuple[WireKey, ...]


WireKey = (
    Numbered
    | Aged
    | NotKey
    | AllOf
    | AnyOf
    | model.Everything
    | model.Nothing
    | model.HasFlag
    | model.Contains
    | model.HeaderContains
    | model.OnDays
    | model.SizeBetween
    | model.ModSeqAtLeast
    | model.HasEmailId
    | model.HasThreadId
    | model.SaveDateSupported
)


@dataclass(frozen=True, slots=True)
class PartialRange:
    """``first:last`` of a result, from its start (1 is the first) or, negative, from its end (-1 is the last).

    Spec: RFC 9394 §3.1
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReturnOptions:
    """RETURN (…) of an extended SEARCH or SORT. Spec: RFC 9051 §6.4.4, RFC 5267 (no updates), RFC 9394.

    ``RETURN ()`` comes as `all` alone, as the RFC says.
    """

    min: bool = False
    max: bool = False
    all: bool = False
    count: bool = False
    save: bool = False
    """Spec: RFC 5182."""
    partial: PartialRange | None = None


class ThreadAlgorithm(Enum):
    """Spec: RFC 5256 §4."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
