"""Second factors and passwords for mail programs, looked after by their owner.

Turning the first factor on leads through mail programs: the main password stops working in them, so they get passwords
of their own first, or their owner says that there are none. Spec: issue "the lock on the door"; attack row 95.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from mailstead.model.errors import FactorNeeded, MailsteadError, NotAllowed, PolicyRefused
from mailstead.model.people import FactorKind, ObjectId
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _
from mailstead.usecases.factor_settings import MailPrograms

SCOPES: Final = ("imap", "pop3", "smtp", "sieve", "dav", "api")


async def security(visit: Visit) -> Response:
    """Show factors and passwords."""
    return await _show(visit)


# codes of a device


async def begin_device(visit: Visit) -> Response:
    """Show what a device needs, once."""
    fields = await visit.fields()
    try:
        enrolment = await visit.house.factor_settings.enrol_totp(
            visit.actor, Secret(fields.get("password", "")), fields.get("label", "")
        )
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error)
    outlook = await visit.house.factor_settings.outlook(visit.actor)
    picture = Markup(enrolment.qr_svg.reveal())  # noqa: S704 - drawn by us
    return visit.show("device.html", enrolment=enrolment, picture=picture, outlook=outlook, error=None)


async def confirm_device(visit: Visit) -> Response:
    """Turn a device on with its first code."""
    fields = await visit.fields()
    try:
        codes = await visit.house.factor_settings.confirm_totp(
            visit.actor,
            ObjectId(fields.get("factor", "")),
            Secret(fields.get("code", "").replace(" ", "")),
            _mail_programs(fields.get("mail_programs", "")),
        )
    except MailsteadError as error:
        return await _show(visit, error)
    return await _turned_on(visit, codes)


# passkeys


async def begin_passkey(visit: Visit) -> Response:
    """Ask the browser for a passkey."""
    fields = await visit.fields()
    mail_programs = fields.get("mail_programs", "")
    try:
        options = await visit.house.factor_settings.begin_passkey(
            visit.actor, Secret(fields.get("password", "")), _mail_programs(mail_programs)
        )
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error)
    label = fields.get("label", "")
    return visit.show("passkey.html", passkey_options=options, label=label, mail_programs=mail_programs)


async def add_passkey(visit: Visit) -> Response:
    """Keep the passkey that the browser has made."""
    fields = await visit.fields()
    try:
        codes = await visit.house.factor_settings.add_passkey(
            visit.actor,
            fields.get("passkey", ""),
            fields.get("label", ""),
            _mail_programs(fields.get("mail_programs", "")),
        )
    except MailsteadError as error:
        return await _show(visit, error)
    return await _turned_on(visit, codes)


# what can be done with both


async def remove_factor(visit: Visit) -> Response:
    """Remove a device or a passkey."""
    fields = await visit.fields()
    try:
        await visit.house.factor_settings.remove(
            visit.actor, ObjectId(fields.get("factor", "")), Secret(fields.get("password", ""))
        )
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.go("/me/security", told="factor")


async def renew_codes(visit: Visit) -> Response:
    """Make new recovery codes, shown once."""
    fields = await visit.fields()
    try:
        codes = await visit.house.factor_settings.renew_recovery_codes(visit.actor, Secret(fields.get("password", "")))
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.show("codes.html", codes=[code.reveal() for code in codes])


# passwords for mail programs


async def add_app_password(visit: Visit) -> Response:
    """Make one, shown once, also as a picture for telephones."""
    fields = await visit.fields()
    address = visit.actor.address
    if address is None:
        raise NotAllowed
    await visit.must_be_fresh()
    scopes = frozenset(scope for scope in SCOPES if fields.get(f"scope-{scope}") == "yes")
    try:
        made = await visit.house.accounts.add_app_password(
            visit.actor, address, fields.get("label", ""), scopes, networks=fields.get("networks", "").split()
        )
    except MailsteadError as error:
        return await _show(visit, error)
    return visit.show(
        "app_password.html",
        label=made.app_password.label,
        password=made.secret.reveal(),
        hostname=visit.house.terms.hostname,
    )


async def remove_app_password(visit: Visit) -> Response:
    """Remove one; what it has open ends."""
    fields = await visit.fields()
    address, number = visit.actor.address, fields.get("id", "")
    if address is None or not number.isdecimal() or len(number) > 18:
        raise NotAllowed
    await visit.house.accounts.remove_app_password(visit.actor, address, int(number))
    return visit.go("/me/security", told="app-password")


def _mail_programs(text: str) -> MailPrograms | None:
    """Errors: PolicyRefused."""
    if not text:
        return None
    try:
        return MailPrograms(text)
    except ValueError:
        raise PolicyRefused(_("Say what becomes of mail programs")) from None


async def _turned_on(visit: Visit, codes: Sequence[Secret]) -> Response:
    begun = await visit.house.web_sessions.factor_added(visit.actor)
    if begun is not None:
        visit.keep(begun)
    if not codes:
        return visit.go("/me/security", told="factor")
    return visit.show("codes.html", codes=[code.reveal() for code in codes])


async def _show(visit: Visit, error: MailsteadError | None = None) -> Response:
    factors = await visit.house.factor_settings.list(visit.actor)
    return visit.show(
        "security.html",
        200 if error is None else status_of(error),
        factors=[each for each in factors if each.kind is not FactorKind.RECOVERY and each.is_confirmed],
        codes_left=sum(each.kind is FactorKind.RECOVERY for each in factors),
        outlook=await visit.house.factor_settings.outlook(visit.actor),
        scopes=SCOPES,
        is_fresh=await visit.is_fresh(),
        error=error,
    )


PAGES: Final = (
    Page("/me/security", security, Who.PERSON),
    Page("/me/security/device", begin_device, Who.PERSON, ("POST",)),
    Page("/me/security/device/confirm", confirm_device, Who.PERSON, ("POST",)),
    Page("/me/security/passkey", begin_passkey, Who.PERSON, ("POST",)),
    Page("/me/security/passkey/add", add_passkey, Who.PERSON, ("POST",)),
    Page("/me/security/remove", remove_factor, Who.PERSON, ("POST",)),
    Page("/me/security/codes", renew_codes, Who.PERSON, ("POST",)),
    Page("/me/security/app-passwords", add_app_password, Who.OWNER, ("POST",)),
    Page("/me/security/app-passwords/remove", remove_app_password, Who.OWNER, ("POST",)),
)
