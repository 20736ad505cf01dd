"""`mailstead trace`: where a message went, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.moments import as_json, past_moment, shown
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.model.trace import TraceEvent
    from mailstead.usecases.traces import TracedMessage
    from mailstead.wiring.house import House


def trace(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Sender or recipient, or @domain; else any.")
    ] = None,
    message_id: Annotated[str | None, typer.Option(help="Message-ID, with or without < and >.")] = None,
    queue_id: Annotated[str | None, typer.Option(help="As in Received, in the log and in `queue list`.")] = None,
    since: Annotated[str | None, typer.Option(help="30m, 2h, 7d (ago), or 2030-12-31, in UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="The same.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many messages, the latest.")] = 20,
) -> None:
    """Tell where messages went: each hop, check, verdict with its reason, and answer of others. Times are in UTC."""
    terminal = terminal_of(context)
    from mailstead.model.trace import TraceQuery

    query = TraceQuery(
        address=_wanted(terminal, address) if address else "",
        message_id=message_id or "",
        queue_id=queue_id or "",
        since=past_moment(terminal, since, "--since") if since else None,
        until=past_moment(terminal, until, "--until") if until else None,
        limit=limit * 100,
    )

    async def work(house: House) -> list[TracedMessage]:
        from mailstead.usecases.traces import Traces
        from mailstead.wiring.house import ADMINISTRATOR

        return await Traces(house.storage).messages(ADMINISTRATOR, query, limit)

    found = terminal.run(work)
    nothing = "Nothing is known of that. Steps are kept for trace.kept_days, and not of domains that want no trace."
    terminal.say(
        "\n\n".join(_text(message) for message in reversed(found)) or nothing, [_as_json(message) for message in found]
    )


def _wanted(terminal: Terminal, text: str) -> str:
    from mailstead.model.address import normal_domain

    if text.startswith("@"):
        with terminal.clear_errors():
            return f"@{normal_domain(text[1:])}"
    return str(terminal.address(text))


def _text(message: TracedMessage) -> str:
    """Give a message's head, then a line for each step, which says what the head does not."""
    first = message.steps[0]
    sender = message.first("mail_from") or "<>"
    head = f"{shown(first.at)}  {message.queue_id or '(no message)'}  from {sender}"
    if message.recipients:
        head += f" to {', '.join(message.recipients)}"
    if message_id := message.first("message_id"):
        head += f"\n  Message-ID {message_id}"
    lines = [head]
    for step in message.steps:
        moment = f"{step.at:%H:%M:%S}" if step.at.date() == first.at.date() else shown(step.at)
        lines.append(f"  {moment}  {step.step:<10}  {_said(step, is_alone=len(message.recipients) < 2)}")
    return "\n".join(lines)


def _said(step: TraceEvent, *, is_alone: bool) -> str:
    parts = [
        step.decision,
        step.reason,
        "" if is_alone or not step.recipient else f"[{step.recipient}]",
        f"peer {step.peer}" if step.peer else "",
        f"answer: {step.reply}" if step.reply else "",
    ]
    return "; ".join(part for part in parts if part)


def _as_json(message: TracedMessage) -> dict[str, object]:
    return {
        "queue_id": message.queue_id,
        "steps": [
            {
                "at": as_json(step.at),
                "direction": step.direction,
                "step": step.step,
                "decision": step.decision,
                "reason": step.reason,
                "mail_from": step.mail_from,
                "recipient": step.recipient,
                "message_id": step.message_id,
                "peer": step.peer,
                "reply": step.reply,
                "domain": step.domain,
            }
            for step in message.steps
        ],
    }
