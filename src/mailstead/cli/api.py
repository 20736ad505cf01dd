"""`mailstead api`: every verb of the REST API at the command line, without a server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailstead.cli.errors import BUG, DATA, EXISTS, LATER, NO_SUCH, NOT_ALLOWED, UNAVAILABLE, USAGE
from mailstead.cli.terminal import Terminal, owner, terminal_of

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.wiring.api_verbs import Said
    from mailstead.wiring.house import House


def api(
    context: typer.Context,
    verb: Annotated[
        str | None, typer.Argument(metavar="[VERB]", help="Such as list-queue; else all are listed.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE...]", help="What stands in braces in its path, fields of body or query."),
    ] = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="ADDRESS", help="For the owner of this account, or this user.")
    ] = None,
    body: Annotated[str | None, typer.Option(help="The body as JSON; - reads it from standard input.")] = None,
) -> None:
    """Do what programs do over the API: mailstead api change-calendar calendar_id=… name=Club --as ann@example.org."""
    terminal = terminal_of(context)
    if verb is None:
        _list(terminal)
        return
    pairs = _pairs(terminal, values or [])
    content = _content(terminal, body)

    async def work(house: House) -> Said:
        from mailstead.wiring.api_verbs import call

        return await call(house, await _actor(terminal, house, as_), verb, pairs, content)

    said = terminal.run(work)
    if said.status >= 400:
        terminal.fail(_EXITS.get(said.status, USAGE), said.text, kind=f"Status{said.status}")
    if said.media_type.startswith(("application/json", "text/plain")) or not said.octets:
        value = json.loads(said.octets) if said.media_type.startswith("application/json") and said.octets else None
        text = said.octets.decode() if value is None else json.dumps(value, ensure_ascii=False, indent=2)
        terminal.say(text or "Done", value)
    else:
        sys.stdout.buffer.write(said.octets)


_EXITS = {
    400: DATA,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NO_SUCH,
    409: EXISTS,
    413: DATA,
    429: LATER,
    500: BUG,
    503: UNAVAILABLE,
}


def _list(terminal: Terminal) -> None:
    with terminal.clear_errors():
        from mailstead.wiring.api_verbs import verbs

        found = verbs()
    terminal.say_table(
        ("Verb", "Path", "What it does", "Also"),
        [(one.name, f"{one.method} {one.path}", one.summary, one.command) for one in found],
        [
            {"verb": one.name, "method": one.method, "path": one.path, "summary": one.summary, "command": one.command}
            for one in found
        ],
    )


def _pairs(terminal: Terminal, words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            terminal.fail(USAGE, f"Write name=value, not {word!r}", "`mailstead api` shows the paths.", "BadValue")
        pairs[name.strip()] = value
    return pairs


def _content(terminal: Terminal, body: str | None) -> Any:
    if body is None:
        return None
    try:
        return json.loads(sys.stdin.read() if body == "-" else body)
    except ValueError as error:
        terminal.fail(DATA, f"The body is no JSON: {error}", kind="BadBody")


async def _actor(terminal: Terminal, house: House, name: str | None) -> Actor:
    from mailstead.model.errors import NoSuchAccount
    from mailstead.wiring.house import ADMINISTRATOR

    if name is None:
        return ADMINISTRATOR
    try:
        return await owner(house, terminal.address(name))
    except NoSuchAccount:
        return await house.users.actor_of(await house.users.get(ADMINISTRATOR, name))
