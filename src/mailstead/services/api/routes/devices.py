"""Devices set up in one go. Commands: ``mailstead account device``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from mailstead.model.address import Address
from mailstead.model.errors import NotAllowed
from mailstead.model.secret import Secret
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.usecases.app_passwords import LABEL_CHARACTERS_MAX

_Label = Annotated[str, StringConstraints(min_length=1, max_length=LABEL_CHARACTERS_MAX)]


class DevicesAsked(Model):
    """Whose device."""

    address: str = ""
    """An account that the caller looks after; else the caller's own."""


class NewDevice(Model):
    """A device to be set up."""

    label: _Label
    """Of its password."""
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    """Of the person, for what he sends."""
    password: str = Field(default="", json_schema_extra={"format": "password"})
    """The main one, which a sealed account needs from who has not logged in with it."""


class DeviceCode(Shown):
    """A text to be drawn as a QR code, or to be followed."""

    kind: str
    """``apple`` (the link), ``delta chat``, ``thunderbird``, ``imap``, ``mailto``."""
    text: str


class DeviceShown(Shown):
    """A device that is being set up; all of it is shown this once."""

    id: int
    """Of its app password."""
    label: str
    password: str
    link: str
    """Where an iPhone, iPad or Mac gets its profile, once."""
    link_ends_at: Moment
    codes: list[DeviceCode]


async def prepare(call: Call) -> Answer:
    """Make a password for a device, and what it can be set up with."""
    asked: NewDevice = call.body
    password = Secret(asked.password) if asked.password else None
    profiles = call.house.client_profiles
    made = await profiles.prepare(call.actor, _address(call), asked.label, name=asked.name, password=password)
    return Answer(
        DeviceShown(
            id=made.app_password.app_password.app_password_id,
            label=made.app_password.app_password.label,
            password=made.app_password.secret.reveal(),
            link=made.link.reveal(),
            link_ends_at=made.ends_at,
            codes=[DeviceCode(kind=code.kind, text=code.text.reveal()) for code in made.codes],
        )
    )


def _address(call: Call) -> Address:
    """Errors: BadAddress, NotAllowed."""
    asked: DevicesAsked = call.query
    if asked.address:
        return Address.parse(asked.address)
    if call.actor.account_id is None or call.actor.address is None:
        raise NotAllowed("Say of which account: ?address=")
    return call.actor.address


_ours: Final = partial(Endpoint, tag="security", auth=Auth.BOTH, right=Right.CALLER, query=DevicesAsked, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "POST",
        "/v1/devices",
        "set-up-device",
        "Set up a device: a password of its own, a profile for Apple's, codes for others",
        handler=prepare,
        body=NewDevice,
        shows=DeviceShown,
        status=201,
        is_idempotent=False,
        command="account device add",
    ),
)
