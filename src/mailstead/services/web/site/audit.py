"""The audit log: who did what, from where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from mailstead.model.errors import MailsteadError
from mailstead.model.people import AuditEntry, Listing
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who

PER_PAGE: Final = 50
WORD_CHARACTERS_MAX: Final = 320
PAGE_DIGITS_MAX: Final = 6


async def audit(visit: Visit) -> Response:
    """List a part of what the visitor may read, newest first."""
    query = visit.request.query_params
    domain, verb, text = (query.get(name, "").strip()[:WORD_CHARACTERS_MAX] for name in ("domain", "verb", "q"))
    asked = query.get("page", "")
    number = max(int(asked), 1) if asked.isascii() and asked.isdigit() and len(asked) <= PAGE_DIGITS_MAX else 1
    found: tuple[AuditEntry, ...] = ()
    count, error = 0, None
    try:
        page = await visit.house.audit.list(
            visit.actor, Listing(number, PER_PAGE, text=text), domain=domain.lower(), verb=verb
        )
        found, count = page.items, page.item_count
    except MailsteadError as wrong:
        error = wrong
    filters = {"domain": domain, "verb": verb, "q": text}
    return visit.show(
        "audit.html",
        200 if error is None else status_of(error),
        found=found,
        count=count,
        page=number,
        page_count=-(-count // PER_PAGE),
        filters=filters,
        query=urlencode(filters),
        error=error,
    )


async def export(visit: Visit) -> Response:
    """Give all that the visitor may read as comma-separated values."""
    query = visit.request.query_params
    rows = visit.house.audit.export(
        visit.actor, domain=query.get("domain", "").strip().lower(), verb=query.get("verb", "").strip()
    )
    first = await anext(rows)  # errors come before the answer begins
    second = await anext(rows, "")
    headers = {
        "content-disposition": 'attachment; filename="audit.csv"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return StreamingResponse(_octets(first + second, rows), media_type="text/csv; charset=utf-8", headers=headers)


async def _octets(begin: str, rows: AsyncIterator[str]) -> AsyncIterator[bytes]:
    yield begin.encode()
    async for text in rows:
        yield text.encode()


PAGES: Final = (
    Page("/admin/audit", audit, Who.DOMAIN_ADMIN),
    Page("/admin/audit.csv", export, Who.DOMAIN_ADMIN),
)
