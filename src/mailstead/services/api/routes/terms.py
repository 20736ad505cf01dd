"""What can be chosen for a domain: ordinary mail or chatmail, and each term. Commands: ``mailstead domain``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from mailstead.model.directory import Domain
from mailstead.policy.domain_terms import TERMS, text_of_term
from mailstead.policy.profiles import PROFILES
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Password

HIDDEN: Final = "(hidden)"
_Text = Annotated[str, StringConstraints(max_length=100_000)]


class TermShown(Shown):
    """One term of a domain."""

    name: str
    value: str
    """As it is written to be changed; secrets are only said to be there."""
    help: str
    is_secret: bool


class TermsShown(Shown):
    """All terms of a domain."""

    domain: str
    terms: list[TermShown]


class TermsChange(Model):
    """What is to be changed."""

    terms: Annotated[dict[str, _Text], Field(default_factory=dict, max_length=200)]
    """Term and value as text, as the command line takes them."""
    smarthost_password: Password = None


class ProfileShown(Shown):
    """Terms that a new domain begins with."""

    name: str
    terms: dict[str, str]


async def show(call: Call) -> Answer:
    """Give the terms."""
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    return Answer(_shown(await call.house.domains.get(call.actor, entry.domain.name)))


async def change(call: Call) -> Answer:
    """Change some."""
    asked: TermsChange = call.body
    entry = await call.house.administration.find_domain(call.actor, call.path["domain_id"])
    changed = await call.house.domains.set_terms(call.actor, entry.domain.name, asked.terms, asked.smarthost_password)
    return Answer(_shown(changed))


async def list_profiles(_call: Call) -> Answer:
    """Give what a new domain may be."""
    return Answer(
        [
            ProfileShown(name=name, terms={term: text_of_term(value) for term, value in terms.items()})
            for name, terms in PROFILES.items()
        ]
    )


def _shown(domain: Domain) -> TermsShown:
    terms = []
    for name, term in TERMS.items():
        value = text_of_term(getattr(domain.terms, name))
        shown = HIDDEN if term.is_secret and value else value
        terms.append(TermShown(name=name, value=shown, help=term.help, is_secret=term.is_secret))
    return TermsShown(domain=domain.name, terms=terms)


_ours: Final = partial(Endpoint, tag="domain terms", auth=Auth.TOKEN, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/profiles",
        "list-profiles",
        "What a new domain may be: ordinary mail, or chatmail",
        right=Right.CALLER,
        handler=list_profiles,
        query=Model,
        shows=list[ProfileShown],
        command="domain add --help",
    ),
    _ours(
        "GET",
        "/v1/domains/{domain_id}/terms",
        "show-domain-terms",
        "The terms of a domain, each with its help",
        right=Right.MEMBER,
        handler=show,
        shows=TermsShown,
        command="domain show",
    ),
    _ours(
        "PUT",
        "/v1/domains/{domain_id}/terms",
        "change-domain-terms",
        "Change terms of a domain",
        right=Right.DOMAIN_ADMIN,
        handler=change,
        body=TermsChange,
        shows=TermsShown,
        command="domain set",
    ),
)
