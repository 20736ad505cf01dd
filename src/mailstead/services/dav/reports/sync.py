"""The report sync-collection: what happened since the client last asked.

Spec: RFC 6578 §3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response

from mailstead.model.dav import CollectionKind
from mailstead.proto.dav import write
from mailstead.proto.dav.types import SyncCollection
from mailstead.services.dav.reports.answers import Answers, ReportCall, cut_short, multistatus
from mailstead.usecases.resources import Found, Resources


async def sync_collection(call: ReportCall, report: SyncCollection) -> Response:
    """Tell what changed and what is gone; with more than the client's limit, 507 and a token to go on from.

    There are no collections in collections here, so both levels mean the same. The Depth header is not looked at, as
    old clients send 1 where the RFC wants 0. Objects asked for with their data come as they were put.

    Spec: RFC 6578 §3.2 to §3.6.
    """
    opened = await call.opened()
    is_book = opened.collection.kind is CollectionKind.ADDRESSBOOK
    resources: Resources = call.house.contacts if is_book else call.house.calendar_objects
    answers = Answers(call, opened, report.wanted)
    with_octets = (report.wanted.address_data if is_book else report.wanted.calendar_data) is not None

    async def pieces() -> AsyncIterator[str]:
        token, is_complete = "", True
        async for page in resources.changes(opened, report.token, report.limit, with_octets=with_octets):
            for resource in page.changed:
                yield answers.of(Found(resource, resource.octets))
            for name in page.deleted:
                yield write.bare_response(answers.href(name), 404)
            token, is_complete = resources.tokens.of(opened, page.modseq), page.is_complete
        if not is_complete:
            yield cut_short(call)
        yield write.end(token)

    return await multistatus(pieces())


REPORTS: Final = {SyncCollection: sync_collection}
