"""Accounts, each a mailbox with what belongs to it. Commands: ``mailstead account``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import Account
from mailstead.model.people import Page
from mailstead.policy.targets import read_target
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Octets, Password
from mailstead.usecases.accounts import FORWARD_TARGETS_MAX


class AccountsAsked(Listed):
    """Which accounts, by address."""

    domain: str = ""


class NewAccount(Model):
    """An account to be made."""

    address: str
    password: Password
    quota_octets: Octets | None = None
    """Null: the server's own limit."""


class AccountChange(Model):
    """What is to be changed; what is not given stays."""

    quota_octets: Octets | None = None
    """0 lifts it."""
    forward_to: Annotated[list[str] | None, Field(max_length=FORWARD_TARGETS_MAX)] = None
    keeps_copy: bool | None = None
    sending_limit: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    """Recipients per day; 0: the server's setting."""
    is_enabled: bool | None = None
    """False: nobody logs in, whoever is in is out; its mail is taken all the same."""
    password: Password = None
    """Whoever is logged in with the old one is logged out."""


class AccountShown(Shown):
    """An account."""

    account_id: str
    address: str
    quota_octets: int | None
    sending_limit: int | None
    is_enabled: bool
    is_sealed: bool
    forward_to: list[str]
    keeps_copy: bool


async def list_accounts(call: Call) -> Answer:
    """Give a page."""
    asked: AccountsAsked = call.query
    found = await call.house.accounts.list(call.actor, normal_domain(asked.domain) if asked.domain else None)
    listing = listing_of(asked)
    part = found[listing.skipped_count : listing.skipped_count + listing.limit]
    return Answer([_shown(each) for each in part], page=Page(tuple(part), len(found)))


async def create(call: Call) -> Answer:
    """Make an account."""
    asked: NewAccount = call.body
    quota = asked.quota_octets or call.house.administration.account_quota_octets
    return Answer(
        _shown(await call.house.accounts.create(call.actor, Address.parse(asked.address), asked.password, quota))
    )


async def show(call: Call) -> Answer:
    """Give one."""
    return Answer(_shown(await call.house.accounts.managed(call.actor, Address.parse(call.path["address"]))))


async def change(call: Call) -> Answer:
    """Change one: all that can be refused is looked at first, so that little is left half done."""
    asked: AccountChange = call.body
    accounts, actor, address = call.house.accounts, call.actor, Address.parse(call.path["address"])
    account = await accounts.managed(actor, address)
    given = asked.model_fields_set
    targets = None if asked.forward_to is None else [read_target(text) for text in asked.forward_to]
    if asked.password is not None:
        await accounts.set_password(actor, address, asked.password)
    if targets is not None or asked.keeps_copy is not None:
        forward_to = account.forward_to if targets is None else targets
        keeps_copy = account.keeps_copy if asked.keeps_copy is None else asked.keeps_copy
        await accounts.set_forwarding(actor, address, forward_to, keeps_copy=keeps_copy)
    if "quota_octets" in given:
        await accounts.set_quota(actor, address, asked.quota_octets or None)
    if "sending_limit" in given:
        await accounts.set_sending_limit(actor, address, asked.sending_limit or None)
    if asked.is_enabled is not None:
        await accounts.set_enabled(actor, address, is_enabled=asked.is_enabled)
    return Answer(_shown(await accounts.managed(actor, address)))


async def remove(call: Call) -> Answer:
    """Remove one, with all its mail."""
    await call.house.accounts.remove(call.actor, Address.parse(call.path["address"]))
    return Answer()


def _shown(account: Account) -> AccountShown:
    return AccountShown(
        account_id=account.account_id,
        address=str(account.address),
        quota_octets=account.quota_octets,
        sending_limit=account.sending_limit,
        is_enabled=account.is_enabled,
        is_sealed=account.is_sealed,
        forward_to=[str(target) for target in account.forward_to],
        keeps_copy=account.keeps_copy,
    )


_ours: Final = partial(Endpoint, tag="accounts", auth=Auth.TOKEN, right=Right.CALLER, is_ours=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/accounts",
        "list-mail-accounts",
        "Accounts that the caller looks after",
        handler=list_accounts,
        query=AccountsAsked,
        shows=list[AccountShown],
        command="account list",
    ),
    _ours(
        "POST",
        "/v1/accounts",
        "create-mail-account",
        "Make an account with the usual mailboxes",
        handler=create,
        body=NewAccount,
        shows=AccountShown,
        status=201,
        command="account add",
    ),
    _ours(
        "GET",
        "/v1/accounts/{address}",
        "show-mail-account",
        "One account",
        handler=show,
        query=Model,
        shows=AccountShown,
        command="account list",
    ),
    _ours(
        "PUT",
        "/v1/accounts/{address}",
        "change-mail-account",
        "Change an account's quota, forwarding, sending limit, state or password",
        handler=change,
        body=AccountChange,
        shows=AccountShown,
        command="account quota, account forward, account sending-limit, account disable, account enable, "
        "account password",
    ),
    _ours(
        "DELETE",
        "/v1/accounts/{address}",
        "remove-mail-account",
        "Remove an account with all its mail, for good",
        handler=remove,
        status=204,
        command="account remove",
    ),
)
