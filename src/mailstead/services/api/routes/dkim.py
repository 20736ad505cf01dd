"""Keys that sign a domain's mail. Commands: ``mailstead dkim``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

from pydantic import StringConstraints

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment, Password
from mailstead.usecases.keys import PublishedKey


class KeyShown(Shown):
    """A key, and the record to publish for it; never the private half."""

    selector: str
    algorithm: str
    state: str
    created_at: Moment
    name: str
    """Of the TXT record."""
    record: str


class KeyImport(Model):
    """A key from elsewhere."""

    selector: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    private_key: Password
    """PEM, not encrypted."""


async def list_keys(call: Call) -> Answer:
    """Give all keys."""
    return _keys(await call.house.administration.keys.list(call.actor, await _domain(call)))


async def create(call: Call) -> Answer:
    """Make the first keys."""
    return _keys(await call.house.administration.keys.create(call.actor, await _domain(call)))


async def rotate(call: Call) -> Answer:
    """Make the next keys."""
    return _keys(await call.house.administration.keys.rotate(call.actor, await _domain(call)))


async def activate(call: Call) -> Answer:
    """Let the next keys sign."""
    return _keys(await call.house.administration.keys.activate(call.actor, await _domain(call)))


async def import_key(call: Call) -> Answer:
    """Take a key over."""
    asked: KeyImport = call.body
    octets = asked.private_key.reveal().encode()
    return _keys(
        [await call.house.administration.keys.import_key(call.actor, await _domain(call), asked.selector, octets)]
    )


async def retire(call: Call) -> Answer:
    """Let one key sign no more."""
    name = await _domain(call)
    await call.house.administration.keys.retire(call.actor, name, call.path["selector"])
    return _keys(await call.house.administration.keys.list(call.actor, name))


async def remove(call: Call) -> Answer:
    """Remove a key that does not sign."""
    await call.house.administration.keys.remove(call.actor, await _domain(call), call.path["selector"])
    return Answer()


async def _domain(call: Call) -> str:
    return (await call.house.administration.find_domain(call.actor, call.path["domain_id"])).domain.name


def _keys(found: Sequence[PublishedKey]) -> Answer:
    return Answer(
        [
            KeyShown(
                selector=each.key.selector,
                algorithm=each.key.algorithm,
                state=each.key.state.value,
                created_at=each.key.created_at,
                name=each.name,
                record=each.record,
            )
            for each in found
        ]
    )


_PATH: Final = "/v1/domains/{domain_id}/dkim"
_ours: Final = partial(
    Endpoint,
    tag="dkim",
    auth=Auth.TOKEN,
    right=Right.DOMAIN_ADMIN,
    query=Model,
    shows=list[KeyShown],
    is_ours=True,
)

ENDPOINTS: Final = (
    _ours(
        "GET",
        _PATH,
        "list-keys",
        "The keys of a domain and the records to publish",
        handler=list_keys,
        command="dkim list",
    ),
    _ours(
        "POST",
        _PATH,
        "create-keys",
        "Make the first keys of a domain that has none",
        handler=create,
        status=201,
        command="dkim create",
    ),
    _ours(
        "POST",
        f"{_PATH}/import",
        "import-key",
        "Take over a key from another server",
        handler=import_key,
        body=KeyImport,
        status=201,
        command="dkim import",
    ),
    _ours(
        "POST",
        f"{_PATH}/rotate",
        "rotate-keys",
        "Make the next keys, which sign nothing until they are activated",
        handler=rotate,
        status=201,
        command="dkim rotate",
    ),
    _ours(
        "POST",
        f"{_PATH}/activate",
        "activate-keys",
        "Let the keys that rotation has made sign, and the present ones no more",
        handler=activate,
        command="dkim activate",
    ),
    _ours(
        "POST",
        f"{_PATH}/{{selector}}/retire",
        "retire-key",
        "Let one key sign no more; its record stays",
        handler=retire,
        command="dkim retire",
    ),
    _ours(
        "DELETE",
        f"{_PATH}/{{selector}}",
        "remove-key",
        "Remove a key that does not sign",
        handler=remove,
        shows=None,
        status=204,
        command="dkim remove",
    ),
)
