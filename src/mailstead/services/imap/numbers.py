"""Numbers of messages: parts of results, and UIDs that a client names whether or not they exist."""

from __future__ import annotations

from collections.abc import Sequence

from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.search import PartialRange
from mailstead.proto.imap.types.sequence import STAR, SequenceSet
from mailstead.services.imap.selected import Selected


def part_of(numbers: Sequence[int], partial: PartialRange) -> Sequence[int]:
    """Cut a page out of an ordered result, counted from its start or, with negative numbers, from its end.

    Spec: RFC 9394 §3.1
    """
    low, high = sorted((partial.first, partial.last))
    if low > 0:
        return numbers[low - 1 : high]
    count = len(numbers)
    return numbers[max(0, count + low) : max(0, count + high + 1)]


def wire_uids(messages: SequenceSet, selected: Selected) -> UidSet:
    """Take a set of UIDs as the client names it, with those that are not (any more) in the mailbox."""
    if messages.is_saved:
        return selected.view.saved
    star = max(selected.uidnext - 1, 1)
    return UidSet((star if first == STAR else first, star if last == STAR else last) for first, last in messages.runs)
