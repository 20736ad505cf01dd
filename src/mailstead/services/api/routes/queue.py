"""The queue: what waits to go out, and what to do about it. Commands: ``mailstead queue``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.address import Address, normal_domain
from mailstead.model.envelope import Actor
from mailstead.model.queue import DestinationState, QueuedRecipient, QueueItem, QueueItemId, QueueQuery, RecipientState
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.errors import Refusal
from mailstead.services.api.values import Moment, Words
from mailstead.usecases.outgoing import OPEN, Outgoing

ITEMS_MAX: Final = 1000
IDS_MAX: Final = 1000
_State = Literal["waiting", "held", "delivered", "failed", "cancelled", "open", "all"]


class QueueAsked(Model):
    """Which messages are shown, the oldest first."""

    address: str = ""
    """From or to this address, or ``@domain``."""
    destination: str = ""
    """Domain or host that it is for."""
    state: _State = "open"
    """Of some recipient; ``open``: waiting or held."""
    after: Annotated[int, Field(ge=0)] = 0
    """`next_after` of the page before."""
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = 100


class Chosen(Model):
    """What is to be changed: queue ids, or an address and a destination, or all."""

    queue_ids: Annotated[Words, Field(default_factory=list, max_length=IDS_MAX)]
    address: str = ""
    destination: str = ""
    all: bool = False


class QueuedShown(Shown):
    """A recipient and where it stands."""

    address: str
    via: str | None
    """The address of ours that led there."""
    destination: str
    state: str
    attempt_count: int
    next_attempt_at: Moment | None
    last_attempt_at: Moment | None
    last_reply: str


class ItemShown(Shown):
    """One message, or a part of it that goes out by itself."""

    item_id: int
    queue_id: str
    kind: str
    mail_from: str | None
    domain: str
    message_id: str
    size_octets: int
    accepted_at: Moment
    expires_at: Moment
    recipients: list[QueuedShown]


class QueueShown(Shown):
    """A page of the queue, and how many recipients there are by state."""

    items: list[ItemShown]
    next_after: int | None
    """Give it as ``after`` for the next page; null: this was the last."""
    counts: dict[str, int]


class DestinationShown(Shown):
    """How one destination does."""

    kind: str
    name: str
    port: int
    waiting_count: int
    leased_count: int
    failure_count: int
    not_before: Moment | None
    last_reply: str


class Changed(Shown):
    """How many recipients were changed; in a dry run, how many would be."""

    recipients: int


async def show_queue(call: Call) -> Answer:
    """Give a page."""
    asked: QueueAsked = call.query
    query = QueueQuery(
        address=_address(asked.address),
        destination=_destination(asked.destination),
        after=QueueItemId(asked.after),
        limit=asked.limit,
    )
    states = OPEN if asked.state == "open" else () if asked.state == "all" else (RecipientState(asked.state),)
    items: list[QueueItem] = []
    async for page in call.house.administration.outgoing.pages(call.actor, query, states):
        items += page
    counts = await call.house.administration.outgoing.count(call.actor)
    return Answer(
        QueueShown(
            items=[_item(item) for item in items],
            next_after=items[-1].item_id if len(items) == asked.limit else None,
            counts={state.value: count for state, count in counts.items()},
        )
    )


async def show_item(call: Call) -> Answer:
    """Give all items of one message, finished ones too."""
    found = await call.house.administration.outgoing.show(call.actor, call.path["queue_id"])
    return Answer([_item(item) for item in found])


async def show_octets(call: Call) -> Answer:
    """Give a message as it waits."""
    found = await call.house.administration.outgoing.show(call.actor, call.path["queue_id"])
    octets = await call.house.administration.outgoing.octets(call.actor, found[0].item_id)
    return Answer(octets, headers={"content-disposition": 'attachment; filename="message.eml"'})


async def show_destinations(call: Call) -> Answer:
    """Give all that mail waits for."""
    return Answer([_state(each) for each in await call.house.administration.outgoing.destinations(call.actor)])


async def forget_finished(call: Call) -> Answer:
    """Forget what has ended by now."""
    count = await call.house.administration.outgoing.forget_finished(call.actor, call.house.clock.now())
    return Answer(Forgotten(messages=count))


class Forgotten(Shown):
    """How many messages are no longer listed."""

    messages: int


_Verb = Callable[[Outgoing], Callable[[Actor, Sequence[QueueQuery]], Awaitable[int]]]


def _change(verb: _Verb, *states: RecipientState) -> Callable[[Call], Awaitable[Answer]]:
    async def change(call: Call) -> Answer:
        queries = _queries(call.body)
        outgoing = call.house.administration.outgoing
        if call.is_dry_run:
            return Answer(Changed(recipients=await outgoing.fitting(call.actor, queries, states)))
        return Answer(Changed(recipients=await verb(outgoing)(call.actor, queries)))

    return change


def _queries(chosen: Chosen) -> list[QueueQuery]:
    """Errors: Refusal, BadAddress."""
    if bool(chosen.queue_ids) + bool(chosen.address or chosen.destination) + chosen.all != 1:
        raise Refusal(400, "Say what: queue_ids, or address and destination, or all")
    if chosen.queue_ids:
        return [QueueQuery(queue_id=queue_id) for queue_id in dict.fromkeys(chosen.queue_ids)]
    address, destination = _address(chosen.address), _destination(chosen.destination)
    return [QueueQuery(address=address, destination=destination, limit=sys.maxsize)]


def _address(text: str) -> str:
    if text.startswith("@"):
        return f"@{normal_domain(text[1:])}"
    if not text:
        return ""
    address = Address.parse(text)
    return f"{address.local_part}@{address.domain}"


def _destination(text: str) -> str:
    return normal_domain(text) if text and ":" not in text else text


def _item(item: QueueItem) -> ItemShown:
    return ItemShown(
        item_id=item.item_id,
        queue_id=item.queue_id,
        kind=item.kind.value,
        mail_from=str(item.mail_from) if item.mail_from else None,
        domain=item.domain,
        message_id=item.message_id,
        size_octets=item.size_octets,
        accepted_at=item.accepted_at,
        expires_at=item.expires_at,
        recipients=[_recipient(each) for each in item.recipients],
    )


def _recipient(queued: QueuedRecipient) -> QueuedShown:
    return QueuedShown(
        address=str(queued.recipient.address),
        via=str(queued.via) if queued.via else None,
        destination=queued.destination.key,
        state=queued.state.value,
        attempt_count=queued.attempt_count,
        next_attempt_at=queued.next_attempt_at,
        last_attempt_at=queued.last_attempt_at,
        last_reply=str(queued.last_reply or ""),
    )


def _state(each: DestinationState) -> DestinationShown:
    return DestinationShown(
        kind=each.destination.kind.value,
        name=each.destination.name,
        port=each.destination.port,
        waiting_count=each.waiting_count,
        leased_count=each.leased_count,
        failure_count=each.failure_count,
        not_before=each.not_before,
        last_reply=each.last_reply,
    )


_ours: Final = partial(Endpoint, tag="queue", auth=Auth.TOKEN, right=Right.SERVER_ADMIN, is_ours=True)
_changing: Final = partial(_ours, body=Chosen, shows=Changed, offers_dry_run=True)

ENDPOINTS: Final = (
    _ours(
        "GET",
        "/v1/queue",
        "list-queue",
        "Mail that waits to go out",
        handler=show_queue,
        query=QueueAsked,
        shows=QueueShown,
        command="queue list",
    ),
    _ours(
        "GET",
        "/v1/queue/destinations",
        "list-queue-destinations",
        "Where mail waits to go, and which places rest because they do not answer",
        handler=show_destinations,
        query=Model,
        shows=list[DestinationShown],
        command="queue destinations",
    ),
    _ours(
        "GET",
        "/v1/queue/{queue_id}",
        "show-queue-item",
        "All about one message: recipients, attempts, answers",
        handler=show_item,
        query=Model,
        shows=list[ItemShown],
        command="queue show",
    ),
    _ours(
        "GET",
        "/v1/queue/{queue_id}/message",
        "show-queued-message",
        "A message as it waits",
        handler=show_octets,
        media_type="message/rfc822",
        command="queue show --message",
    ),
    _ours(
        "DELETE",
        "/v1/queue/finished",
        "forget-queue",
        "Remove what has come to an end from the lists",
        handler=forget_finished,
        shows=Forgotten,
        command="queue forget",
    ),
    _changing(
        "POST",
        "/v1/queue/hold",
        "hold-queue",
        "Keep what waits from going out, until it is released",
        handler=_change(lambda outgoing: outgoing.hold, RecipientState.WAITING),
        command="queue hold",
    ),
    _changing(
        "POST",
        "/v1/queue/release",
        "release-queue",
        "Let what is held go out",
        handler=_change(lambda outgoing: outgoing.release, RecipientState.HELD),
        command="queue release",
    ),
    _changing(
        "POST",
        "/v1/queue/retry",
        "retry-queue",
        "Try what waits again now, though its destination rests",
        handler=_change(lambda outgoing: outgoing.retry, RecipientState.WAITING),
        command="queue retry",
    ),
    _changing(
        "POST",
        "/v1/queue/cancel",
        "cancel-queue",
        "Let messages never go out; nobody is told",
        handler=_change(lambda outgoing: outgoing.cancel, *OPEN),
        command="queue cancel",
    ),
)
