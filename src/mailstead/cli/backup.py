"""`mailstead backup`: make one, list them, look one over, remove old ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mailstead.cli.errors import FOUND
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from mailstead.config.settings import Settings

T = TypeVar("T")

app = typer.Typer(help="Encrypted backups while the server runs. Without a verb: make one.")


def work_on(terminal: Terminal, work: Callable[[Settings], Awaitable[T]]) -> T:
    """Read the settings and run the work, with errors for people."""
    from mailstead.telemetry import log

    with terminal.clear_errors():
        settings = terminal.load().settings
        log.configure("error", settings.server.log_format)

        async def run() -> T:
            return await work(settings)

        return asyncio.run(run())


@app.callback(invoke_without_command=True)
def make(context: typer.Context) -> None:
    """Make a backup now, and remove those that need not stay (settings backup.*_count)."""
    if context.invoked_subcommand is not None:
        return
    terminal = terminal_of(context)

    async def work(settings: Settings) -> tuple[dict[str, object], str]:
        from mailstead.config.load import file_of
        from mailstead.wiring.backup import alone, backup_key_file, make_backups, retention
        from mailstead.wiring.house import ADMINISTRATOR

        with alone(settings), terminal.progress("Backing up") as progress:
            had_key = bool(settings.backup.key) or backup_key_file(settings).exists()
            backups = make_backups(settings, file_of(terminal.config, os.environ))
            made = await backups.run(ADMINISTRATOR, progress)
            pruned = await backups.prune(ADMINISTRATOR, retention(settings))
        text = (
            f"Snapshot {made.snapshot}: {made.file_count} files, {made.size_octets} octets; {made.unchanged_count} "
            f"files unchanged, {made.sent_octets} octets stored anew; {len(pruned.removed)} old snapshots removed"
        )
        if pruned.locked_count:
            text += f"\n{pruned.locked_count} old objects are locked at that place, and stay for now"
        if not had_key:
            text += (
                f"\nA backup key was made: {backup_key_file(settings)}. Print it (`mailstead backup key`) and keep it "
                "elsewhere: without it no backup can be read."
            )
        if made.damaged:
            text += (
                "\nDAMAGED, and taken over from the last backup as far as it has them: "
                f"{', '.join(made.damaged)}. See `mailstead check`."
            )
        return {name: getattr(made, name) for name in made.__slots__} | {"removed": list(pruned.removed)}, text

    value, text = work_on(terminal, work)
    terminal.say(text, value)
    if value["damaged"]:
        raise typer.Exit(FOUND)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the snapshots, the oldest first."""
    terminal = terminal_of(context)

    async def work(settings: Settings) -> list[str]:
        from mailstead.wiring.backup import make_backups
        from mailstead.wiring.house import ADMINISTRATOR

        return await make_backups(settings).list(ADMINISTRATOR)

    names = work_on(terminal, work)
    terminal.say("\n".join(names) or "(none)", names)


@app.command()
def key(context: typer.Context) -> None:
    """Print the backup key. Whoever has it, and the backups, has everything; without it nobody has anything."""
    from mailstead.usecases.backup_vault import key_text

    terminal = terminal_of(context)

    async def work(settings: Settings) -> str:
        from mailstead.wiring.backup import backup_key, note_key_shown

        key = backup_key(settings, makes=True)
        note_key_shown(settings, key)
        return key_text(key)

    text = work_on(terminal, work)
    terminal.say(text, {"key": text})


@app.command()
def drill(
    context: typer.Context,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Which; else the newest.")] = "",
) -> None:
    """Restore a snapshot into a folder of its own, open every store, look it over, and remove it again."""
    terminal = terminal_of(context)

    async def work(settings: Settings) -> tuple[dict[str, object], str, bool]:
        from mailstead.usecases.restores import Restores
        from mailstead.wiring.backup import backup_key, make_vault
        from mailstead.wiring.house import ADMINISTRATOR
        from mailstead.wiring.restore import drill as run_drill

        restores = Restores(make_vault(settings, backup_key(settings)))
        found = await restores.pick(ADMINISTRATOR, snapshot)
        with terminal.progress("Restoring") as progress:
            restored = await run_drill(settings, restores, found, progress)
        lines = [
            f"Snapshot {restored.snapshot}: {restored.account_count} accounts, {restored.message_count} messages",
            *restored.findings,
        ]
        value = {name: getattr(restored, name) for name in restored.__slots__}
        return value, "\n".join(lines), bool(restored.findings)

    value, text, is_bad = work_on(terminal, work)
    terminal.say(text, value)
    if is_bad:
        raise typer.Exit(FOUND)
