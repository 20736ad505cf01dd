"""Who the caller is: a user (by token), or the owner of an account (by its password).

Spec: reference forwardemail 4.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from mailstead.model.address import Address
from mailstead.model.people import User, owner_of
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.errors import Fault, Refusal
from mailstead.services.api.values import Moment, Password
from mailstead.usecases.own_address import OwnAddress

PLAN: Final = "team"
"""There are no others on a server of one's own."""
Text = Annotated[str, StringConstraints(max_length=1000)]


class Registration(Model):
    """A user who makes himself."""

    email: Text
    password: Password = Field(...)


class OwnAccountChange(Model):
    """What is given is changed. Users have other fields than owners of accounts."""

    email: Text | None = Field(None, description="Of a user.")
    given_name: Text | None = Field(None, description="Of a user.")
    family_name: Text | None = Field(None, description="Of a user.")
    display_name: Text | None = Field(None, description="Of a user.")
    avatar_url: Text | None = Field(None, description="Of a user.")
    locale: Text | None = None
    settings: dict[str, Any] | None = Field(
        None, description="Of the owner of an account: sections `mail`, `label_settings`, `aliases`, each as a whole."
    )


class UserAccount(Shown):
    """A user."""

    id: str
    object: str = "user"
    email: str
    full_email: str
    given_name: str
    family_name: str
    display_name: str
    avatar_url: str
    plan: str = PLAN
    is_admin: bool
    otp_enabled: bool
    sessions: list[str] = Field(default_factory=list, description="Always empty: `/v1/sessions` tells of them.")
    has_newsletter: bool = False
    max_quota_per_alias: int | None = None
    locale: str
    preferred_locale: str
    last_locale: str
    address_country: str = ""
    address_html: str = ""
    created_at: Moment | None
    updated_at: Moment | None


class RegisteredAccount(UserAccount):
    """A new user, with the one token that is shown this once."""

    api_token: str


class AliasAccount(Shown):
    """An account, as its owner sees it."""

    id: str
    object: str = "alias"
    name: str
    email: str
    domain_id: str
    domain_name: str
    storage_used: int
    storage_quota: int | None
    has_imap: bool = True
    has_pgp: bool
    public_key: str
    has_smime: bool
    smime_certificate: str
    has_wkd_disabled: bool
    locale: str
    settings: dict[str, Any]
    created_at: Moment | None
    updated_at: Moment | None


class TokensEnded(Shown):
    """No token is good any more."""

    api_token_disabled: bool = True


_USER_FIELDS: Final = ("email", "given_name", "family_name", "display_name", "avatar_url")


async def show(call: Call) -> Answer:
    """Give the caller."""
    if call.actor.user_id is None:
        return Answer(_alias_account(await call.house.own_addresses.get(call.actor)))
    return Answer(UserAccount(**await _fields(call, await _own_user(call))))


async def change(call: Call) -> Answer:
    """Change the caller."""
    asked: OwnAccountChange = call.body
    given = asked.model_dump(exclude_unset=True)
    if call.actor.user_id is None:
        _must_not_have(given, _USER_FIELDS, "Owners of accounts cannot change that here")
        own = await call.house.own_addresses.change(call.actor, settings=asked.settings, locale=asked.locale)
        return Answer(_alias_account(own))
    _must_not_have(given, ("settings",), "That belongs to an account: log in with its address and password")
    user = await _own_user(call)
    changes = {name: value for name, value in given.items() if value is not None}
    if "email" in changes:
        changes["address"] = Address.parse(changes.pop("email").strip()).key
    user = await call.house.users.change(call.actor, _replaced(user, changes))
    return Answer(UserAccount(**await _fields(call, user)))


async def register(call: Call) -> Answer:
    """Make a user, where the settings allow that."""
    if not call.house.terms.allows_registration:
        raise Refusal(403, "Registration is closed here; an administrator makes users, or invites them")
    asked: Registration = call.body
    users = call.house.users
    user = await users.register(Address.parse(asked.email.strip()), asked.password, call.peer)
    actor = await users.actor_of(user, call.peer.address)
    token = await users.tokens.create(actor, "API", user=user)
    return Answer(RegisteredAccount(**await _fields(call, user), api_token=token.secret.reveal()))


async def disable_tokens(call: Call) -> Answer:
    """End all tokens of the caller, also the one that he came with."""
    await call.house.users.tokens.remove_all(call.actor)
    return Answer(TokensEnded())


async def _own_user(call: Call) -> User:
    assert call.actor.user_id is not None
    return await call.house.users.get(call.actor, call.actor.user_id)


def _replaced(user: User, changes: dict[str, Any]) -> User:
    return replace(user, **changes)


def _must_not_have(given: dict[str, Any], names: tuple[str, ...], text: str) -> None:
    """Errors: Refusal."""
    faults = [Fault(name, text) for name in names if given.get(name) is not None]
    if faults:
        raise Refusal(400, "; ".join(f"{fault.field}: {fault.text}" for fault in faults), faults)


async def _fields(call: Call, user: User) -> dict[str, Any]:
    owner = owner_of(user.user_id, user.account_id)
    return {
        "id": user.user_id,
        "email": user.address,
        "full_email": f"{user.display_name} <{user.address}>" if user.display_name else user.address,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "display_name": user.display_name or user.address,
        "avatar_url": user.avatar_url,
        "is_admin": user.is_admin,
        "otp_enabled": await call.house.second_factors.needed(owner),
        "locale": user.locale,
        "preferred_locale": user.locale,
        "last_locale": user.locale,
        "created_at": user.created_at,
        "updated_at": user.updated_at or user.created_at,
    }


def _alias_account(own: OwnAddress) -> AliasAccount:
    profile, address = own.entry.profile, own.account.address
    return AliasAccount(
        id=profile.object_id,
        name=address.local_part,
        email=str(address),
        domain_id=own.domain.profile.object_id,
        domain_name=own.domain.domain.name,
        storage_used=own.usage.size_octets,
        storage_quota=own.usage.quota_octets,
        has_pgp=profile.has_pgp,
        public_key=profile.public_key,
        has_smime=profile.has_smime,
        smime_certificate=profile.smime_certificate,
        has_wkd_disabled=profile.has_wkd_disabled,
        locale=profile.locale,
        settings=dict(profile.settings),
        created_at=profile.created_at,
        updated_at=profile.updated_at or profile.created_at,
    )


_PATH: Final = "/v1/account"
_TAG: Final = "account"

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _PATH,
        "show-own-account",
        "The caller: a user, or an account",
        _TAG,
        Auth.BOTH,
        Right.CALLER,
        show,
        shows=UserAccount | AliasAccount,
    ),
    Endpoint(
        "PUT",
        _PATH,
        "change-own-account",
        "Change the caller",
        _TAG,
        Auth.BOTH,
        Right.CALLER,
        change,
        body=OwnAccountChange,
        shows=UserAccount | AliasAccount,
        description="What is left out stays. An account's password is no matter of this endpoint.",
    ),
    Endpoint(
        "POST",
        _PATH,
        "register-user",
        "Make a user of one's own",
        _TAG,
        Auth.NONE,
        Right.ANYBODY,
        register,
        body=Registration,
        shows=RegisteredAccount,
        description="Only where `api.allows_registration` is set. The answer has a token, which is shown this once.",
        per_day=5,
        is_idempotent=False,
    ),
    Endpoint(
        "DELETE",
        "/v1/account/api-token",
        "disable-api-tokens",
        "End all tokens of the caller",
        _TAG,
        Auth.TOKEN,
        Right.CALLER,
        disable_tokens,
        shows=TokensEnded,
    ),
)
