"""Addresses of one's own: which lead to the visitor's mailbox, and those that he makes, names and switches off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _


async def addresses(visit: Visit) -> Response:
    """Show them."""
    return await _show(visit)


async def act(visit: Visit) -> Response:
    """Make one, or do something with one that the visitor has made."""
    fields, verbs = await visit.fields(), visit.house.own_aliases
    verb, made = fields.get("verb", ""), ""
    try:
        match verb:
            case "make":
                name = fields.get("name", "")
                if not name.strip():
                    raise PolicyRefused(_("Write how the address is to begin, or have one made up"))
                alias = await verbs.make(visit.actor, name=name, description=fields.get("description", ""))
                made = str(alias.address)
            case "hide":
                alias = await verbs.make(visit.actor, description=fields.get("description", ""))
                made = str(alias.address)
            case "describe":
                await verbs.describe(visit.actor, _named(fields), fields.get("description", ""))
            case "on" | "off":
                await verbs.switch(visit.actor, _named(fields), is_enabled=verb == "on")
            case "remove":
                if fields.get("sure") != "yes":
                    raise PolicyRefused(_("Say that the address may go"))
                await verbs.remove(visit.actor, _named(fields))
            case _unknown:
                raise PolicyRefused(_("That cannot be done with addresses"))
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/addresses", told="made", address=made) if made else visit.go("/me/addresses", told="done")


def _named(fields: Mapping[str, str]) -> Address:
    """Errors: BadAddress."""
    return Address.parse(fields.get("address", ""))


async def _show(visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None) -> Response:
    found = await visit.house.own_aliases.list(visit.actor)
    asked = visit.request.query_params.get("address", "")
    own = (str(each.alias.address) for each in found.aliases if each.is_own)
    return visit.show(
        "me/addresses.html",
        200 if error is None else status_of(error),
        found=found,
        made=next((each for each in own if each == asked), ""),
        fields=fields or {},
        error=error,
    )


PAGES: Final = (
    Page("/me/addresses", addresses, Who.OWNER),
    Page("/me/addresses", act, Who.OWNER, ("POST",)),
)
