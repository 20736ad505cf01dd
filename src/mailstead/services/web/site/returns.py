"""What is in a backup, and an account brought back from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.account_returns import Way

ACCOUNTS_MAX: Final = 200
PATH: Final = "/admin/backups/restore"


async def restore(visit: Visit) -> Response:
    """Show what is in the snapshot of the query, the newest without one."""
    return await _show(visit, visit.request.query_params.get("snapshot", ""))


async def act(visit: Visit) -> Response:
    """Bring an account back, or try a snapshot out; both go on behind the page."""
    fields = await visit.fields()
    returns, name = visit.house.care.returns, fields.get("snapshot", "")
    try:
        match fields.get("verb"):
            case "try":
                await returns.try_out(visit.actor, name)
            case "restore":
                way, beside = fields.get("way", ""), None
                if way not in set(Way):
                    raise PolicyRefused(_("Say where it is to come back to"))
                if way == Way.BESIDE:
                    beside = Address.parse(fields.get("beside", "").strip()), Secret(fields.get("password", ""))
                await returns.begin(
                    visit.actor, name, Address.parse(fields.get("address", "").strip()), Way(way), beside
                )
            case _unknown:
                raise PolicyRefused(_("That cannot be done with backups"))
    except MailsteadError as error:
        return await _show(visit, name, error, fields)
    return visit.go(PATH, snapshot=name)


async def _show(
    visit: Visit, name: str, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    contents = unready = None
    returned, tried = await visit.house.care.returns.last(visit.actor)
    try:
        contents = await visit.house.care.returns.look(visit.actor, name)
    except MailsteadError as wrong:
        unready = wrong
    sought = visit.request.query_params.get("q", "").strip().casefold()[:320]
    fitting = [each for each in contents.accounts if sought in str(each.address).casefold()] if contents else []
    is_under_way = any(each is not None and each.ended_at is None for each in (returned, tried))
    return visit.show(
        "restore.html",
        200 if error is None else status_of(error),
        contents=contents,
        accounts=fitting[:ACCOUNTS_MAX],
        count=len(fitting),
        sought=sought,
        ways=[each.value for each in Way],
        returned=returned,
        tried=tried,
        is_under_way=is_under_way,
        unready=unready,
        fields=fields or {},
        error=error,
    )


PAGES: Final = (
    Page(PATH, restore, Who.SERVER_ADMIN),
    Page(PATH, act, Who.SERVER_ADMIN, ("POST",)),
)
