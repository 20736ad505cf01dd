"""Masked addresses for password managers, which speak to addy.io or to SimpleLogin: what they ask of those, asked here.

Of both only what programs use to make, list, switch and delete addresses of the token's user. What their programs send
beside, for a server that is not this one, is no reason to fail them: unlike in bodies of our own it is passed over. No
field reaches a use case but those named here (attack row 93).

Spec: the public descriptions of addy.io's API (v1) and SimpleLogin's; forms of names, answers and statuses as there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ConfigDict, Field

from mailstead.model.errors import PolicyRefused
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right
from mailstead.services.api.errors import Refusal
from mailstead.usecases.address_book import ShownAddress
from mailstead.usecases.masked import MaskOwner, NameForm

_TAG: Final = "masked addresses"
_ADDY: Final = "/api/v1"
_PER_DAY: Final = 300
_CUSTOM: Final = "custom"
_PAGE_MAX: Final = 100


class Theirs(Model):
    """Of programs that were made for other servers: what these need beside is passed over, and never kept."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class NewMask(Theirs):
    """Body of addy.io's aliases."""

    domain: str = Field("", max_length=255)
    format: str = "random_characters"
    local_part: str | None = Field(None, max_length=255)
    description: str | None = Field(None, max_length=5000)
    recipient_ids: list[str] | None = Field(None, description="Without effect: it leads to the caller.")


class MaskChanges(Theirs):
    """Body of a change."""

    description: str | None = Field(None, max_length=5000)
    from_name: str | None = Field(None, description="Without effect.")


class MaskId(Theirs):
    """Body of addy.io's active-aliases."""

    id: str


class MasksAsked(Theirs):
    """Query of addy.io's list."""

    filter: dict[str, Any] = Field(default_factory=dict)
    page: dict[str, Any] = Field(default_factory=dict)
    sort: str = Field("", description="Without effect: they come by domain and name.")
    with_: str = Field("", alias="with", description="Without effect.")


class RandomAsked(Theirs):
    """Query of SimpleLogin's random aliases."""

    hostname: str = Field("", max_length=1000)
    mode: str = ""


class RandomMask(Theirs):
    """Body of SimpleLogin's random aliases."""

    note: str | None = Field(None, max_length=5000)


class CustomMask(RandomMask):
    """Body of SimpleLogin's custom aliases."""

    alias_prefix: str = Field(max_length=255)
    signed_suffix: str = Field(max_length=300)
    name: str | None = None
    mailbox_ids: list[int] = Field(default_factory=list, description="Without effect: it leads to the caller.")


# addy.io


async def addy_create(call: Call) -> Answer:
    """Make one."""
    body: NewMask = call.body
    name = (body.local_part or "").strip()
    if body.format == _CUSTOM and not name:
        raise PolicyRefused("local_part is needed with the format custom")
    made = await call.house.masked.make(
        call.actor,
        domain=body.domain.strip(),
        name=name if body.format == _CUSTOM else "",
        form=_form(body.format),
        description=body.description or "",
    )
    return Answer({"data": _addy(made)})


async def addy_list(call: Call) -> Answer:
    """List the caller's own."""
    asked: MasksAsked = call.query
    active = {"true": True, "1": True, "false": False, "0": False}.get(str(asked.filter.get("active", "")).lower())
    found = await call.house.masked.list(call.actor, str(asked.filter.get("search", ""))[:200], is_enabled=active)
    number, size = _positive(asked.page.get("number"), 1), min(_positive(asked.page.get("size"), 100), _PAGE_MAX)
    first = (number - 1) * size
    shown = found[first : first + size]
    meta = {
        "current_page": number,
        "from": first + 1 if shown else None,
        "last_page": max(1, -(-len(found) // size)),
        "per_page": size,
        "to": first + len(shown) if shown else None,
        "total": len(found),
    }
    return Answer({"data": [_addy(each) for each in shown], "meta": meta})


async def addy_show(call: Call) -> Answer:
    """Show one."""
    return Answer({"data": _addy(await call.house.masked.find(call.actor, call.path["alias_id"]))})


async def addy_change(call: Call) -> Answer:
    """Describe it otherwise."""
    body: MaskChanges = call.body
    changed = await call.house.masked.change(call.actor, call.path["alias_id"], description=body.description or "")
    return Answer({"data": _addy(changed)})


async def addy_delete(call: Call) -> Answer:
    """Remove it."""
    await call.house.masked.delete(call.actor, call.path["alias_id"])
    return Answer()


async def addy_activate(call: Call) -> Answer:
    """Switch it on."""
    return Answer({"data": _addy(await call.house.masked.change(call.actor, call.body.id, is_enabled=True))})


async def addy_deactivate(call: Call) -> Answer:
    """Switch it off."""
    await call.house.masked.change(call.actor, call.path["alias_id"], is_enabled=False)
    return Answer()


async def addy_domains(call: Call) -> Answer:
    """Tell in which domains the caller may have addresses."""
    owner = await call.house.masked.owner(call.actor)
    return Answer(
        {
            "data": list(owner.domains),
            "sharedDomains": [],
            "defaultAliasDomain": owner.domains[0] if owner.domains else None,
            "defaultAliasFormat": NameForm.CHARACTERS.value,
        }
    )


async def addy_account(call: Call) -> Answer:
    """Tell who the caller is; programs ask this to see whether a token is good."""
    owner = await call.house.masked.owner(call.actor)
    return Answer(
        {
            "data": {
                "id": owner.user.user_id,
                "username": owner.user.address,
                "email": owner.user.address,
                "default_alias_domain": owner.domains[0] if owner.domains else None,
                "default_alias_format": NameForm.CHARACTERS.value,
                "subscription": None,
                "created_at": _addy_moment(owner.user.created_at),
                "updated_at": _addy_moment(owner.user.updated_at),
            }
        }
    )


def _addy(shown: ShownAddress) -> dict[str, Any]:
    owner, profile = shown.entry.owner, shown.entry.profile
    return {
        "id": profile.object_id,
        "user_id": profile.user_id,
        "aliasable_id": None,
        "aliasable_type": None,
        "local_part": owner.address.local_part,
        "extension": None,
        "domain": owner.address.domain,
        "email": str(owner.address),
        "active": owner.is_enabled,
        "description": _description(shown) or None,
        "from_name": None,
        "emails_forwarded": 0,
        "emails_blocked": 0,
        "emails_replied": 0,
        "emails_sent": 0,
        "recipients": [],
        "created_at": _addy_moment(profile.created_at),
        "updated_at": _addy_moment(profile.updated_at),
        "deleted_at": None,
    }


def _addy_moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


# SimpleLogin


async def login_random(call: Call) -> Answer:
    """Make one with a made-up name."""
    form = NameForm.UUID if call.query.mode == "uuid" else NameForm.WORDS
    made = await call.house.masked.make(call.actor, form=form, description=call.body.note or _about(call))
    return Answer(_login(made, await call.house.masked.owner(call.actor)))


async def login_custom(call: Call) -> Answer:
    """Make one of that name."""
    body: CustomMask = call.body
    before, at, domain = body.signed_suffix.rpartition("@")
    if not at or before or not body.alias_prefix.strip():
        raise Refusal(400, "signed_suffix is one of those that /api/v5/alias/options gives")
    note = body.note or body.name or _about(call)
    made = await call.house.masked.make(call.actor, domain=domain, name=body.alias_prefix.strip(), description=note)
    return Answer(_login(made, await call.house.masked.owner(call.actor)))


async def login_options(call: Call) -> Answer:
    """Tell in which domains the caller may have addresses. Nothing is signed: rights are asked when it is used."""
    owner = await call.house.masked.owner(call.actor)
    labels = call.query.hostname.removeprefix("www.").split(".")
    hint = labels[0] if labels[0].isascii() and labels[0].isalnum() else ""
    suffixes = [
        {"suffix": f"@{name}", "signed_suffix": f"@{name}", "is_custom": True, "is_premium": False}
        for name in owner.domains
    ]
    return Answer({"can_create": bool(suffixes), "prefix_suggestion": hint, "suffixes": suffixes})


async def login_user(call: Call) -> Answer:
    """Tell who the caller is."""
    user = (await call.house.masked.owner(call.actor)).user
    return Answer(
        {
            "name": user.display_name,
            "email": user.address,
            "is_premium": True,
            "in_trial": False,
            "profile_picture_url": None,
            "max_alias_free_plan": 0,
            "connected_proton_address": None,
            "can_create_reverse_alias": False,
        }
    )


async def login_mailboxes(call: Call) -> Answer:
    """Tell where masked addresses lead: to the caller's own."""
    user = (await call.house.masked.owner(call.actor)).user
    created_at = int(user.created_at.timestamp()) if user.created_at is not None else 0
    mailbox = {**_mailbox(user.address), "default": True, "verified": True, "creation_timestamp": created_at}
    return Answer({"mailboxes": [{**mailbox, "nb_alias": len(await call.house.masked.list(call.actor))}]})


def _login(shown: ShownAddress, owner: MaskOwner) -> dict[str, Any]:
    address, profile = str(shown.entry.owner.address), shown.entry.profile
    mailbox = _mailbox(owner.user.address)
    return {
        "id": int(profile.object_id[-12:], 16),  # theirs are numbers, which in JavaScript have 53 bits
        "email": address,
        "alias": address,
        "name": None,
        "enabled": shown.entry.owner.is_enabled,
        "creation_timestamp": int(profile.created_at.timestamp()) if profile.created_at is not None else 0,
        "note": _description(shown) or None,
        "nb_block": 0,
        "nb_forward": 0,
        "nb_reply": 0,
        "mailbox": mailbox,
        "mailboxes": [mailbox],
        "latest_activity": None,
        "pinned": False,
        "support_pgp": False,
        "disable_pgp": False,
    }


def _mailbox(address: str) -> dict[str, Any]:
    return {"id": 1, "email": address}


def _about(call: Call) -> str:
    hostname = call.query.hostname
    return f"Used on {hostname}" if hostname else ""


# both


def _form(text: str) -> NameForm:
    try:
        return NameForm(text)
    except ValueError:
        return NameForm.CHARACTERS


def _description(shown: ShownAddress) -> str:
    owner = shown.entry.owner
    return getattr(owner, "description", "") or shown.entry.profile.description


def _positive(value: object, otherwise: int) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and 0 < len(text) < 7 and int(text) else otherwise


def _endpoint(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    return Endpoint(method, path, name, summary, _TAG, Auth.TOKEN, Right.CALLER, handler, **more)


ENDPOINTS: Final = (
    _endpoint(
        "POST", f"{_ADDY}/aliases", "addy-create-alias", "Make a masked address (addy.io)", addy_create,
        body=NewMask, status=201, per_day=_PER_DAY,
    ),
    _endpoint(
        "GET", f"{_ADDY}/aliases", "addy-list-aliases", "List the caller's masked addresses (addy.io)", addy_list,
        query=MasksAsked,
    ),
    _endpoint("GET", f"{_ADDY}/aliases/{{alias_id}}", "addy-show-alias", "Show one (addy.io)", addy_show),
    _endpoint(
        "PATCH", f"{_ADDY}/aliases/{{alias_id}}", "addy-change-alias", "Describe one otherwise (addy.io)", addy_change,
        body=MaskChanges,
    ),
    _endpoint(
        "DELETE", f"{_ADDY}/aliases/{{alias_id}}", "addy-delete-alias", "Delete one (addy.io)", addy_delete, status=204
    ),
    _endpoint(
        "POST", f"{_ADDY}/active-aliases", "addy-activate-alias", "Switch one on (addy.io)", addy_activate, body=MaskId
    ),
    _endpoint(
        "DELETE", f"{_ADDY}/active-aliases/{{alias_id}}", "addy-deactivate-alias", "Switch one off (addy.io)",
        addy_deactivate, status=204,
    ),
    _endpoint(
        "GET", f"{_ADDY}/domain-options", "addy-list-domains", "Domains for masked addresses (addy.io)", addy_domains
    ),
    _endpoint("GET", f"{_ADDY}/account-details", "addy-show-account", "Who the caller is (addy.io)", addy_account),
    _endpoint(
        "POST", "/api/alias/random/new", "simplelogin-create-random-alias", "Make a masked address (SimpleLogin)",
        login_random, body=RandomMask, query=RandomAsked, status=201, per_day=_PER_DAY,
    ),
    _endpoint(
        "POST", "/api/v3/alias/custom/new", "simplelogin-create-custom-alias",
        "Make a masked address of that name (SimpleLogin)", login_custom, body=CustomMask, query=RandomAsked,
        status=201, per_day=_PER_DAY,
    ),
    _endpoint(
        "GET", "/api/v5/alias/options", "simplelogin-list-options", "Domains for masked addresses (SimpleLogin)",
        login_options, query=RandomAsked,
    ),
    _endpoint("GET", "/api/user_info", "simplelogin-show-user", "Who the caller is (SimpleLogin)", login_user),
    _endpoint(
        "GET", "/api/v2/mailboxes", "simplelogin-list-mailboxes", "Where masked addresses lead (SimpleLogin)",
        login_mailboxes,
    ),
)  # fmt: skip
