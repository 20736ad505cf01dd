"""What to publish in the DNS, and writing it at the provider. Command: ``mailstead dns``."""

from __future__ import annotations

from functools import partial
from typing import Final

from mailstead.model.errors import Conflict
from mailstead.policy.dns_records import TTL_S, Record, zone_line
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.usecases.dns_writing import Compared, RecordState


class RecordShown(Shown):
    """One record to publish."""

    purpose: str
    name: str
    type: str
    ttl_s: int
    value: str
    zone_line: str
    """Ready to paste into a zone file."""
    why: str
    is_optional: bool
    is_template: bool
    """Something in it is for the reader to fill in."""


class Write(Model):
    """What is to be written."""

    replace: bool = False
    """Put records in the place of those that differ; else these are only shown."""
    optional: bool = False
    """Optional records, too."""


class ComparedShown(Shown):
    """A record, and what the zone had in its place."""

    state: str
    """``there``, ``missing``, ``differs``, ``template``; after writing ``added``, ``replaced``, ``refused``."""
    found: list[str]
    reason: str
    record: RecordShown


async def show_host(call: Call) -> Answer:
    """Give the records of the mail host."""
    return Answer([_record(each) for each in await call.house.administration.dns_plan().of_host(call.actor)])


async def show_domain(call: Call) -> Answer:
    """Give the records of a domain."""
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    return Answer(
        [_record(each) for each in await call.house.administration.dns_plan().of_domain(call.actor, entry.domain.name)]
    )


async def write(call: Call) -> Answer:
    """Write what is missing, and what differs where that is wanted; a dry run compares."""
    asked: Write = call.body
    writer = call.house.administration.dns_writer()
    if writer is None:
        raise Conflict("dns_provider.kind is empty: set who publishes the zone, and its credentials")
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    compared = await writer.look(call.actor, entry.domain.name, has_optional=asked.optional)
    chosen = [each for each in compared if _is_chosen(each, replaces=asked.replace)]
    if not call.is_dry_run:
        written = iter(await writer.write(call.actor, chosen))
        compared = [next(written) if each in chosen else each for each in compared]
    return Answer([_compared(each) for each in compared])


def _is_chosen(each: Compared, *, replaces: bool) -> bool:
    return each.state is RecordState.MISSING or (replaces and each.is_replaceable)


def _record(record: Record) -> RecordShown:
    return RecordShown(
        purpose=record.purpose,
        name=record.name,
        type=record.kind,
        ttl_s=TTL_S,
        value=record.value,
        zone_line=zone_line(record),
        why=record.why,
        is_optional=record.is_optional,
        is_template=record.is_template,
    )


def _compared(each: Compared) -> ComparedShown:
    return ComparedShown(
        state=each.state.value, found=list(each.found), reason=each.reason, record=_record(each.record)
    )


_ours: Final = partial(Endpoint, tag="dns", auth=Auth.TOKEN, is_ours=True, command="dns")

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/dns",
        "show-host-records",
        "The DNS records of the mail host, the same for all domains",
        right=Right.SERVER_ADMIN,
        handler=show_host,
        query=Model,
        shows=list[RecordShown],
    ),
    _ours(
        "GET",
        "/v1/domains/{domain_id}/dns",
        "show-domain-records",
        "Every DNS record that a domain needs, and why",
        right=Right.MEMBER,
        handler=show_domain,
        query=Model,
        shows=list[RecordShown],
    ),
    _ours(
        "POST",
        "/v1/domains/{domain_id}/dns",
        "write-domain-records",
        "Compare with the zone at the DNS provider, and add what is missing",
        right=Right.SERVER_ADMIN,
        handler=write,
        body=Write,
        shows=list[ComparedShown],
        offers_dry_run=True,
    ),
)
