"""Devices of one's own: a password made on the spot, codes, a profile, and the words to set up a program by hand."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from mailstead.model.address import Address
from mailstead.model.errors import FactorNeeded, MailsteadError, NotAllowed
from mailstead.model.secret import Secret
from mailstead.net.http_statuses import status_of
from mailstead.services.web.codes import svg_code
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.words import _

PROFILE: Final = "/me/devices/mail.mobileconfig"
_TITLES: Final = {
    "apple": _("Code for the camera of an iPhone or iPad"),
    "delta chat": _("Code for Delta Chat"),
    "thunderbird": _("Code for Thunderbird on a telephone"),
}
"""Of what is drawn; the rest is for programs that are told otherwise."""


async def devices(visit: Visit) -> Response:
    """GET: which there are, how one is added. POST: add one, and show what it needs, this once."""
    if visit.request.method == "GET":
        return await _show(visit)
    fields = await visit.fields()
    await visit.must_be_fresh()
    label, password = fields.get("label", "").strip(), fields.get("password", "")
    try:
        made = await visit.house.client_profiles.prepare(
            visit.actor,
            _address(visit),
            label,
            name=(await visit.house.preferences.get(visit.actor)).display_name,
            password=Secret(password) if password else None,
        )
    except FactorNeeded:
        raise
    except MailsteadError as error:
        return await _show(visit, error, label)
    codes = {code.kind: code.text.reveal() for code in made.codes}
    return visit.show(
        "me/device.html",
        label=made.app_password.app_password.label,
        password=made.app_password.secret.reveal(),
        link=made.link.reveal(),
        ends_at=made.ends_at,
        pictures={kind: svg_code(text, _TITLES[kind]) for kind, text in codes.items() if kind in _TITLES},
        delta_chat=codes.get("delta chat", ""),
        servers=visit.house.client_profiles.servers(),
    )


async def profile(visit: Visit) -> Response:
    """Give Apple's profile without a password: the device asks for it."""
    name = (await visit.house.preferences.get(visit.actor)).display_name
    found = await visit.house.client_profiles.apple(visit.actor, _address(visit), name=name)
    headers = {"content-disposition": f'attachment; filename="{found.file_name}"', "cache-control": "no-store"}
    return Response(found.octets, media_type=found.media_type, headers=headers)


def _address(visit: Visit) -> Address:
    """Errors: NotAllowed."""
    if visit.actor.address is None:
        raise NotAllowed
    return visit.actor.address


async def _show(visit: Visit, error: MailsteadError | None = None, label: str = "") -> Response:
    address = _address(visit)
    sealing = await visit.house.sealed_accounts.get(visit.actor, address)
    return visit.show(
        "me/devices.html",
        200 if error is None else status_of(error),
        app_passwords=await visit.house.accounts.list_app_passwords(visit.actor, address),
        servers=visit.house.client_profiles.servers(),
        is_sealed=sealing.is_sealed,
        profile=PROFILE,
        is_fresh=await visit.is_fresh(),
        label=label,
        error=error,
    )


PAGES: Final = (
    Page("/me/devices", devices, Who.OWNER, ("GET", "POST")),
    Page(PROFILE, profile, Who.OWNER),
)
