"""App passwords, one for each mail program. Commands: ``mailstead account app-password``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from mailstead.model.address import Address
from mailstead.model.directory import AppPassword
from mailstead.model.errors import NoSuchKey, NotAllowed
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.usecases.app_passwords import LABEL_CHARACTERS_MAX, NETWORKS_MAX

_Label = Annotated[str, StringConstraints(min_length=1, max_length=LABEL_CHARACTERS_MAX)]


class AppPasswordsAsked(Model):
    """Whose app passwords."""

    address: str = ""
    """An account that the caller looks after; else the caller's own."""


class NewAppPasswordAsked(Model):
    """An app password to be made."""

    label: _Label
    scopes: list[str] = Field(default_factory=list, max_length=10)
    """Some of imap, smtp, pop3, sieve, dav, api; none: all of them."""
    networks: list[str] = Field(default_factory=list, max_length=NETWORKS_MAX)
    """Where it may be used from, such as 192.0.2.0/24; none: anywhere."""
    expires_at: Moment | None = None


class AppPasswordShown(Shown):
    """An app password, without the password."""

    id: int
    label: str
    scopes: list[str]
    networks: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_on: str | None
    """A day."""


class NewAppPasswordShown(AppPasswordShown):
    """One that was made just now."""

    password: str
    """Shown this once."""


async def list_app_passwords(call: Call) -> Answer:
    """Give all of an account."""
    found = await call.house.accounts.list_app_passwords(call.actor, _address(call))
    return Answer([AppPasswordShown(**_fields(each)) for each in found])


async def create(call: Call) -> Answer:
    """Make one."""
    asked: NewAppPasswordAsked = call.body
    made = await call.house.accounts.add_app_password(
        call.actor,
        _address(call),
        asked.label,
        frozenset(asked.scopes),
        networks=asked.networks,
        expires_at=asked.expires_at,
    )
    return Answer(NewAppPasswordShown(**_fields(made.app_password), password=made.secret.reveal()))


async def remove(call: Call) -> Answer:
    """Remove one; what it has open ends. Errors: NoSuchKey."""
    address = _address(call)
    for each in await call.house.accounts.list_app_passwords(call.actor, address):
        if str(each.app_password_id) == call.path["app_password_id"]:
            await call.house.accounts.remove_app_password(call.actor, address, each.app_password_id)
            return Answer()
    raise NoSuchKey("There is no such app password")


def _address(call: Call) -> Address:
    """Errors: BadAddress, NotAllowed."""
    asked: AppPasswordsAsked = call.query
    if asked.address:
        return Address.parse(asked.address)
    if call.actor.account_id is None or call.actor.address is None:
        raise NotAllowed("Say of which account: ?address=")
    return call.actor.address


def _fields(one: AppPassword) -> dict[str, Any]:
    return {
        "id": one.app_password_id,
        "label": one.label,
        "scopes": sorted(one.scopes),
        "networks": list(one.networks),
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "last_used_on": one.last_used_on or None,
    }


_PATH: Final = "/v1/app-passwords"
_ours: Final = partial(
    Endpoint, tag="security", auth=Auth.BOTH, right=Right.CALLER, query=AppPasswordsAsked, is_ours=True
)

ENDPOINTS: Final = (
    _ours(
        "GET",
        _PATH,
        "list-app-passwords",
        "App passwords of an account",
        handler=list_app_passwords,
        shows=list[AppPasswordShown],
        command="account app-password list",
    ),
    _ours(
        "POST",
        _PATH,
        "create-app-password",
        "Make an app password",
        handler=create,
        body=NewAppPasswordAsked,
        shows=NewAppPasswordShown,
        status=201,
        is_idempotent=False,
        command="account app-password add",
    ),
    _ours(
        "DELETE",
        f"{_PATH}/{{app_password_id}}",
        "remove-app-password",
        "Remove an app password; whoever is logged in with it is logged out",
        handler=remove,
        status=204,
        command="account app-password remove",
    ),
)
