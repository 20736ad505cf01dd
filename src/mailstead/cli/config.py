"""`mailstead config`: show, example, reference."""

from __future__ import annotations

import typer

from mailstead.cli.terminal import terminal_of

app = typer.Typer(help="Settings: what holds now, and what can be set.", no_args_is_help=True)


@app.command()
def show(context: typer.Context) -> None:
    """Show all settings as they hold now, and where each comes from. Secrets are hidden."""
    terminal = terminal_of(context)
    with terminal.clear_errors():
        from mailstead.config.show import effective

        shown = effective(terminal.load())
    terminal.say_table(
        ("Setting", "Value", "Origin"),
        [(one.key, one.text, one.origin) for one in shown],
        {one.key: {"value": one.value, "origin": one.origin} for one in shown},
    )


@app.command()
def example(context: typer.Context) -> None:
    """Print a commented settings file to start with."""
    from mailstead.config.reference import example_file

    text = example_file()
    terminal_of(context).say(text.rstrip("\n"), {"toml": text})


@app.command()
def reference(context: typer.Context) -> None:
    """Print the explanation of all settings, as Markdown."""
    from mailstead.config.reference import reference_page

    text = reference_page()
    terminal_of(context).say(text.rstrip("\n"), {"markdown": text})
