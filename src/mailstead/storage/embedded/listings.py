"""How a part of a list is asked of SQLite. Fields come from tables of ours, values are always parameters (row 75)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailstead.model.people import Listing

_LARGEST: Final = 2**62
"""Beyond any list, and within what SQLite counts."""


def order_of(listing: Listing, columns: Mapping[str, tuple[str, ...]], own: str) -> str:
    """Give the ORDER BY of a list: by a field that it knows, or by its own."""
    names = columns.get(listing.sort.removeprefix("-"), columns[own])
    direction = " DESC" if listing.sort.startswith("-") else ""
    return ", ".join(f"{name}{direction}" for name in names)


def bounds_of(listing: Listing) -> tuple[int, int]:
    """Give LIMIT and OFFSET."""
    return max(min(listing.limit, _LARGEST), 0), max(min(listing.skipped_count, _LARGEST), 0)
