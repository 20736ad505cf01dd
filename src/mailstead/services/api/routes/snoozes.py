"""Messages that wait: they leave INBOX until a moment, and come back unread and as the newest."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.people import Page
from mailstead.model.place import thread_object_id
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.usecases.snoozing import AT_ONCE_MAX, SnoozedView

Ids = Annotated[list[str], Field(min_length=1, max_length=AT_ONCE_MAX)]


class SnoozeMade(Model):
    """What is to wait, and until when."""

    messages: Ids
    """Ids of messages."""
    until: Moment
    conversation: bool = False
    """With all of their conversations that are in the same folders."""


class SnoozesEnded(Model):
    """What is to come back at once, as it was."""

    messages: Ids


class SnoozeShown(Shown):
    """A message that waits."""

    id: str
    """Of the message, as long as it waits."""
    object: Literal["snooze"] = "snooze"
    until: Moment
    origin: str
    """Path of the folder that it came from."""
    thread_id: str


class MovedShown(Shown):
    """Where messages are now."""

    messages: list[str]


async def list_snoozes(call: Call) -> Answer:
    """Give a page, soonest first."""
    found = await call.house.snoozing.find(call.actor)
    start = (call.query.page - 1) * call.query.limit
    page = Page(tuple(found[start : start + call.query.limit]), len(found))
    return Answer([_shown(each) for each in page.items], page=page)


async def snooze(call: Call) -> Answer:
    """Let messages wait."""
    asked: SnoozeMade = call.body
    snoozing = call.house.snoozing
    verb = snoozing.snooze_conversations if asked.conversation else snoozing.snooze
    moved = await verb(call.actor, asked.messages, asked.until)
    return Answer(MovedShown(messages=list(moved)))


async def unsnooze(call: Call) -> Answer:
    """Take messages back."""
    return Answer(MovedShown(messages=list(await call.house.snoozing.unsnooze(call.actor, call.body.messages))))


def _shown(view: SnoozedView) -> SnoozeShown:
    return SnoozeShown(
        id=view.message.place.object_id,
        until=view.until,
        origin=view.origin,
        thread_id=thread_object_id(view.message.record.thread_id),
    )


_endpoint: Final = partial(Endpoint, tag="snoozes", auth=Auth.ALIAS, right=Right.CALLER, is_ours=True)

ENDPOINTS: Final = (
    _endpoint(
        "GET",
        "/v1/snoozes",
        "list-snoozes",
        "Messages that wait, soonest first",
        handler=list_snoozes,
        query=Listed,
        shows=list[SnoozeShown],
    ),
    _endpoint(
        "POST",
        "/v1/snoozes",
        "snooze-messages",
        "Let messages wait until a moment",
        handler=snooze,
        body=SnoozeMade,
        shows=MovedShown,
        description="They are in the folder `Snoozed` meanwhile, under other ids, and come back to INBOX unread and as"
        " the newest. Messages that are gone are passed over; if none is left, the answer is 404.",
    ),
    _endpoint(
        "POST",
        "/v1/snoozes/end",
        "unsnooze-messages",
        "Take messages that wait back to where they were",
        handler=unsnooze,
        body=SnoozesEnded,
        shows=MovedShown,
    ),
)
