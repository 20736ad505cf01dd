"""`mailstead queue`: list, show, destinations, hold, release, retry, cancel, forget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import DATA, USAGE
from mailstead.cli.moments import as_json, past_moment, shown
from mailstead.cli.printing import printable
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mailstead.model.envelope import Actor
    from mailstead.model.queue import DestinationState, QueuedRecipient, QueueItem, QueueQuery, RecipientState
    from mailstead.usecases.outgoing import Outgoing
    from mailstead.wiring.house import House

    _Verb = Callable[[Outgoing], Callable[[Actor, Sequence[QueueQuery]], Awaitable[int]]]

app = typer.Typer(help="Mail that waits to go out. Times are in UTC.", no_args_is_help=True)

_STATES: Final = ("waiting", "held", "delivered", "failed", "cancelled")
_QueueIds = Annotated[list[str] | None, typer.Argument(metavar="[QUEUE-ID...]", help="As `queue list` shows them.")]
_Address = Annotated[str | None, typer.Option(help="From or to this address, or @domain.")]
_To = Annotated[str | None, typer.Option("--destination", help="For this domain or host.")]
_All = Annotated[bool, typer.Option("--all", help="All there are.")]


@app.command("list")
def list_(
    context: typer.Context,
    address: _Address = None,
    destination: _To = None,
    state: Annotated[
        str, typer.Option(help=f"{', '.join(_STATES)}; all; or open, which is waiting and held.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the oldest first.")] = 100,
) -> None:
    """Show what waits, and with --state what has come to an end."""
    terminal = terminal_of(context)
    query = _query(terminal, address=address, destination=destination, limit=limit)
    states = _states(terminal, state)

    async def work(house: House) -> int:
        outgoing, administrator = _outgoing(house)
        shown_count = 0
        # Printed page by page, so that a large queue needs little memory.
        async for page in outgoing.pages(administrator, query, states):
            for item in page:
                if terminal.is_json:
                    text = printable(json.dumps(_item_json(item), ensure_ascii=False))
                    print("[" if not shown_count else ",", text, sep="\n" if shown_count else "")
                else:
                    print(printable("\n".join(_lines(item, states))))
                shown_count += 1
        if terminal.is_json:
            print("]" if shown_count else "[]")
            return shown_count
        counts = await outgoing.count(administrator)
        print("Recipients: " + ", ".join(f"{count} {each}" for each, count in counts.items()))
        return shown_count

    if terminal.run(work) == limit and not terminal.is_json:
        print(f"There may be more than these {limit} messages; raise --limit to see them.")


@app.command()
def show(
    context: typer.Context,
    queue_id: Annotated[str, typer.Argument(metavar="QUEUE-ID")],
    message: Annotated[bool, typer.Option("--message", help="Print the message itself instead.")] = False,
) -> None:
    """Show all about one message: its recipients, how often each was tried, what was answered."""
    terminal = terminal_of(context)

    async def work(house: House) -> tuple[list[QueueItem], list[bytes]]:
        outgoing, administrator = _outgoing(house)
        items = await outgoing.show(administrator, queue_id)
        return items, [await outgoing.octets(administrator, item.item_id) for item in items if message]

    found, octets = terminal.run(work)
    if message:
        import sys

        for whole in octets:
            sys.stdout.buffer.write(whole)
        return
    terminal.say("\n\n".join(_item_text(item) for item in found), [_item_json(item) for item in found])


@app.command()
def destinations(context: typer.Context) -> None:
    """Show where mail waits to go, most waiting first, and which places rest because they do not answer."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[DestinationState]:
        outgoing, administrator = _outgoing(house)
        return await outgoing.destinations(administrator)

    found = terminal.run(work)
    terminal.say_table(
        ("Destination", "Waiting", "Under way", "Failures in a row", "Rests until", "Last answer"),
        [
            (
                _place(each),
                str(each.waiting_count),
                str(each.leased_count),
                str(each.failure_count),
                shown(each.not_before),
                each.last_reply[:80],
            )
            for each in found
        ],
        [
            {
                "kind": each.destination.kind,
                "name": each.destination.name,
                "port": each.destination.port,
                "waiting_count": each.waiting_count,
                "leased_count": each.leased_count,
                "failure_count": each.failure_count,
                "not_before": as_json(each.not_before),
                "last_reply": each.last_reply,
            }
            for each in found
        ],
    )


def _add_change(name: str, what: str, verb: _Verb, text: str) -> None:
    """Add a command that does something to what is chosen, and says of how many recipients it did."""

    @app.command(name, help=text)
    def change(
        context: typer.Context,
        queue_ids: _QueueIds = None,
        address: _Address = None,
        destination: _To = None,
        is_all: _All = False,
    ) -> None:
        terminal = terminal_of(context)
        _change(terminal, what, verb, _chosen(terminal, queue_ids, address, destination, is_all=is_all))


_add_change("hold", "held", lambda outgoing: outgoing.hold, "Keep what waits from going out, until it is released.")
_add_change("release", "released", lambda outgoing: outgoing.release, "Let what is held go out.")
_add_change(
    "retry", "due now", lambda outgoing: outgoing.retry, "Try what waits again now, though its destination rests."
)


@app.command()
def cancel(
    context: typer.Context,
    queue_ids: _QueueIds = None,
    address: _Address = None,
    destination: _To = None,
    is_all: _All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let messages never go out; nobody is told. Without queue ids, --yes is asked for."""
    terminal = terminal_of(context)
    queries = _chosen(terminal, queue_ids, address, destination, is_all=is_all)
    if not queue_ids and not yes:
        terminal.fail(
            USAGE, "This cancels all that fits, and tells nobody", "Add --yes if that is meant.", "NotConfirmed"
        )
    _change(terminal, "cancelled", lambda outgoing: outgoing.cancel, queries)


@app.command()
def forget(
    context: typer.Context,
    before: Annotated[
        str, typer.Option(help="Only what ended before: 2h (ago), or 2030-12-31. Else all that has ended.")
    ] = "0m",
) -> None:
    """Remove what has come to an end from the lists (this happens by itself after queue.finished_kept_s)."""
    terminal = terminal_of(context)
    moment = past_moment(terminal, before, "--before")

    async def work(house: House) -> int:
        outgoing, administrator = _outgoing(house)
        return await outgoing.forget_finished(administrator, moment)

    count = terminal.run(work)
    terminal.say(f"{count} finished messages are forgotten", {"forgotten": count})


def _outgoing(house: House) -> tuple[Outgoing, Actor]:
    from mailstead.usecases.outgoing import Outgoing
    from mailstead.wiring.house import ADMINISTRATOR

    return Outgoing(house.storage, house.clock, house.audit), ADMINISTRATOR


def _query(
    terminal: Terminal, *, address: str | None = None, destination: str | None = None, limit: int = 100
) -> QueueQuery:
    from mailstead.model.address import normal_domain
    from mailstead.model.queue import QueueQuery

    with terminal.clear_errors():
        if address and address.startswith("@"):
            address = f"@{normal_domain(address[1:])}"
        elif address:
            whole = terminal.address(address)
            address = f"{whole.local_part}@{whole.domain}"
        name = normal_domain(destination) if destination and ":" not in destination else destination
    return QueueQuery(address=address or "", destination=name or "", limit=limit)


def _chosen(
    terminal: Terminal, queue_ids: list[str] | None, address: str | None, destination: str | None, *, is_all: bool
) -> list[QueueQuery]:
    """Give what a changing command is about, or end with the text that helps."""
    from mailstead.model.queue import QueueQuery

    if bool(queue_ids) + bool(address or destination) + is_all != 1:
        terminal.fail(
            USAGE, "Say what: queue ids, or --address and --destination, or --all", "See `queue list`.", "NothingChosen"
        )
    if queue_ids:
        return [QueueQuery(queue_id=queue_id) for queue_id in queue_ids]
    return [_query(terminal, address=address, destination=destination)]


def _change(terminal: Terminal, what: str, verb: _Verb, queries: Sequence[QueueQuery]) -> None:
    async def work(house: House) -> int:
        outgoing, administrator = _outgoing(house)
        return await verb(outgoing)(administrator, queries)

    count = terminal.run(work)
    terminal.say(f"{count} recipient{'s are' if count != 1 else ' is'} {what}", {"recipients": count})


def _states(terminal: Terminal, text: str) -> tuple[RecipientState, ...]:
    from mailstead.model.queue import RecipientState
    from mailstead.usecases.outgoing import OPEN

    if text in {"open", "all"}:
        return OPEN if text == "open" else ()
    if text not in _STATES:
        terminal.fail(DATA, f"--state is {', '.join(_STATES)}, open or all; not {text!r}", kind="BadState")
    return (RecipientState(text),)


def _target(recipient: QueuedRecipient) -> str:
    return recipient.url or str(recipient.recipient.address)


def _place(state: DestinationState) -> str:
    where = state.destination
    if not where.name:
        return "mailboxes here"
    return where.name if where.port == 25 else f"{where.name}:{where.port}"


def _lines(item: QueueItem, states: Sequence[RecipientState]) -> list[str]:
    """Give an item for the list: a line for the message, a line for each recipient in one of the states."""
    lines = [f"{item.queue_id}  {shown(item.accepted_at)}  {item.size_octets:>9} octets  from {item.mail_from or '<>'}"]
    for each in item.recipients:
        if not states or each.state in states:
            again = f", again {shown(each.next_attempt_at)}" if each.state == "waiting" else ""
            tried = f", tried {each.attempt_count} times{again}" if each.attempt_count else again
            lines.append(f"    {each.state} to {_target(each)}{tried}")
            if each.last_reply:
                lines.append(f"        {str(each.last_reply)[:200]}")
    return lines


def _item_text(item: QueueItem) -> str:
    lines = [
        f"{item.queue_id}  {item.kind}, {item.size_octets} octets, accepted {shown(item.accepted_at)}",
        f"  from        {item.mail_from or '<>'}",
        f"  message-id  {item.message_id or '(none)'}",
        f"  tried until {shown(item.expires_at)}",
        f"  notices to  {item.notify_to or 'nobody'}",
    ]
    if item.require_tls:
        lines.append("  goes over verified TLS only")
    for each in item.recipients:
        via = f", by way of {each.via}" if each.via else ""
        lines.append(f"  to {_target(each)}{via}: {each.state}, tried {each.attempt_count} times")
        if each.state == "waiting":
            lines.append(f"    next try    {shown(each.next_attempt_at)}")
        if each.last_attempt_at:
            secured = f" ({each.last_reply.security})" if each.last_reply and each.last_reply.security else ""
            lines.append(f"    last try    {shown(each.last_attempt_at)}{secured}")
            lines.append(f"    last answer {each.last_reply}")
    return "\n".join(lines)


def _item_json(item: QueueItem) -> dict[str, object]:
    return {
        "queue_id": item.queue_id,
        "kind": item.kind,
        "mail_from": str(item.mail_from) if item.mail_from else None,
        "size_octets": item.size_octets,
        "accepted_at": as_json(item.accepted_at),
        "expires_at": as_json(item.expires_at),
        "domain": item.domain,
        "message_id": item.message_id,
        "priority": item.priority,
        "recipients": [
            {
                "address": str(each.recipient.address),
                "url": each.url or None,
                "via": str(each.via) if each.via else None,
                "destination": each.destination.key,
                "state": each.state,
                "attempt_count": each.attempt_count,
                "next_attempt_at": as_json(each.next_attempt_at),
                "last_attempt_at": as_json(each.last_attempt_at),
                "last_reply": str(each.last_reply) if each.last_reply else None,
            }
            for each in item.recipients
        ],
    }
