"""The sealed account: what it means, sealing it with a recovery key that was written down, opening it, recovering it.

The recovery key goes to the browser and comes back with the password, so that nothing is sealed with a key that nobody
has: the server keeps none of it between the two pages. Spec: docs/sealed-accounts.md; attack rows 62, 90.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import (
    AuthenticationFailed,
    BadAddress,
    FactorNeeded,
    MailsteadError,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import SESSION, Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.sealed_accounts import RECOVERY_GROUPS

KEY: Final = "/me/sealed/key"


async def sealed(visit: Visit) -> Response:
    """Show how the account is kept."""
    return await _show(visit)


async def new_key(visit: Visit) -> Response:
    """GET: a new recovery key, to be written down. POST: the account is sealed with it, or it replaces the old one."""
    if visit.request.method == "GET":
        return await _key(visit, await visit.house.sealed_accounts.begin(visit.actor, _own(visit)), _group())
    fields, accounts = await visit.fields(), visit.house.sealed_accounts
    key, password = Secret(fields.get("key", "")), Secret(fields.get("password", ""))
    number = int(fields["group"]) if fields.get("group", "").isdecimal() and len(fields["group"]) < 3 else 0
    was_sealed = (await accounts.get(visit.actor, _own(visit))).is_sealed
    try:
        if not accounts.is_written_down(key, number, Secret(fields.get("typed", ""))):
            raise PolicyRefused(_("That is another group than the one on your paper: look again"))
        if was_sealed:
            await accounts.replace_recovery_key(visit.actor, _own(visit), password, key, visit.peer)
        else:
            if fields.get("understood") != "yes":
                raise PolicyRefused(_("Say that you know what happens if password and key are lost"))
            await accounts.seal(visit.actor, _own(visit), password, key, visit.peer)
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _key(visit, key, number or _group(), error)
    return visit.go("/me/sealed", told="key") if was_sealed else _out(visit, "sealed")


async def act(visit: Visit) -> Response:
    """Open the account, or unseal it, with its password."""
    fields, accounts = await visit.fields(), visit.house.sealed_accounts
    password = Secret(fields.get("password", ""))
    try:
        match fields.get("verb"):
            case "open":
                await accounts.open(visit.actor, _own(visit), password, visit.peer)
            case "unseal":
                await accounts.unseal(visit.actor, _own(visit), password, visit.peer)
                return _out(visit, "unsealed")
            case _unknown:
                raise PolicyRefused(_("That cannot be done with a sealed account"))
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error, fields)
    return visit.go("/me/sealed", told="open")


async def recover(visit: Visit) -> Response:
    """GET: the form for whoever has lost the password. POST: set a new one by the recovery key."""
    if visit.request.method == "GET":
        return visit.show("recover.html", address="", error=None)
    fields = await visit.fields()
    address, new = fields.get("address", "").strip()[:320], fields.get("new", "")
    try:
        if new != fields.get("again", ""):
            raise PolicyRefused(_("The two are not the same"))
        await visit.house.sealed_accounts.recover(
            _parsed(address), Secret(fields.get("key", "")), Secret(new), visit.peer
        )
    except AuthenticationFailed as error:
        text = _("Address and recovery key do not fit, or the account is not sealed")
        return visit.show("recover.html", status_of(error), address=address, error=PolicyRefused(text))
    except MailsteadError as error:
        return visit.show("recover.html", status_of(error), address=address, error=error)
    return _out(visit, "recovered")


def _parsed(text: str) -> Address:
    """Errors: AuthenticationFailed: what is no address is nobody's."""
    try:
        return Address.parse(text)
    except BadAddress:
        raise AuthenticationFailed from None


def _out(visit: Visit, told: str) -> Response:
    """Say that it is done; all sessions have ended, this one, too."""
    visit.set_cookie(SESSION, "", 0, "Lax")
    visit.begun = None
    return visit.show("sealing_done.html", told=told)


def _own(visit: Visit) -> Address:
    """Errors: NotAllowed."""
    if visit.actor.account_id is None or visit.actor.address is None:
        raise NotAllowed
    return visit.actor.address


def _group() -> int:
    return 1 + secrets.randbelow(RECOVERY_GROUPS)


async def _key(visit: Visit, key: Secret, number: int, error: MailsteadError | None = None) -> Response:
    return visit.show(
        "me/recovery_key.html",
        200 if error is None else status_of(error),
        key=key.reveal(),
        groups=key.reveal().split("-"),
        number=number,
        is_sealed=(await visit.house.sealed_accounts.get(visit.actor, _own(visit))).is_sealed,
        error=error,
    )


async def _show(visit: Visit, error: MailsteadError | None = None, fields: Mapping[str, str] | None = None) -> Response:
    return visit.show(
        "me/sealed.html",
        200 if error is None else status_of(error),
        sealing=await visit.house.sealed_accounts.get(visit.actor, _own(visit)),
        app_passwords=await visit.house.accounts.list_app_passwords(visit.actor, _own(visit)),
        verb=(fields or {}).get("verb", ""),
        error=error,
    )


PAGES: Final = (
    Page("/me/sealed", sealed, Who.OWNER),
    Page("/me/sealed", act, Who.OWNER, ("POST",)),
    Page(KEY, new_key, Who.OWNER, ("GET", "POST")),
    Page("/recover", recover, Who.ANYBODY, ("GET", "POST")),
)
