"""`mailstead domain`: add, list, show, set, catch-all, catch-all-password, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli import catch_all_password
from mailstead.cli.errors import USAGE
from mailstead.cli.targets import read_targets
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.model.directory import Alias, Domain
    from mailstead.wiring.house import House

app = typer.Typer(help="Domains that we serve.", no_args_is_help=True)
app.add_typer(catch_all_password.app, name="catch-all-password")

_Name = Annotated[str, typer.Argument(metavar="DOMAIN")]


@app.command()
def add(
    context: typer.Context,
    name: _Name,
    profile: Annotated[
        str, typer.Option("--profile", metavar="PROFILE", help="What it is to be: mail, or chatmail (for Delta Chat).")
    ] = "mail",
) -> None:
    """Serve a further domain, with new keys to sign its mail."""
    terminal = terminal_of(context)

    async def work(house: House) -> Domain:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.domains.add(ADMINISTRATOR, name, profile)

    made = terminal.run(work)
    terminal.say(f"{made.name} is served now", {"domain": made.name})


@app.command("list")
def list_(context: typer.Context) -> None:
    """Show all domains."""
    terminal = terminal_of(context)

    async def work(house: House) -> list[Domain]:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.domains.list(ADMINISTRATOR)

    found = terminal.run(work)
    terminal.say_table(("Domain",), [(one.name,) for one in found], [{"domain": one.name} for one in found])


@app.command()
def show(
    context: typer.Context,
    name: _Name,
    secrets: Annotated[bool, typer.Option("--secrets", help="Show keys and passwords, too.")] = False,
) -> None:
    """Show the terms of a domain, each with its help."""
    terminal = terminal_of(context)

    async def work(house: House) -> Domain:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.domains.get(ADMINISTRATOR, name)

    _say_terms(terminal, terminal.run(work), with_secrets=secrets)


@app.command("set")
def set_(
    context: typer.Context,
    name: _Name,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[TERM=VALUE...]", help="As `domain show` lists them.")
    ] = None,
    smarthost_password_stdin: Annotated[
        bool,
        typer.Option(
            "--smarthost-password-stdin", help="Read smarthost_password from the first line of standard input."
        ),
    ] = False,
) -> None:
    """Change terms of a domain."""
    terminal = terminal_of(context)
    terms: dict[str, str] = {}
    for word in values or ():
        term, equals, value = word.partition("=")
        if not equals:
            terminal.fail(
                USAGE, f"Write term=value, not {word!r}", "`mailstead domain show` lists the terms.", "BadTerm"
            )
        terms[term.strip()] = value
    if not terms and not smarthost_password_stdin:
        terminal.fail(USAGE, "Nothing is to be changed", "`mailstead domain show` lists the terms.", "NothingToDo")
    password = terminal.password(is_from_stdin=True) if smarthost_password_stdin else None

    async def work(house: House) -> Domain:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.domains.set_terms(ADMINISTRATOR, name, terms, password)

    _say_terms(terminal, terminal.run(work), with_secrets=False)


@app.command("catch-all")
def catch_all(
    context: typer.Context,
    name: _Name,
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="As of an alias; or none, to refuse unknown addresses.")
    ],
) -> None:
    """Say where mail for unknown addresses of a domain goes: the alias *@DOMAIN, made, changed or removed."""
    terminal = terminal_of(context)
    read = () if targets == ["none"] else read_targets(terminal, targets)

    async def work(house: House) -> Alias | None:
        from mailstead.wiring.house import ADMINISTRATOR

        return await house.aliases.set_catch_all(ADMINISTRATOR, name, read)

    made = terminal.run(work)
    shown = [str(target) for target in made.targets] if made else []
    terminal.say(
        f"Mail for unknown addresses of {name} {'goes to ' + ', '.join(shown) if shown else 'is refused'}",
        {"domain": name, "catch_all": shown},
    )


@app.command()
def remove(context: typer.Context, name: _Name) -> None:
    """Serve a domain no longer; its accounts and aliases have to be removed first."""
    terminal = terminal_of(context)

    async def work(house: House) -> None:
        from mailstead.wiring.house import ADMINISTRATOR

        await house.domains.remove(ADMINISTRATOR, name)

    terminal.run(work)
    terminal.say(f"{name} is no longer served", {"domain": name})


def _say_terms(terminal: Terminal, domain: Domain, *, with_secrets: bool) -> None:
    from mailstead.policy.domain_terms import TERMS, text_of_term

    shown = {
        name: "(hidden)" if term.is_secret and value and not with_secrets else value
        for name, term in TERMS.items()
        for value in (getattr(domain.terms, name),)
    }
    terminal.say_table(
        ("Term", "Value", "Meaning"),
        [(name, text_of_term(value), TERMS[name].help) for name, value in shown.items()],
        {"domain": domain.name, "terms": shown},
    )
