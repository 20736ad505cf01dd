"""Sequence sets as a client writes them, before a view gives them meaning.

Spec: RFC 9051 §4.1.1, §9 (sequence-set, seq-range), RFC 5182 (``$``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STAR: Final = 0
"""Stands for ``*``, the largest number in use, in the runs of a `SequenceSet`."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Runs of sequence numbers or UIDs, as given: unsorted, overlapping, `STAR` for ``*``."""

    runs: tuple[tuple[int, int], ...] = ()
    is_saved: bool = False
    """``$``: the messages of the last search with SAVE; `runs` is empty then. Spec: RFC 5182 §2.1."""


SAVED: Final = SequenceSet(is_saved=True)
"""``$``."""
