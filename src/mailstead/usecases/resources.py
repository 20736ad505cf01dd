"""What calendars and address books have in common: their resources are read, listed, removed, copied, and followed.

Whoever has an `Opened` collection may read it; what changes it needs `Access.WRITE`, and leaves subscriptions alone.
Nothing here holds a whole collection in memory: all that can be long comes in pages (attack row 79).

Spec: RFC 4918 §9.4 to §9.9; RFC 6578 §3.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from mailstead.model.dav import (
    ALWAYS,
    Access,
    CollectionId,
    Precondition,
    Resource,
    ResourceChanges,
    ResourceFacts,
)
from mailstead.model.errors import (
    BadObject,
    BadSyncToken,
    NoSuchResource,
    NotAllowed,
    ObjectTooLarge,
    PreconditionFailed,
)
from mailstead.model.ids import AccountId, ModSeq
from mailstead.usecases.collections import Opened

PAGE: Final = 1000
"""Resources read at once without their octets."""
OCTETS_PAGE: Final = 250
"""… and with them: large ones are a few MiB together, seldom more."""
LARGE_OCTETS: Final = 64 * 1024
"""Above this, parsing would hold up everybody else on the event loop."""
MODSEQ_MAX: Final = 2**63 - 1

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ResourceTerms:
    """Limits on objects, and where this house is on the web."""

    base_url: str
    """``https://mail.example.org``, without slash at the end."""
    resource_octets_max: int = 10 * 1024 * 1024
    attachment_octets_max: int = 10 * 1024 * 1024
    attachments_max: int = 10
    """Per calendar object."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an object that was put."""

    resource: Resource
    """Without octets."""
    is_new: bool
    is_as_sent: bool = True
    """False: the server changed it, so the client must fetch it again. Spec: RFC 4791 §5.3.4."""


@dataclass(frozen=True, slots=True)
class Found:
    """A resource that matches, with the part of it that was asked for."""

    resource: Resource
    data: bytes


class SyncTokens:
    """Sync tokens: which collection of which account, and a modseq. To clients a URL that means nothing.

    Spec: RFC 6578 §4; the form is the reference's, 8.3.
    """

    def __init__(self, base_url: str) -> None:
        self._prefix: Final = f"{base_url}/ns/sync-token/"

    def of(self, opened: Opened, modseq: ModSeq | None = None) -> str:
        """Give the token for a modseq; None: for the present state."""
        reached = opened.collection.modseq if modseq is None else modseq
        return self.named(opened.owner.account_id, opened.collection.collection_id, reached)

    def named(self, owner_id: AccountId, collection_id: CollectionId, modseq: ModSeq) -> str:
        """Give the token for a modseq of a collection."""
        return f"{self._prefix}{owner_id}-{collection_id}-{modseq}"

    def modseq(self, opened: Opened, token: str) -> ModSeq:
        """Give the modseq of a token; 0 for the empty one. Errors: BadSyncToken."""
        if not token:
            return ModSeq(0)
        head = f"{self._prefix}{opened.owner.account_id}-{opened.collection.collection_id}-"
        tail = token.removeprefix(head)
        if tail == token or not re.fullmatch(r"0|[1-9][0-9]{0,18}", tail) or int(tail) > MODSEQ_MAX:
            raise BadSyncToken
        return ModSeq(int(tail))


class Resources(ABC):
    """Reads and changes the resources of one kind of collection."""

    def __init__(self, terms: ResourceTerms) -> None:
        self.terms: Final = terms
        self.tokens: Final = SyncTokens(terms.base_url)

    # reading

    async def get(self, opened: Opened, name: str, *, with_octets: bool = True) -> Resource:
        """Give one resource. Errors: NoSuchResource."""
        found = await opened.store.resources(opened.collection.collection_id, [name], with_octets=with_octets)
        if not found:
            raise NoSuchResource
        return found[0]

    async def listed(self, opened: Opened, *, with_octets: bool = False) -> AsyncIterator[list[Resource]]:
        """Yield all resources in pages, by name."""
        limit, after = OCTETS_PAGE if with_octets else PAGE, ""
        while True:
            page = await opened.store.resources(
                opened.collection.collection_id, after=after, limit=limit, with_octets=with_octets
            )
            if page:
                yield page
                after = page[-1].name
            if len(page) < limit:
                return

    async def named(
        self, opened: Opened, names: Sequence[str], *, with_octets: bool = False
    ) -> AsyncIterator[tuple[Sequence[str], dict[str, Resource]]]:
        """Yield resources of these names in the order of the names: some names, and those of them that are there."""
        limit = OCTETS_PAGE if with_octets else PAGE
        for start in range(0, len(names), limit):
            part = names[start : start + limit]
            found = await opened.store.resources(opened.collection.collection_id, part, with_octets=with_octets)
            yield part, {each.name: each for each in found}

    async def changes(
        self, opened: Opened, token: str, limit: int | None = None, *, with_octets: bool = False
    ) -> AsyncIterator[ResourceChanges]:
        """Yield in pages what happened since a token (empty: all that is there), at most `limit` changes.

        What happens while the pages are read is left for the next time, so that no name is told twice. The `modseq` of
        the last page makes the next token; `is_complete` is False in it where `limit` cut the answer short.

        Spec: RFC 6578 §3.4, §3.6.
        Errors: BadSyncToken.
        """
        modseq, last = self.tokens.modseq(opened, token), opened.collection.modseq
        if modseq > last:
            # Either of a time that a restore has undone, or the collection moved on since it was opened.
            opened_again = await opened.store.collection_by_id(opened.collection.collection_id)
            last = opened_again.modseq
            if modseq > last:
                raise BadSyncToken
        page_max = OCTETS_PAGE if with_octets else PAGE
        left = limit
        while True:
            page_limit = page_max if left is None else min(page_max, left)
            page = await opened.store.changes_since(
                opened.collection.collection_id, modseq, page_limit, with_octets=with_octets
            )
            changed = tuple(each for each in page.changed if each.modseq <= last)
            is_complete = page.is_complete or page.modseq >= last
            modseq = min(page.modseq, last)
            if left is not None:
                left -= len(changed) + len(page.deleted)
            yield ResourceChanges(changed, page.deleted, modseq, is_complete)
            if is_complete or left == 0:
                return

    # writing

    async def delete(self, opened: Opened, name: str, precondition: Precondition = ALWAYS) -> None:
        """Remove one resource. Errors: NotAllowed, NoSuchResource, PreconditionFailed."""
        must_write(opened)
        await opened.store.delete(opened.collection.collection_id, name, precondition)

    async def copy(
        self,
        source: Opened,
        name: str,
        target: Opened,
        target_name: str,
        *,
        moves: bool = False,
        overwrites: bool = True,
        precondition: Precondition = ALWAYS,
    ) -> Written:
        """Copy or move a resource, also between accounts.

        Between accounts a move is a copy, and only then a removal: what goes wrong between the two loses nothing.

        Spec: RFC 4918 §9.8, §9.9.
        Errors: NotAllowed, NoSuchResource, PreconditionFailed, BadObject, UidConflict, OverQuota, LimitReached.
        """
        must_write(target)
        if moves:
            must_write(source)
        if source.collection.kind is not target.collection.kind:
            raise NotAllowed("Events belong in calendars, and contacts in address books")
        if source.owner.account_id == target.owner.account_id and not source.is_people:
            self._must_take(target, (await self.get(source, name, with_octets=False)).facts)
            put = await target.store.copy(
                source.collection.collection_id,
                name,
                target.collection.collection_id,
                target_name,
                moves=moves,
                overwrites=overwrites,
                precondition=precondition,
            )
            return Written(put.resource, put.is_new)
        resource = await self.get(source, name)
        must_be = ALWAYS if overwrites else Precondition(must_be_absent=True)
        if precondition.etags is not None and resource.etag not in precondition.etags:
            raise PreconditionFailed
        written = await self.put(target, target_name, resource.octets, must_be)
        if moves:
            await self.delete(source, name, Precondition(etags=frozenset({resource.etag})))
        return written

    @abstractmethod
    async def put(self, opened: Opened, name: str, octets: bytes, precondition: Precondition = ALWAYS) -> Written:
        """Put one object under a name; it is given back octet by octet."""

    @staticmethod
    def _must_take(opened: Opened, facts: ResourceFacts) -> None:
        """Errors: BadObject, where the collection does not take such objects."""
        components = opened.collection.traits.components
        if components and facts.component not in components:
            taken = ", ".join(components)
            raise BadObject(f"This calendar takes {taken} only", condition="supported-calendar-component")

    def _must_fit(self, octets: bytes) -> None:
        if len(octets) > self.terms.resource_octets_max:
            raise ObjectTooLarge


def must_write(opened: Opened) -> None:
    """Errors: NotAllowed, where the actor may only read, or the events come from elsewhere."""
    if opened.access is not Access.WRITE:
        raise NotAllowed("This calendar or address book is only for reading")
    if opened.collection.source_url:
        raise NotAllowed("This calendar comes from elsewhere and is only for reading")


async def off_loop(size_octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do some reckoning, in a thread when there is much of it."""
    if size_octets <= LARGE_OCTETS:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
