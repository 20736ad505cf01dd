"""Many objects at once into one collection: a whole calendar file, a file of contacts.

Objects whose UID is there already take its place, so that the same file imported twice changes nothing. Nobody is
invited by an import.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Final

from mailstead.model.dav import NewResource, ResourceFacts
from mailstead.usecases.collections import Opened
from mailstead.usecases.resources import PAGE, must_write

BATCH: Final = 200
"""Objects per unit of work: others get their turn between two."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,199}")

Progress = Callable[[int, int], None]
"""Told how many objects are done, and of how many."""


@dataclass(frozen=True, slots=True)
class ImportObject:
    """One object of a file, ready to be put."""

    octets: bytes = field(repr=False)
    facts: ResourceFacts


@dataclass(slots=True)
class ObjectImport:
    """What became of a file."""

    new_count: int = 0
    replaced_count: int = 0
    refused: list[str] = field(default_factory=list)
    """What could not be taken, and why."""


async def import_objects(
    opened: Opened, objects: Sequence[ImportObject], suffix: str, report: ObjectImport, progress: Progress | None = None
) -> None:
    """Put objects under names made from their UIDs; `suffix` is ``.ics`` or ``.vcf``.

    Errors: NotAllowed, OverQuota, LimitReached; batches already put stay.
    """
    must_write(opened)
    by_uid = {each.facts.uid: each for each in objects}
    names = {resource_uid: name async for resource_uid, name in _there(opened)}
    taken = set(names.values())
    left = iter(by_uid.values())
    done_count = 0
    while batch := list(islice(left, BATCH)):
        resources = []
        for each in batch:
            uid = each.facts.uid
            name = names.get(uid) or resource_name(uid, suffix)
            if uid not in names and name in taken:
                name = _hashed_name(uid, suffix)
            taken.add(name)
            resources.append(NewResource(name, each.octets, each.facts))
        for put in await opened.store.put(opened.collection.collection_id, resources):
            if put.is_new:
                report.new_count += 1
            else:
                report.replaced_count += 1
        done_count += len(batch)
        if progress is not None:
            progress(done_count, len(by_uid))


def resource_name(uid: str, suffix: str) -> str:
    """Give the name under which a new object is put: its UID where that makes a plain name."""
    return f"{uid}{suffix}" if _PLAIN.fullmatch(uid) else _hashed_name(uid, suffix)


def _hashed_name(uid: str, suffix: str) -> str:
    return sha256(uid.encode()).hexdigest()[:32] + suffix


async def _there(opened: Opened) -> AsyncIterator[tuple[str, str]]:
    after = ""
    while page := await opened.store.resources(opened.collection.collection_id, after=after, limit=PAGE):
        for resource in page:
            yield resource.facts.uid, resource.name
        after = page[-1].name
