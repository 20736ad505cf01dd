"""A domain becomes a chatmail relay, or an ordinary one again."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.errors import MailsteadError, PolicyRefused
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

RELAY_TERMS: Final = (
    "opens_accounts",
    "invite_tokens",
    "mails_kept_days",
    "large_mails_kept_days",
    "idle_accounts_kept_days",
    "account_quota_octets",
    "cleartext_senders",
    "cleartext_recipients",
    "cleartext_accounts",
)
"""What administrators of a relay look for, of all its rules."""


async def kind(visit: Visit) -> Response:
    """Show what it is, and what becoming the other would mean."""
    return await _show(visit)


async def switch(visit: Visit) -> Response:
    """Let it become the other, for who has said that it is meant."""
    fields, name = await visit.fields(), visit.request.path_params["domain"]
    try:
        if fields.get("sure") != "yes":
            raise PolicyRefused(_("Tick that you have read what changes"))
        await visit.house.care.domain_kinds.switch(visit.actor, name, fields.get("kind", ""))
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go(f"/admin/domains/{name}/kind", told="switched")


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    plan = await visit.house.care.domain_kinds.plan(visit.actor, visit.request.path_params["domain"])
    return visit.show(
        "domain_kind.html", 200 if error is None else status_of(error), plan=plan, relay_terms=RELAY_TERMS, error=error
    )


PAGES: Final = (
    Page("/admin/domains/{domain}/kind", kind, Who.SERVER_ADMIN),
    Page("/admin/domains/{domain}/kind", switch, Who.SERVER_ADMIN, ("POST",)),
)
