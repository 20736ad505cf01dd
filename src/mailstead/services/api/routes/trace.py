"""Where messages went. Command: ``mailstead trace``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mailstead.model.address import Address, normal_domain
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment
from mailstead.usecases.traces import TracedMessage

MESSAGES_MAX: Final = 200
STEPS_READ_PER_MESSAGE: Final = 100


class TraceAsked(Model):
    """Which messages are meant; all that is set must fit."""

    address: str = ""
    """Sender or recipient, or ``@domain``. Whoever does not administer the server names an own domain's."""
    message_id: str = ""
    queue_id: str = ""
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MESSAGES_MAX)] = 20


class StepShown(Shown):
    """One thing that happened to a message."""

    at: Moment
    direction: str
    step: str
    decision: str
    reason: str
    recipient: str
    peer: str
    reply: str


class TracedShown(Shown):
    """One message, and what happened to it in order."""

    queue_id: str
    message_id: str
    mail_from: str
    recipients: list[str]
    steps: list[StepShown]


async def show_trace(call: Call) -> Answer:
    """Give the latest messages."""
    asked: TraceAsked = call.query
    query = TraceQuery(
        address=_address(asked.address),
        message_id=asked.message_id,
        queue_id=asked.queue_id,
        since=asked.since,
        until=asked.until,
        limit=asked.limit * STEPS_READ_PER_MESSAGE,
    )
    found = await call.house.administration.traces.messages(call.actor, query, asked.limit)
    return Answer([_message(each) for each in found])


def _address(text: str) -> str:
    if text.startswith("@"):
        return f"@{normal_domain(text[1:])}"
    return str(Address.parse(text)) if text else ""


def _message(traced: TracedMessage) -> TracedShown:
    return TracedShown(
        queue_id=traced.queue_id,
        message_id=traced.first("message_id"),
        mail_from=traced.first("mail_from"),
        recipients=traced.recipients,
        steps=[_step(step) for step in traced.steps],
    )


def _step(step: TraceEvent) -> StepShown:
    return StepShown(
        at=step.at,
        direction=step.direction,
        step=step.step,
        decision=step.decision,
        reason=step.reason,
        recipient=step.recipient,
        peer=step.peer,
        reply=step.reply,
    )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/trace",
        "show-trace",
        "Where messages went: each hop, check, verdict with its reason, and answer of others",
        "trace",
        Auth.TOKEN,
        Right.CALLER,
        show_trace,
        query=TraceAsked,
        shows=list[TracedShown],
        is_ours=True,
        command="trace",
    ),
)
