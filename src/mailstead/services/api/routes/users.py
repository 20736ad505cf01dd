"""Users: who logs in to look after domains. Commands: ``mailstead user``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from pydantic import StringConstraints

from mailstead.model.address import Address
from mailstead.model.people import User
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment, Password

_Name = Annotated[str, StringConstraints(max_length=200)]


class UsersAsked(Listed):
    """Which users, by address."""

    q: _Name = ""


class NewUser(Model):
    """A user to be made."""

    address: str
    password: Password = None
    """Not for the address of an account here: that is the user's password, too."""
    is_admin: bool = False
    """Of the whole server."""
    given_name: _Name = ""
    family_name: _Name = ""


class UserChange(Model):
    """What is to be changed; what is not given stays."""

    address: str | None = None
    is_admin: bool | None = None
    is_enabled: bool | None = None
    given_name: _Name | None = None
    family_name: _Name | None = None
    display_name: _Name | None = None


class UserShown(Shown):
    """A user."""

    id: str
    address: str
    is_admin: bool
    is_enabled: bool
    is_account: bool
    """Its address is an account here."""
    given_name: str
    family_name: str
    display_name: str
    locale: str
    created_at: Moment | None
    updated_at: Moment | None


async def list_users(call: Call) -> Answer:
    """Give a page."""
    page = await call.house.users.list(call.actor, listing_of(call.query))
    return Answer([_shown(each) for each in page.items], page=page)


async def create(call: Call) -> Answer:
    """Make one."""
    asked: NewUser = call.body
    made = await call.house.users.create(
        call.actor,
        Address.parse(asked.address),
        asked.password,
        is_admin=asked.is_admin,
        given_name=asked.given_name,
        family_name=asked.family_name,
    )
    return Answer(_shown(made))


async def show(call: Call) -> Answer:
    """Give one."""
    return Answer(_shown(await call.house.users.get(call.actor, call.path["user_id"])))


async def change(call: Call) -> Answer:
    """Change one."""
    asked: UserChange = call.body
    before = await call.house.users.get(call.actor, call.path["user_id"])
    changes = asked.model_dump(exclude_none=True)
    if asked.address is not None:
        changes["address"] = Address.parse(asked.address).key
    return Answer(_shown(await call.house.users.change(call.actor, replace(before, **changes))))


async def remove(call: Call) -> Answer:
    """Remove one."""
    await call.house.users.remove(call.actor, call.path["user_id"])
    return Answer()


def _shown(user: User) -> UserShown:
    return UserShown(
        id=user.user_id,
        address=user.address,
        is_admin=user.is_admin,
        is_enabled=user.is_enabled,
        is_account=user.account_id is not None,
        given_name=user.given_name,
        family_name=user.family_name,
        display_name=user.display_name,
        locale=user.locale,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )


_ours: Final = partial(Endpoint, tag="users", auth=Auth.TOKEN, is_ours=True)
_PATH: Final = "/v1/users"

ENDPOINTS: Final = (
    _ours(
        "GET",
        _PATH,
        "list-users",
        "All users of the server",
        right=Right.SERVER_ADMIN,
        handler=list_users,
        query=UsersAsked,
        shows=list[UserShown],
        command="user list",
    ),
    _ours(
        "POST",
        _PATH,
        "create-user",
        "Make a user",
        right=Right.SERVER_ADMIN,
        handler=create,
        body=NewUser,
        shows=UserShown,
        status=201,
        command="user add",
    ),
    _ours(
        "GET",
        f"{_PATH}/{{user_id}}",
        "show-user",
        "A user, by id or address",
        right=Right.CALLER,
        handler=show,
        query=Model,
        shows=UserShown,
        command="user show",
    ),
    _ours(
        "PUT",
        f"{_PATH}/{{user_id}}",
        "change-user",
        "Change a user; names are his own to change",
        right=Right.CALLER,
        handler=change,
        body=UserChange,
        shows=UserShown,
        command="user set",
    ),
    _ours(
        "DELETE",
        f"{_PATH}/{{user_id}}",
        "remove-user",
        "Remove a user, with tokens and memberships; an account of that address stays",
        right=Right.SERVER_ADMIN,
        handler=remove,
        status=204,
        command="user remove",
    ),
)
