"""A domain becomes a chatmail relay, or an ordinary one again: what changes, and what forbids it, is told first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused
from mailstead.policy.domain_terms import TERMS, text_of_term
from mailstead.policy.profiles import PROFILES
from mailstead.ports.storage import Storage
from mailstead.usecases.domains import Domains

MAIL: Final = "mail"
CHATMAIL: Final = "chatmail"


class Hindrance(StrEnum):
    """What forbids it."""

    HAS_ACCOUNTS = "has accounts"
    """As a relay it would refuse them mail in clear text, and remove what is older than some weeks."""
    IS_LITERAL = "is an IP address"
    """Only relays may be one."""


@dataclass(frozen=True, slots=True)
class TermChange:
    """A term that would be another one."""

    name: str
    help: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class KindPlan:
    """What it means to make a domain one of the other kind."""

    domain: Domain
    account_count: int
    kind: str
    """What it is now: ``mail`` or ``chatmail``."""
    other: str
    """What it would become."""
    changes: tuple[TermChange, ...]
    hindrance: Hindrance | None
    """Why it is refused; None: it is not."""


class DomainKinds:
    """For administrators of the server (NotAllowed)."""

    def __init__(self, storage: Storage, domains: Domains) -> None:
        self._directory = storage.directory
        self._domains = domains

    async def plan(self, actor: Actor, name: str) -> KindPlan:
        """Tell what would change. Errors: BadAddress, NoSuchDomain."""
        actor.must_be_admin()
        domain = await self._domains.get(actor, name)
        accounts = await self._directory.accounts(domain.name)
        kind = CHATMAIL if domain.terms.is_chatmail else MAIL
        other = MAIL if kind == CHATMAIL else CHATMAIL
        hindrance: Hindrance | None = None
        if other == CHATMAIL and accounts:
            hindrance = Hindrance.HAS_ACCOUNTS
        elif other == MAIL and domain.name.startswith("["):
            hindrance = Hindrance.IS_LITERAL
        return KindPlan(domain, len(accounts), kind, other, tuple(_changes(domain.terms, other)), hindrance)

    async def switch(self, actor: Actor, name: str, kind: str) -> Domain:
        """Make a domain one of a kind; one that is it already stays as it is. Accounts keep mail and passwords.

        Errors: PolicyRefused, with what stands in the way, and for a kind that there is not; BadAddress, NoSuchDomain.
        """
        if kind not in PROFILES:
            raise PolicyRefused("Say what the domain is to become")
        plan = await self.plan(actor, name)
        if plan.kind == kind:
            return plan.domain
        if plan.hindrance:
            raise PolicyRefused(f"That is not possible: the domain {plan.hindrance}")
        return await self._domains.set_terms(actor, name, {each.name: each.after for each in plan.changes})


def _changes(terms: DomainTerms, kind: str) -> Sequence[TermChange]:
    """Give what differs from the kind; of a relay's own terms none stays when it becomes an ordinary domain."""
    ordinary = DomainTerms()
    wanted = {name: PROFILES[kind].get(name, getattr(ordinary, name)) for name in PROFILES[CHATMAIL]}
    found = [
        TermChange(name, TERMS[name].help, text_of_term(getattr(terms, name)), text_of_term(value))
        for name, value in wanted.items()
    ]
    return [each for each in found if each.before != each.after]
