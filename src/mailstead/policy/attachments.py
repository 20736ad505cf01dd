"""Attachments that are refused by their names: programs that run when they are opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from mailstead.model.message import PartFacts


def refused_attachment(parts: Iterable[PartFacts], extensions: Collection[str]) -> str | None:
    """Give the name of the first attachment that has a refused extension; None: there is none.

    Names are read as mail clients and Windows read them: trailing dots and spaces do not count, and only what is behind
    the last dot does.
    """
    if not extensions:
        return None
    for part in parts:
        for name in _names(part):
            extension = name.rstrip(". \t").rpartition(".")[2].casefold()
            if extension in extensions and "." in name:
                return name
    return None


def _names(part: PartFacts) -> Iterator[str]:
    yield from (value for name, value in part.disposition_params if name == "filename")
    yield from (value for name, value in part.params if name == "name")
