"""Mail from another provider: looked at, then brought by the server's workers while the page tells how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, NoSuchImport, PolicyRefused
from mailstead.model.remote_imports import ImportReason, RemoteSecurity, RemoteServer
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.remote_imports import Checked

REASONS: Final = {
    ImportReason.QUOTA: _("Your mailbox is full"),
    ImportReason.REFUSED: _("The other server refuses the log-in"),
    ImportReason.UNREACHABLE: _("The other server cannot be reached; it is tried again"),
    ImportReason.LOCKED: _("Your mailbox is sealed: log in with your password to go on"),
    ImportReason.HOUSE: _("Something on this server stands in the way; it is tried again"),
}


async def imports(visit: Visit) -> Response:
    """Show the import that is under way or was last; where there is none, the form."""
    return await _show(visit)


async def act(visit: Visit) -> Response:
    """Look at the other server, begin, go on, cancel, or throw the report away."""
    fields, verbs = await visit.fields(), visit.house.remote_imports
    password = Secret(fields.get("password", ""))
    try:
        match fields.get("verb"):
            case "check":
                found = await verbs.check(visit.actor, _server(fields), password)
                return await _show(visit, fields=fields, checked=found)
            case "begin":
                chosen = {
                    name.removeprefix("mailbox-"): target
                    for name, target in fields.items()
                    if name.startswith("mailbox-")
                }
                await verbs.begin(visit.actor, _server(fields), password, chosen or None)
            case "resume":
                await verbs.resume(visit.actor, password if fields.get("password") else None)
            case "cancel":
                await verbs.cancel(visit.actor)
            case "dismiss":
                await verbs.dismiss(visit.actor)
            case _unknown:
                raise PolicyRefused(_("That cannot be done with imports"))
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/import")


def _server(fields: Mapping[str, str]) -> RemoteServer:
    """Read the form; a port may stand behind the host. Errors: PolicyRefused."""
    host, colon, port = fields.get("host", "").strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or ":" in host:  # an IPv6 address is no host and port
        host, port = fields.get("host", "").strip(), ""
    security = fields.get("security", RemoteSecurity.TLS)
    if not host or security not in set(RemoteSecurity) or (port and not (len(port) < 6 and 0 < int(port) < 65_536)):
        raise PolicyRefused(_("Say which server your mail is on"))
    return RemoteServer(host, fields.get("username", "").strip(), RemoteSecurity(security), int(port or 0))


async def _show(
    visit: Visit,
    error: MailsteadError | None = None,
    fields: Mapping[str, str] | None = None,
    checked: Checked | None = None,
) -> Response:
    try:
        job = await visit.house.remote_imports.status(visit.actor)
    except NoSuchImport:
        job = None
    return visit.show(
        "me/import.html",
        200 if error is None else status_of(error),
        job=job,
        reasons=REASONS,
        fields=fields or {},
        checked=checked,
        error=error,
    )


PAGES: Final = (
    Page("/me/import", imports, Who.OWNER),
    Page("/me/import", act, Who.OWNER, ("POST",)),
)
