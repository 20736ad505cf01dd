"""A relay's configuration becomes a domain and its terms; done again, it changes what has changed."""

from __future__ import annotations

from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, DomainExists, NoSuchDomain
from mailstead.policy.chatmail_ini import Relay
from mailstead.policy.domain_terms import changed_terms
from mailstead.usecases.domains import Domains

PROFILE = "chatmail"


async def adopt(domains: Domains, actor: Actor, relay: Relay, *, changes: bool = True) -> Domain:
    """Make the domain, if it is not there, and set its terms; without `changes` only check them.

    Errors: NotAllowed, BadAddress; BadSettings, also for a domain that is an ordinary one.
    """
    try:
        domain = await domains.get(actor, relay.domain)
    except NoSuchDomain:
        blank = Domain(relay.domain).terms
        changed_terms(blank, relay.terms)  # what is wrong is told before anything is made
        if not changes:
            return Domain(relay.domain, blank)
        try:
            domain = await domains.add(actor, relay.domain, PROFILE)
        except DomainExists:  # another process of the house, which starts at the same time, was first
            domain = await domains.get(actor, relay.domain)
    if not domain.terms.is_chatmail:
        raise BadSettings(f"{domain.name} is an ordinary mail domain here; `mailstead domain set` makes a relay of it")
    if not changes:
        changed_terms(domain.terms, relay.terms)
        return domain
    return await domains.set_terms(actor, relay.domain, relay.terms)
