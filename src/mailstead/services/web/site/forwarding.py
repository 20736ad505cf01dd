"""Where one's own mail is sent on to: a new address shows with a code that it wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import AuthenticationFailed, FactorNeeded, MailsteadError, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _


async def forwarding(visit: Visit) -> Response:
    """Show it."""
    return await _show(visit)


async def act(visit: Visit) -> Response:
    """Add an address, take its code, remove one, say whether a copy stays."""
    fields, verbs = await visit.fields(), visit.house.own_forwarding
    try:
        match fields.get("verb"):
            case "add":
                await visit.must_be_fresh()  # who only finds a browser open does not get all mail to come
                is_sent = await verbs.ask(visit.actor, Address.parse(fields.get("target", "").strip()))
                return visit.go("/me/forwarding", told="sent" if is_sent else "done")
            case "confirm":
                await verbs.confirm(visit.actor, Secret(fields.get("code", "")))
            case "withdraw":
                await verbs.withdraw(visit.actor)
            case "remove":
                await verbs.remove(visit.actor, fields.get("target", ""))
            case "copy":
                await verbs.keep_copy(visit.actor, keeps_copy=fields.get("keeps_copy") == "yes")
            case _unknown:
                raise PolicyRefused(_("That cannot be done with mail that is sent on"))
    except FactorNeeded:
        raise
    except AuthenticationFailed as error:  # of a code, not of who asks
        return await _show(visit, PolicyRefused(error.public_text), fields)
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/forwarding", told="done")


async def _show(visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None) -> Response:
    return visit.show(
        "me/forwarding.html",
        200 if error is None else status_of(error),
        found=await visit.house.own_forwarding.get(visit.actor),
        fields=fields or {},
        is_fresh=await visit.is_fresh(),
        error=error,
    )


PAGES: Final = (
    Page("/me/forwarding", forwarding, Who.OWNER),
    Page("/me/forwarding", act, Who.OWNER, ("POST",)),
)
