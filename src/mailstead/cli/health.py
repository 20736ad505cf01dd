"""`mailstead health`: does each service of this machine answer? What a container's health check asks.

It goes by the settings alone and opens no store, so it may run every few seconds and beside a server that is busy.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mailstead.cli.answers import HEADS, answers_of, rows_of
from mailstead.cli.errors import FOUND
from mailstead.cli.terminal import terminal_of


def health(
    context: typer.Context,
    services: Annotated[
        str, typer.Option(metavar="A,B", help="Services to ask, as of `serve`; else those of server.services.")
    ] = "",
) -> None:
    """Ask each port of this machine's services whether it answers. Ends with 1 if one does not.

    In a container that runs some of the services (`serve web`), those are asked.
    """
    from mailstead.wiring.services import named_services, with_services

    terminal = terminal_of(context)
    with terminal.clear_errors():
        settings = terminal.load().settings
        if services:
            settings = with_services(settings, named_services([services]))
        answers = answers_of(settings)
    terminal.say_table(
        HEADS,
        rows_of(answers),
        [
            {
                "service": each.port.service,
                "address": each.port.where,
                "is_tls": each.port.is_tls,
                "is_well": each.is_well,
                "answer": each.found,
            }
            for each in answers
        ],
    )
    if not all(each.is_well for each in answers):
        raise typer.Exit(FOUND)
