"""Calendars and contacts of an earlier moment go back into an account: what it has no more; what it has stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailstead.model.dav import Collection, NewResource, Precondition, Resource
from mailstead.model.errors import NoSuchCollection, NoSuchResource, PreconditionFailed, UidConflict
from mailstead.ports.dav import DavStore

PAGE: Final = 100
_ABSENT: Final = Precondition(must_be_absent=True)


async def bring_back(then: DavStore, now: DavStore) -> int:
    """Give how many objects came back. Nobody is invited anew.

    An object is known by its name and its UID; one that was moved since comes back to its old collection.
    Errors: OverQuota, LimitReached: what came back before that stays.
    """
    if await then.had_defaults():
        await now.create_defaults(())
    return sum([await _collection(then, now, each) for each in await then.collections()])


async def _collection(then: DavStore, now: DavStore, old: Collection) -> int:
    """What was fetched from elsewhere, and no longer is, comes back as a calendar of one's own."""
    try:
        new = await now.collection(old.kind, old.name)
    except NoSuchCollection:
        new = await now.create_collection(old.kind, old.name, old.traits)
    if new.source_url:
        return 0
    count, after = 0, ""
    while page := await then.resources(old.collection_id, after=after, limit=PAGE, with_octets=True):
        count += sum([await _resource(then, now, new, each) for each in page])
        after = page[-1].name
    return count


async def _resource(then: DavStore, now: DavStore, into: Collection, old: Resource) -> bool:
    absent = NewResource(old.name, old.octets, old.facts, _ABSENT, old.schedule_tag)
    try:
        (put,) = await now.put(into.collection_id, [absent])
    except (PreconditionFailed, UidConflict):
        return False
    for each in await then.attachments(old.resource_id):
        try:
            await now.attachment(each.managed_id)
        except NoSuchResource:
            attachment = await then.attachment(each.managed_id)
            await now.put_attachment(replace(attachment, resource_id=put.resource.resource_id))
    return True
