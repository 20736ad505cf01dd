"""Addresses elsewhere that nothing is sent to. Commands: ``mailstead suppression``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import StringConstraints

from mailstead.model.address import Address
from mailstead.model.people import Page
from mailstead.model.queue import Suppression
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment


class SuppressionAdded(Model):
    """Whom nothing is to be sent to any more."""

    address: str
    reason: Annotated[str, StringConstraints(max_length=500)] = "suppressed by the administrator"
    """Shown to those who write to it."""


class SuppressionShown(Shown):
    """An address that nothing is sent to."""

    address: str
    reason: str
    since: Moment


async def list_suppressions(call: Call) -> Answer:
    """Give a page, newest first."""
    found = await call.house.administration.outgoing.suppressions(call.actor)
    listing = listing_of(call.query)
    part = found[listing.skipped_count : listing.skipped_count + listing.limit]
    return Answer([_shown(each) for each in part], page=Page(tuple(part), len(found)))


async def add(call: Call) -> Answer:
    """Suppress an address."""
    asked: SuppressionAdded = call.body
    made = await call.house.administration.outgoing.suppress(call.actor, Address.parse(asked.address), asked.reason)
    return Answer(_shown(made))


async def remove(call: Call) -> Answer:
    """Send to an address again."""
    await call.house.administration.outgoing.unsuppress(call.actor, Address.parse(call.path["address"]))
    return Answer()


def _shown(each: Suppression) -> SuppressionShown:
    return SuppressionShown(address=str(each.address), reason=each.reason, since=each.at)


_ours: Final = partial(Endpoint, tag="suppressions", auth=Auth.TOKEN, right=Right.SERVER_ADMIN, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/suppressions",
        "list-suppressions",
        "Addresses that nothing is sent to, as they have failed for good",
        handler=list_suppressions,
        query=Listed,
        shows=list[SuppressionShown],
        command="suppression list",
    ),
    _ours(
        "POST",
        "/v1/suppressions",
        "add-suppression",
        "Send nothing to an address any more",
        handler=add,
        body=SuppressionAdded,
        shows=SuppressionShown,
        status=201,
        command="suppression add",
    ),
    _ours(
        "DELETE",
        "/v1/suppressions/{address}",
        "remove-suppression",
        "Send mail to an address again",
        handler=remove,
        status=204,
        command="suppression remove",
    ),
)
