"""Sieve scripts: of an alias for those who look after it, and of the account itself.

Spec: reference forwardemail 4.8, 4.10 (SieveScript); RFC 5228, RFC 5804 §2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from pydantic import Field

from mailstead.model.envelope import Actor
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX
from mailstead.model.people import Page
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.sieve.script import ALL
from mailstead.usecases.script_entries import ScriptEntry, ScriptWishes

_OF_ALIAS: Final = "/v1/domains/{domain_id}/aliases/{alias_id}/sieve"
_OWN: Final = "/v1/sieve-scripts"
_TAG: Final = "sieve"


class NewScript(Model):
    """A script to be made."""

    name: str = Field(max_length=512)
    content: str = Field("", max_length=SCRIPT_OCTETS_MAX)
    is_active: bool = False
    priority: int | None = None
    description: str | None = None


class ScriptChanges(Model):
    """What of a script is to be changed."""

    content: str | None = Field(None, max_length=SCRIPT_OCTETS_MAX)
    description: str | None = None
    priority: int | None = None
    activate: bool | None = None
    is_active: bool | None = None


class Script(Shown):
    """Spec: reference forwardemail 4.10 (SieveScript)."""

    id: str
    object: Literal["sieve_script"] = "sieve_script"
    name: str
    content: str
    alias: str
    is_active: bool
    priority: int
    description: str
    created_at: Moment | None
    updated_at: Moment | None


class Capabilities(Shown):
    """What scripts may ask for."""

    extensions: list[str]
    """Words of ``require``."""
    script_octets_max: int
    scripts_max: int


def _shown(entry: ScriptEntry) -> Script:
    return Script(
        id=entry.script_id,
        name=entry.name,
        content=entry.content,
        alias=str(entry.address),
        is_active=entry.is_active,
        priority=entry.priority,
        description=entry.description,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


async def _list(call: Call, owner: Actor) -> Answer:
    entries = await call.house.script_entries.list(owner)
    first = (call.query.page - 1) * call.query.limit
    page = Page(tuple(entries[first : first + call.query.limit]), len(entries))
    return Answer([_shown(entry) for entry in page.items], page=page)


async def _create(call: Call, owner: Actor) -> Answer:
    body: NewScript = call.body
    wishes = ScriptWishes(body.content, body.description, body.priority, body.is_active)
    return Answer(_shown(await call.house.script_entries.create(owner, body.name, wishes)))


async def _show(call: Call, owner: Actor) -> Answer:
    return Answer(_shown(await call.house.script_entries.get(owner, call.path["script_id"])))


async def _change(call: Call, owner: Actor) -> Answer:
    body: ScriptChanges = call.body
    is_active = body.is_active if body.activate is None else body.activate
    wishes = ScriptWishes(body.content, body.description, body.priority, is_active)
    return Answer(_shown(await call.house.script_entries.change(owner, call.path["script_id"], wishes)))


async def _delete(call: Call, owner: Actor) -> Answer:
    return Answer(_shown(await call.house.script_entries.delete(owner, call.path["script_id"])))


async def _activate(call: Call, owner: Actor) -> Answer:
    return Answer(_shown(await call.house.script_entries.activate(owner, call.path["script_id"])))


async def show_capabilities(call: Call) -> Answer:
    """Tell what scripts may ask for."""
    del call
    return Answer(Capabilities(extensions=sorted(ALL), script_octets_max=SCRIPT_OCTETS_MAX, scripts_max=SCRIPTS_MAX))


_Verb = Callable[[Call, Actor], Awaitable[Answer]]


def _of_alias(verb: _Verb) -> Callable[[Call], Awaitable[Answer]]:
    async def handler(call: Call) -> Answer:
        owner = await call.house.script_entries.owner(call.actor, call.path["domain_id"], call.path["alias_id"])
        return await verb(call, owner)

    return handler


def _own(verb: _Verb) -> Callable[[Call], Awaitable[Answer]]:
    async def handler(call: Call) -> Answer:
        return await verb(call, call.actor)

    return handler


def _both(method: str, rest: str, name: str, summary: str, verb: _Verb, **more: Any) -> tuple[Endpoint, Endpoint]:
    """Give an endpoint twice: of an alias, and of the account itself."""
    mine = name.replace("sieve-script", "own-sieve-script")
    return (
        Endpoint(
            method, _OF_ALIAS + rest, name, f"{summary} of an alias", _TAG, Auth.TOKEN, Right.MEMBER, _of_alias(verb),
            **more,
        ),
        Endpoint(
            method, _OWN + rest, mine, f"{summary} of the account", _TAG, Auth.ALIAS, Right.CALLER, _own(verb), **more
        ),
    )  # fmt: skip


ENDPOINTS: Final = (
    *_both(
        "GET",
        "",
        "list-sieve-scripts",
        "List the scripts",
        _list,
        query=Listed,
        shows=list[Script],
        command="sieve list",
    ),
    *_both(
        "POST", "", "create-sieve-script", "Make a script", _create, body=NewScript, shows=Script, command="sieve put"
    ),
    *_both("GET", "/{script_id}", "show-sieve-script", "Show a script", _show, shows=Script, command="sieve show"),
    *_both(
        "PUT",
        "/{script_id}",
        "change-sieve-script",
        "Change a script",
        _change,
        body=ScriptChanges,
        shows=Script,
        command="sieve put",
    ),
    *_both(
        "DELETE",
        "/{script_id}",
        "delete-sieve-script",
        "Delete a script",
        _delete,
        shows=Script,
        command="sieve delete",
    ),
    *_both(
        "POST",
        "/{script_id}/activate",
        "activate-sieve-script",
        "Let a script filter",
        _activate,
        shows=Script,
        command="sieve activate",
    ),
    Endpoint(
        "GET",
        "/v1/sieve-capabilities",
        "show-sieve-capabilities",
        "What scripts may ask for",
        _TAG,
        Auth.BOTH,
        Right.CALLER,
        show_capabilities,
        shows=Capabilities,
        is_ours=True,
        command="sieve check",
    ),
)
