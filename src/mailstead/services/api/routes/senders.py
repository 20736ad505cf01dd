"""An account's own lists of senders. Commands: ``mailstead junk allow``, ``mailstead junk deny``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

from pydantic import Field

from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Words
from mailstead.usecases.sender_lists import ALLOWED, DENIED, ENTRIES_MAX


class Entries(Model):
    """Addresses, domains or IP networks."""

    entries: Annotated[Words, Field(min_length=1, max_length=ENTRIES_MAX)]


class EntriesShown(Shown):
    """A whole list, sorted."""

    entries: list[str]


def _show(which: str) -> Callable[[Call], Awaitable[Answer]]:
    async def show(call: Call) -> Answer:
        return Answer(EntriesShown(entries=await call.house.administration.sender_lists.entries(call.actor, which)))

    return show


def _add(which: str) -> Callable[[Call], Awaitable[Answer]]:
    async def add(call: Call) -> Answer:
        return Answer(
            EntriesShown(entries=await call.house.administration.sender_lists.add(call.actor, which, call.body.entries))
        )

    return add


def _remove(which: str) -> Callable[[Call], Awaitable[Answer]]:
    async def remove(call: Call) -> Answer:
        entries = [call.path["entry"]]
        return Answer(
            EntriesShown(entries=await call.house.administration.sender_lists.remove(call.actor, which, entries))
        )

    return remove


_ours: Final = partial(Endpoint, tag="senders", auth=Auth.ALIAS, right=Right.CALLER, shows=EntriesShown, is_ours=True)


def _endpoints(path: str, which: str, meaning: str, command: str) -> tuple[Endpoint, ...]:
    return (
        _ours(
            "GET",
            f"/v1/senders/{path}",
            f"show-{path}-senders",
            f"Senders whose mail is {meaning}",
            handler=_show(which),
            command=command,
        ),
        _ours(
            "POST",
            f"/v1/senders/{path}",
            f"add-{path}-senders",
            f"Add senders whose mail is {meaning}",
            handler=_add(which),
            body=Entries,
            command=command,
        ),
        _ours(
            "DELETE",
            f"/v1/senders/{path}/{{entry}}",
            f"remove-{path}-senders",
            f"Remove a sender from those whose mail is {meaning}",
            handler=_remove(which),
            command=f"{command} --remove",
        ),
    )


ENDPOINTS: Final = (
    *_endpoints("allowed", ALLOWED, "always taken", "junk allow"),
    *_endpoints("denied", DENIED, "never taken", "junk deny"),
)
