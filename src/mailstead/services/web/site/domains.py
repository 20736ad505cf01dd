"""Domains: what to publish for each, its keys, and the rules it has."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.policy.domain_terms import SERVERS_OWN, TERMS, text_of_term
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

KINDS: Final = ("mail", "chatmail")


async def domains(visit: Visit) -> Response:
    """List those that the visitor looks after."""
    return await _list(visit)


async def add(visit: Visit) -> Response:
    """Add one."""
    fields = await visit.fields()
    kind = fields.get("kind", "mail")
    try:
        made = await visit.house.domains.add(visit.actor, fields.get("name", "").strip(), kind)
    except MailsteadError as error:
        return await _list(visit, fields.get("name", ""), error)
    return visit.go(f"/admin/domains/{made.name}")


async def domain(visit: Visit) -> Response:
    """Show one: its records, each with what it is for, and its keys."""
    return await _show(visit)


async def keys(visit: Visit) -> Response:
    """Do something with the keys: make the next ones, let them sign, retire or remove one."""
    fields, name = await visit.fields(), visit.request.path_params["domain"]
    verbs, selector = visit.house.keys, fields.get("selector", "")
    try:
        match fields.get("verb"):
            case "create":
                await verbs.create(visit.actor, name)
            case "rotate":
                await verbs.rotate(visit.actor, name)
            case "activate":
                await verbs.activate(visit.actor, name)
            case "retire":
                await verbs.retire(visit.actor, name, selector)
            case "remove":
                await verbs.remove(visit.actor, name, selector)
            case _:
                raise PolicyRefused(_("That cannot be done with keys"))
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(f"/admin/domains/{name}", told="keys")


async def rules(visit: Visit) -> Response:
    """Show all terms with their help, and take changes: only what differs is set."""
    name = visit.request.path_params["domain"]
    entry = await visit.house.domains.get(visit.actor, name)
    visit.actor.must_administer(entry.name)
    now = {term: text_of_term(getattr(entry.terms, term)) for term in TERMS}
    if visit.request.method == "GET":
        return visit.show("rules.html", domain=entry, terms=_shown_terms(visit), now=now, error=None)
    fields = await visit.fields()
    # What is not shown comes back empty, and means that it stays.
    wanted = {
        term: fields[term].strip()
        for term in TERMS
        if term in fields and fields[term].strip() != now[term] and not (TERMS[term].is_secret and not fields[term])
    }
    try:
        if wanted:
            await visit.house.domains.set_terms(visit.actor, entry.name, wanted)
    except MailsteadError as error:
        shown = {term: fields.get(term, now[term]) for term in TERMS}
        return visit.show(
            "rules.html", status_of(error), domain=entry, terms=_shown_terms(visit), now=shown, error=error
        )
    return visit.go(f"/admin/domains/{entry.name}", told="rules")


async def remove(visit: Visit) -> Response:
    """Remove a domain whose name was written once more."""
    fields, name = await visit.fields(), visit.request.path_params["domain"]
    try:
        if fields.get("name", "").strip().lower() != name.lower():
            raise PolicyRefused(_("Write the name of the domain to remove it"))
        await visit.house.domains.remove(visit.actor, name)
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/admin/domains", told="removed")


async def _list(visit: Visit, name: str = "", error: MailsteadError | None = None) -> Response:
    found = [each for each in await visit.house.domains.list(visit.actor) if visit.actor.administers(each.name)]
    status = 200 if error is None else status_of(error)
    return visit.show("domains.html", status, domains=found, kinds=KINDS, name=name, error=error)


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    name = visit.request.path_params["domain"]
    entry = await visit.house.domains.get(visit.actor, name)
    visit.actor.must_administer(entry.name)
    plan = visit.house.dns_plan()
    return visit.show(
        "domain.html",
        200 if error is None else status_of(error),
        domain=entry,
        records=await plan.of_domain(visit.actor, entry.name),
        host_records=await plan.of_host(visit.actor),
        keys=await visit.house.keys.list(visit.actor, entry.name),
        error=error,
    )


def _shown_terms(visit: Visit) -> list[tuple[str, str, bool, bool]]:
    """Give name, help, whether it is a secret, and whether the visitor may change it, of each term."""
    return [
        (name, term.help, term.is_secret, visit.actor.is_admin or name not in SERVERS_OWN)
        for name, term in TERMS.items()
    ]


PAGES: Final = (
    Page("/admin/domains", domains, Who.DOMAIN_ADMIN),
    Page("/admin/domains", add, Who.SERVER_ADMIN, ("POST",)),
    Page("/admin/domains/{domain}", domain, Who.DOMAIN_ADMIN),
    Page("/admin/domains/{domain}/keys", keys, Who.DOMAIN_ADMIN, ("POST",)),
    Page("/admin/domains/{domain}/rules", rules, Who.DOMAIN_ADMIN, ("GET", "POST")),
    Page("/admin/domains/{domain}/remove", remove, Who.SERVER_ADMIN, ("POST",)),
)
