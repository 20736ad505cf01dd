"""Addresses of a domain: those with a mailbox, those that lead elsewhere, and where mail for one goes."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.people import FactorKind, Listing
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.policy.address_rules import AddressWishes
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

PER_PAGE: Final = 50
TABLE_OCTETS_MAX: Final = 1024 * 1024


async def addresses(visit: Visit) -> Response:
    """List a part of them, and where mail for one goes that was asked for."""
    return await _list(visit)


async def create(visit: Visit) -> Response:
    """Make one: with a mailbox and its password, or with targets."""
    fields, name = await visit.fields(), visit.request.path_params["domain"]
    has_mailbox = fields.get("kind") == "mailbox"
    wishes = AddressWishes(
        name=fields.get("name", "").strip(),
        recipients=_words(fields.get("recipients", "")),
        description=fields.get("description", "").strip() or None,
        has_imap=has_mailbox,
    )
    try:
        made = await visit.house.address_book.create(visit.actor, name, wishes)
        if has_mailbox and fields.get("password"):
            await visit.house.accounts.set_password(visit.actor, made.entry.owner.address, Secret(fields["password"]))
    except MailsteadError as error:
        return await _list(visit, error, fields.get("name", ""))
    return visit.go(_one(name, made.entry.owner.address), told="made")


async def address(visit: Visit) -> Response:
    """Show one, with a form for what can be changed."""
    return await _show(visit)


async def change(visit: Visit) -> Response:
    """Change one."""
    fields, name, local_part = await visit.fields(), *_path(visit)
    wishes = AddressWishes(
        recipients=_words(fields.get("recipients", "")),
        description=fields.get("description", "").strip(),
        labels=_words(fields.get("labels", "")),
        is_enabled=fields.get("is_enabled") == "yes",
        max_quota=fields["max_quota"].strip() if "max_quota" in fields else None,
    )
    try:
        shown = await visit.house.address_book.change(visit.actor, name, local_part, wishes)
        if fields.get("password"):
            await visit.house.accounts.set_password(visit.actor, shown.entry.owner.address, Secret(fields["password"]))
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(_one(name, shown.entry.owner.address), told="changed")


async def coming_in(visit: Visit) -> Response:
    """Take second factors, or sessions of browsers, away from the owner of a mailbox."""
    fields, name, local_part = await visit.fields(), *_path(visit)
    owner = (await visit.house.address_book.get(visit.actor, name, local_part)).entry.owner.address
    try:
        match fields.get("verb"):
            case "factors":
                await visit.house.factor_settings.remove_all(visit.actor, owner)
            case "sessions":
                await visit.house.web_sessions.revoke_of(visit.actor, owner)
            case _:
                raise PolicyRefused(_("That cannot be done with addresses"))
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(_one(name, owner), told="changed")


async def remove(visit: Visit) -> Response:
    """Remove one; a mailbox only where its address was written once more."""
    fields, name, local_part = await visit.fields(), *_path(visit)
    try:
        shown = await visit.house.address_book.get(visit.actor, name, local_part)
        written = fields.get("address", "").strip().casefold()
        if shown.account is not None and written != shown.entry.owner.address.key:
            raise PolicyRefused(_("Write the address to remove it with all its mail"))
        await visit.house.address_book.delete(visit.actor, name, local_part)
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(f"/admin/domains/{name}/addresses", told="removed")


async def export(visit: Visit) -> Response:
    """Give all of a domain as a table for spreadsheets."""
    name = visit.request.path_params["domain"]
    text = await visit.house.address_tables.export(visit.actor, name)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"', "x-content-type-options": "nosniff"}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def import_(visit: Visit) -> Response:
    """Take a table; first it is only looked at, and each line is told."""
    fields, name = await visit.fields(TABLE_OCTETS_MAX), visit.request.path_params["domain"]
    is_dry_run = fields.get("verb") != "import"
    try:
        lines = await visit.house.address_tables.import_(
            visit.actor, name, fields.get("table", ""), is_dry_run=is_dry_run
        )
    except MailsteadError as error:
        return await _list(visit, error)
    return visit.show("import.html", domain=name, lines=lines, table=fields.get("table", ""), is_dry_run=is_dry_run)


async def _list(visit: Visit, error: MailsteadError | None = None, name: str = "") -> Response:
    domain, query = visit.request.path_params["domain"], visit.request.query_params
    administers = visit.actor.administers((await visit.house.address_book.domain(visit.actor, domain)).domain.name)
    page = int(query["page"]) if query.get("page", "").isdecimal() and len(query["page"]) < 7 else 1
    text = query.get("q", "").strip()[:200]
    found = await visit.house.address_book.list(visit.actor, domain, Listing(max(page, 1), PER_PAGE, text=text))
    asked, explained = query.get("explain", "").strip()[:320], None
    if asked and administers:
        try:
            explained = await visit.house.addresses.explain(
                Address.parse(asked if "@" in asked else f"{asked}@{domain}")
            )
        except MailsteadError as wrong:
            error = wrong
    return visit.show(
        "addresses.html",
        200 if error is None else status_of(error),
        domain=domain,
        administers=administers,
        found=found.items,
        count=found.item_count,
        page=max(page, 1),
        page_count=-(-found.item_count // PER_PAGE),
        text=text,
        asked=asked,
        explained=explained,
        name=name,
        error=error,
    )


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    domain, local_part = _path(visit)
    shown = await visit.house.address_book.get(visit.actor, domain, local_part)
    factor_count, sessions = 0, None
    if shown.account is not None and visit.actor.is_admin:
        owner = shown.entry.owner.address
        factors = await visit.house.factor_settings.list_of(visit.actor, owner)
        factor_count = sum(each.is_confirmed and each.kind is not FactorKind.RECOVERY for each in factors)
        sessions = await visit.house.web_sessions.list_of(visit.actor, owner)
    return visit.show(
        "address.html",
        200 if error is None else status_of(error),
        domain=domain,
        administers=visit.actor.administers(domain),
        shown=shown,
        factors=factor_count,
        sessions=sessions,
        error=error,
    )


def _path(visit: Visit) -> tuple[str, str]:
    return visit.request.path_params["domain"], visit.request.path_params["local_part"]


def _one(domain: str, address: Address) -> str:
    return f"/admin/domains/{domain}/addresses/{quote(address.local_part, safe='')}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


_ALL: Final = "/admin/domains/{domain}/addresses"
_ADDRESS: Final = _ALL + "/{local_part}"

PAGES: Final = (
    Page(_ALL, addresses, Who.MEMBER),
    Page(_ALL, create, Who.MEMBER, ("POST",)),
    Page("/admin/domains/{domain}/addresses.csv", export, Who.DOMAIN_ADMIN),
    Page("/admin/domains/{domain}/import", import_, Who.DOMAIN_ADMIN, ("POST",)),
    Page(_ADDRESS, address, Who.MEMBER),
    Page(_ADDRESS, change, Who.MEMBER, ("POST",)),
    Page(_ADDRESS + "/log-in", coming_in, Who.SERVER_ADMIN, ("POST",)),
    Page(_ADDRESS + "/remove", remove, Who.MEMBER, ("POST",)),
)
