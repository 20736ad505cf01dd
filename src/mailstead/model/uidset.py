"""Sets of UIDs kept as runs, so that ``1:4294967295`` costs no more than ``7``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from mailstead.model.ids import Uid

Run = tuple[int, int]
"""First and last number of a run, both included."""


class UidSet:
    """An immutable, ordered set of UIDs as ascending, disjoint, non-adjacent runs.

    Spec: RFC 9051 §4.1.1 (sequence-set), RFC 7162 §3.2.
    """

    __slots__ = ("_count", "_firsts", "runs")

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.runs: Final[tuple[Run, ...]] = tuple(_merged(runs))
        self._count = sum(last - first + 1 for first, last in self.runs)
        self._firsts: list[int] | None = None

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """Make a set from single UIDs in any order."""
        runs: list[Run] = []
        first = last = -1
        for uid in sorted(uids):
            if uid == last + 1:
                last = uid
            elif uid != last:
                if first >= 0:
                    runs.append((first, last))
                first = last = uid
        if first >= 0:
            runs.append((first, last))
        return cls(runs)

    def __contains__(self, uid: int) -> bool:
        if self._firsts is None:
            self._firsts = [first for first, _ in self.runs]
        index = bisect_right(self._firsts, uid) - 1
        return index >= 0 and uid <= self.runs[index][1]

    def __iter__(self) -> Iterator[Uid]:
        for first, last in self.runs:
            for uid in range(first, last + 1):
                yield Uid(uid)

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and self.runs == other.runs

    def __hash__(self) -> int:
        return hash(self.runs)

    def __repr__(self) -> str:
        return f"UidSet({self.compact()})"

    def __or__(self, other: UidSet) -> UidSet:
        return UidSet((*self.runs, *other.runs))

    def __and__(self, other: UidSet) -> UidSet:
        runs: list[Run] = []
        mine, theirs = 0, 0
        while mine < len(self.runs) and theirs < len(other.runs):
            first = max(self.runs[mine][0], other.runs[theirs][0])
            last = min(self.runs[mine][1], other.runs[theirs][1])
            if first <= last:
                runs.append((first, last))
            if self.runs[mine][1] < other.runs[theirs][1]:
                mine += 1
            else:
                theirs += 1
        return UidSet(runs)

    def __sub__(self, other: UidSet) -> UidSet:
        runs: list[Run] = []
        theirs = 0
        for first, last in self.runs:
            start = first
            while theirs < len(other.runs) and other.runs[theirs][1] < start:
                theirs += 1
            index = theirs
            while index < len(other.runs) and other.runs[index][0] <= last:
                if other.runs[index][0] > start:
                    runs.append((start, other.runs[index][0] - 1))
                start = max(start, other.runs[index][1] + 1)
                index += 1
            if start <= last:
                runs.append((start, last))
        return UidSet(runs)

    def compact(self) -> str:
        """Write as a sequence-set (``1:3,7``); the empty set is the empty string."""
        return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in self.runs)


def _merged(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield ascending, disjoint, non-adjacent runs."""
    ordered = sorted((min(run), max(run)) for run in runs)
    if not ordered:
        return
    first, last = ordered[0]
    for next_first, next_last in ordered[1:]:
        if next_first <= last + 1:
            last = max(last, next_last)
        else:
            yield first, last
            first, last = next_first, next_last
    yield first, last


NO_UIDS: Final = UidSet()
