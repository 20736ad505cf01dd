"""People: users of the server, members and invitations of domains, and one's own tokens of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError, NoSuchUser, PolicyRefused
from mailstead.model.people import ApiToken, FactorKind, Group, Listing
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

PER_PAGE: Final = 50
TEXT_CHARACTERS_MAX: Final = 200
DIGITS_MAX: Final = 6
TOKEN_DAYS_MAX: Final = 36_500


# users


async def people(visit: Visit) -> Response:
    """List users, or those that are sought."""
    return await _people(visit)


async def create(visit: Visit) -> Response:
    """Make a user."""
    fields = await visit.fields()
    try:
        made = await visit.house.users.create(
            visit.actor,
            Address.parse(fields.get("address", "").strip()),
            Secret(fields["password"]) if fields.get("password") else None,
            is_admin=fields.get("is_admin") == "yes",
            given_name=fields.get("given_name", "").strip(),
            family_name=fields.get("family_name", "").strip(),
        )
    except MailsteadError as error:
        return await _people(visit, error, fields)
    return visit.go(f"/admin/people/{made.user_id}", told="made")


async def person(visit: Visit) -> Response:
    """Show a user."""
    return await _person(visit)


async def change(visit: Visit) -> Response:
    """Change a user: part, whether he may come in, names, password; take second factors or sessions away."""
    fields, house = await visit.fields(), visit.house
    user = await house.users.get(visit.actor, visit.request.path_params["user_id"])
    try:
        match fields.get("verb"):
            case "change":
                changed = replace(
                    user,
                    is_admin=fields.get("is_admin") == "yes",
                    is_enabled=fields.get("is_enabled") == "yes",
                    given_name=fields.get("given_name", "").strip(),
                    family_name=fields.get("family_name", "").strip(),
                )
                await house.users.change(visit.actor, changed)
            case "password":
                await house.users.set_password(visit.actor, user.user_id, Secret(fields.get("password", "")))
            case "factors":
                await house.factor_settings.remove_all(visit.actor, Address.parse(user.address))
            case "sessions":
                await house.web_sessions.revoke_of(visit.actor, Address.parse(user.address))
            case "remove":
                if fields.get("address", "").strip().lower() != user.address:
                    raise PolicyRefused(_("Write the address to remove the user"))
                await house.users.remove(visit.actor, user.user_id)
                return visit.go("/admin/people", told="removed")
            case _:
                raise PolicyRefused(_("That cannot be done with users"))
    except MailsteadError as error:
        return await _person(visit, error)
    if user.user_id == visit.actor.user_id and fields.get("verb") != "change":
        return visit.go("/admin")  # the visitor's own sessions have ended
    return visit.go(f"/admin/people/{user.user_id}", told="changed")


async def _people(
    visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    query = visit.request.query_params
    text, number = query.get("q", "").strip()[:TEXT_CHARACTERS_MAX], _number(query.get("page", "")) or 1
    found = await visit.house.users.list(visit.actor, Listing(number, PER_PAGE, text=text))
    return visit.show(
        "people.html",
        200 if error is None else status_of(error),
        found=found.items,
        page=number,
        page_count=-(-found.item_count // PER_PAGE),
        text=text,
        fields=fields or {},
        error=error,
    )


async def _person(visit: Visit, error: MailsteadError | None = None) -> Response:
    user = await visit.house.users.get(visit.actor, visit.request.path_params["user_id"])
    address = Address.parse(user.address)
    factors = await visit.house.factor_settings.list_of(visit.actor, address)
    return visit.show(
        "person.html",
        200 if error is None else status_of(error),
        user=user,
        factors=sum(each.is_confirmed and each.kind is not FactorKind.RECOVERY for each in factors),
        sessions=await visit.house.web_sessions.list_of(visit.actor, address),
        error=error,
    )


# members of a domain


async def members(visit: Visit) -> Response:
    """Show members and invitations."""
    return await _members(visit)


async def invite(visit: Visit) -> Response:
    """Invite somebody by mail; where none can be sent, the link is shown once, to whom may see it."""
    fields, domain = await visit.fields(), visit.request.path_params["domain"]
    visit.actor.must_administer((await visit.house.domains.get(visit.actor, domain)).name)
    try:
        address = Address.parse(fields.get("address", "").strip())
        invited = await visit.house.members.invite(visit.actor, domain, address, _group(fields.get("group", "")))
    except MailsteadError as error:
        return await _members(visit, error, fields)
    if link := visit.house.members.link(invited):
        return visit.show("invited.html", domain=domain, address=address, is_mailed=invited.is_mailed, link=link)
    return visit.go(f"/admin/domains/{domain}/members", told="invited" if invited.is_mailed else "not-mailed")


async def change_member(visit: Visit) -> Response:
    """Give a member another part, end a membership, or withdraw an invitation."""
    fields, domain = await visit.fields(), visit.request.path_params["domain"]
    visit.actor.must_administer((await visit.house.domains.get(visit.actor, domain)).name)
    user_id, verbs = fields.get("user", ""), visit.house.members
    try:
        match fields.get("verb"):
            case "part":
                await verbs.change(visit.actor, domain, user_id, _group(fields.get("group", "")))
            case "remove":
                await verbs.remove(visit.actor, domain, user_id)
            case "withdraw":
                await verbs.withdraw(visit.actor, domain, Address.parse(fields.get("address", "")))
            case _:
                raise PolicyRefused(_("That cannot be done with members"))
    except MailsteadError as error:
        return await _members(visit, error)
    return visit.go(f"/admin/domains/{domain}/members", told="changed")


def _group(text: str) -> Group:
    """Errors: PolicyRefused."""
    try:
        return Group(text)
    except ValueError:
        raise PolicyRefused(_("Say which part")) from None


async def _members(
    visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    name = (await visit.house.domains.get(visit.actor, visit.request.path_params["domain"])).name
    visit.actor.must_administer(name)
    return visit.show(
        "members.html",
        200 if error is None else status_of(error),
        domain=name,
        members=await visit.house.members.list(visit.actor, name),
        invites=await visit.house.members.invites(visit.actor, name),
        fields=fields or {},
        error=error,
    )


# tokens


async def tokens(visit: Visit) -> Response:
    """Show the visitor's own."""
    return await _tokens(visit)


async def add_token(visit: Visit) -> Response:
    """Make one, shown once."""
    fields = await visit.fields()
    await visit.must_be_fresh()
    days = _number(fields.get("days", "").strip())
    try:
        if fields.get("days", "").strip() and not 0 < days <= TOKEN_DAYS_MAX:
            raise PolicyRefused(_("Say for how many days it is good, or nothing"))
        made = await visit.house.users.tokens.create(
            visit.actor,
            fields.get("label", ""),
            expires_at=visit.house.clock.now().replace(microsecond=0) + timedelta(days=days) if days else None,
            networks=fields.get("networks", "").replace(",", " ").split(),
        )
    except MailsteadError as error:
        return await _tokens(visit, error, fields)
    return visit.show("token.html", token=made.token, text=made.secret.reveal())


async def remove_token(visit: Visit) -> Response:
    """End one."""
    fields = await visit.fields()
    try:
        await visit.house.users.tokens.remove(visit.actor, fields.get("token", ""))
    except MailsteadError as error:
        return await _tokens(visit, error)
    return visit.go("/me/tokens", told="removed")


async def _tokens(
    visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    found: list[ApiToken] | None
    try:
        found = await visit.house.users.tokens.list(visit.actor)
    except NoSuchUser:  # an account that looks after nothing
        found = None
    status = 200 if error is None else status_of(error)
    values = {"tokens": found, "fields": fields or {}, "is_fresh": await visit.is_fresh(), "error": error}
    return visit.show("tokens.html", status, **values)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else 0


_MEMBERS: Final = "/admin/domains/{domain}/members"

PAGES: Final = (
    Page("/admin/people", people, Who.SERVER_ADMIN),
    Page("/admin/people", create, Who.SERVER_ADMIN, ("POST",)),
    Page("/admin/people/{user_id}", person, Who.SERVER_ADMIN),
    Page("/admin/people/{user_id}", change, Who.SERVER_ADMIN, ("POST",)),
    Page(_MEMBERS, members, Who.DOMAIN_ADMIN),
    Page(_MEMBERS, invite, Who.DOMAIN_ADMIN, ("POST",)),
    Page(_MEMBERS + "/change", change_member, Who.DOMAIN_ADMIN, ("POST",)),
    Page("/me/tokens", tokens, Who.PERSON),
    Page("/me/tokens", add_token, Who.PERSON, ("POST",)),
    Page("/me/tokens/remove", remove_token, Who.PERSON, ("POST",)),
)
