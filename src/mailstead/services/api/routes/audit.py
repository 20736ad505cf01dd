"""The audit log. Commands: ``mailstead audit``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

from pydantic import StringConstraints

from mailstead.model.people import AuditEntry
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment

_Word = Annotated[str, StringConstraints(max_length=320)]


class AuditFilter(Model):
    """Which entries."""

    domain: _Word = ""
    verb: _Word = ""
    """Those that begin so: ``alias.``."""
    own: bool = False
    """Only what the caller did himself."""


class AuditAsked(Listed, AuditFilter):
    """A page of them, newest first."""

    q: _Word = ""
    """What must occur in an entry."""


class EntryShown(Shown):
    """Something that was done."""

    id: int
    at: Moment
    actor: str
    peer: str
    verb: str
    object: str
    domain: str
    details: dict[str, str]


async def show(call: Call) -> Answer:
    """Give a page of what the caller may read."""
    asked: AuditAsked = call.query
    page = await call.house.administration.audit.list(
        call.actor, listing_of(asked), domain=asked.domain, verb=asked.verb, is_own=asked.own
    )
    return Answer([_entry(each) for each in page.items], page=page)


async def export(call: Call) -> Answer:
    """Give all that the caller may read."""
    asked: AuditFilter = call.query
    rows = call.house.administration.audit.export(call.actor, domain=asked.domain, verb=asked.verb, is_own=asked.own)
    first = await anext(rows)  # errors come before the answer begins
    second = await anext(rows, "")
    return Answer(_octets(first + second, rows), headers={"content-disposition": 'attachment; filename="audit.csv"'})


async def _octets(begin: str, rows: AsyncIterator[str]) -> AsyncIterator[bytes]:
    yield begin.encode()
    async for text in rows:
        yield text.encode()


def _entry(entry: AuditEntry) -> EntryShown:
    return EntryShown(
        id=entry.entry_id,
        at=entry.at,
        actor=entry.actor,
        peer=entry.peer,
        verb=entry.verb,
        object=entry.object,
        domain=entry.domain,
        details=dict(entry.details),
    )


_ours: Final = partial(Endpoint, tag="audit", auth=Auth.BOTH, right=Right.CALLER, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/audit",
        "list-audit",
        "Who did what, from where, newest first",
        handler=show,
        query=AuditAsked,
        shows=list[EntryShown],
        command="audit list",
        description="Administrators of the server read all, those of a domain what concerns it, others what they did.",
    ),
    _ours(
        "GET",
        "/v1/audit/export",
        "export-audit",
        "The audit log as comma-separated values",
        handler=export,
        query=AuditFilter,
        media_type="text/csv; charset=utf-8",
        command="audit export",
    ),
)
