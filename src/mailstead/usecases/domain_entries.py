"""Which domain somebody means: by its name or by its id, if it is one that he has a part in."""

from __future__ import annotations

from mailstead.model.address import normal_domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, NoSuchDomain
from mailstead.model.people import DomainEntry
from mailstead.ports.people import People


async def domain_entry(people: People, actor: Actor, name_or_id: str) -> DomainEntry:
    """Give a domain that the actor has a part in. Errors: NoSuchDomain, one and the same for others' and for none."""
    try:
        entry = await people.domain_entry(normal_domain(name_or_id))  # an id is a name as far as that goes
    except BadAddress:
        entry = None
    if entry is None:
        raise NoSuchDomain(domain=name_or_id)
    actor.must_be_member(entry.domain.name)
    return entry


async def administered(people: People, actor: Actor, name_or_id: str) -> DomainEntry:
    """Give a domain that the actor looks after. Errors: NoSuchDomain; NotAllowed for its other members."""
    entry = await domain_entry(people, actor, name_or_id)
    actor.must_administer(entry.domain.name)
    return entry
