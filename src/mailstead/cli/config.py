"""`mailstead config`: show, example, reference."""

from __future__ import annotations

import os

import typer

from mailstead.cli.printing import table
from mailstead.cli.terminal import terminal_of

app = typer.Typer(help="Settings: what holds now, and what can be set.", no_args_is_help=True)


@app.command()
def show(context: typer.Context) -> None:
    """Show all settings as they hold now, and where each comes from. Secrets are hidden.

    Below them: files of the custom folder with what each replaces, and what comes of a relay's container variables.
    """
    terminal = terminal_of(context)
    with terminal.clear_errors():
        from mailstead.cli.containers import told_by_variables
        from mailstead.config.show import effective
        from mailstead.services.web.custom import custom_files

        loaded = terminal.load()
        shown = effective(loaded)
        variables = told_by_variables(os.environ)
        folder = loaded.settings.web.custom_folder
        files = custom_files(folder)
    blocks = [table(("Setting", "Value", "Origin"), [(one.key, one.text, one.origin) for one in shown])]
    value: dict[str, object] = {one.key: {"value": one.value, "origin": one.origin} for one in shown}
    if files:
        rows = [(f"{folder.rstrip('/')}/{each.path}", each.replaces or f"nothing: {each.advice}") for each in files]
        blocks.append(table(("Custom file", "Replaces"), rows))
        value["custom_files"] = [each._asdict() for each in files]
    if variables:
        blocks.append(table(("Container variable", "What comes of it"), list(variables.items())))
        value["container_variables"] = variables
    terminal.say("\n\n".join(blocks), value)


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
