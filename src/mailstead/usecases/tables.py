"""Comma-separated values that do nothing to whoever opens them in a spreadsheet or prints them (attack row 100).

Spec: RFC 4180 §2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""What a spreadsheet takes for the beginning of a formula, in any of them."""


def harmless(cell: str) -> str:
    r"""Give a text for one cell: control characters written out (``\x1b``), a ``'`` before what could be a formula."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in cell)
    return f"'{shown}" if cell.lstrip().startswith(_FORMULA) or cell.startswith(_FORMULA) else shown


def plain(cell: str) -> str:
    """Give back what `harmless` put a ``'`` before."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip().startswith(_FORMULA) else cell


def csv_rows(rows: Iterable[Sequence[str]]) -> str:
    """Give lines of cells, each `harmless`."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()
