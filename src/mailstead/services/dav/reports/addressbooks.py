"""Reports on address books: addressbook-query, addressbook-multiget.

Spec: RFC 6352 §8.6, §8.7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response

from mailstead.model.dav import CollectionKind
from mailstead.model.errors import TooManyMatches
from mailstead.proto.dav import write
from mailstead.proto.dav.types import AddressbookMultiget, AddressbookQuery
from mailstead.services.dav.reports.answers import Answers, ReportCall, cut_short, multistatus
from mailstead.usecases.contacts import WantedCards


async def addressbook_query(call: ReportCall, report: AddressbookQuery) -> Response:
    """Answer an addressbook-query; what is more than the client's limit is told with 507. Spec: RFC 6352 §8.6."""
    opened = await call.opened(CollectionKind.ADDRESSBOOK)
    contacts, wanted = call.house.contacts, WantedCards(report.wanted.address_data)
    answers = Answers(call, opened, report.wanted)

    async def pieces() -> AsyncIterator[str]:
        try:
            async for page in contacts.query(opened, report.filter, wanted, limit=report.limit):
                for found in page:
                    yield answers.of(found)
        except TooManyMatches as error:
            yield cut_short(call, error.public_text)
        yield write.end()

    return await multistatus(pieces())


async def addressbook_multiget(call: ReportCall, report: AddressbookMultiget) -> Response:
    """Answer an addressbook-multiget. Spec: RFC 6352 §8.7."""
    opened = await call.opened(CollectionKind.ADDRESSBOOK)
    contacts, wanted = call.house.contacts, WantedCards(report.wanted.address_data)
    answers = Answers(call, opened, report.wanted)

    async def pieces() -> AsyncIterator[str]:
        named, others = answers.names(report.hrefs)
        async for part, found in contacts.multiget(opened, list(named), wanted):
            for name in part:
                yield answers.of(found[name]) if name in found else write.bare_response(named[name], 404)
        for href in others:
            yield write.bare_response(href, 404)
        yield write.end()

    return await multistatus(pieces())


REPORTS: Final = {AddressbookQuery: addressbook_query, AddressbookMultiget: addressbook_multiget}
