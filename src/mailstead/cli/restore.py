"""`mailstead restore`: a whole house, or one account's mail."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mailstead.cli.backup import work_on
from mailstead.cli.errors import DATA, FOUND
from mailstead.cli.terminal import Terminal, terminal_of
from mailstead.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailstead.config.settings import Settings
    from mailstead.model.address import Address
    from mailstead.usecases.imports import ImportReport
    from mailstead.wiring.restore import Restored

KEY_CHARACTERS_MAX = 200


def restore(
    context: typer.Context,
    snapshot: Annotated[str, typer.Argument(metavar="SNAPSHOT", help="Which; else the newest.")] = "",
    at: Annotated[
        str, typer.Option(metavar="TIME", help="The last one made by then: 2026-11-27, or 2026-11-27T03:00 (UTC).")
    ] = "",
    account: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Only this account's mail, into the house as it is now.")
    ] = "",
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the backup key from standard input.")] = False,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help="Of a sealed --account: its password then and, on a second line, its present one if that is another.",
        ),
    ] = False,
    send_queue: Annotated[
        bool, typer.Option("--send-queue", help="Let mail go out that was waiting then; else it is held.")
    ] = False,
) -> None:
    """Bring everything back into an empty data folder, or what one account has lost into the living house.

    On a new machine nothing is needed but backup.target and the key. The server must not run, unless for one account.
    Mail that was waiting to go out is held, as most of it has gone out since; --send-queue is for a snapshot after
    which nothing was sent.
    """
    terminal = terminal_of(context)
    moment = _moment(terminal, at)
    typed = sys.stdin.readline(KEY_CHARACTERS_MAX).strip() if key_stdin else ""
    if account:
        passwords = [Secret(line.rstrip("\r\n")) for line in sys.stdin if line.strip()] if password_stdin else []
        _restore_account(terminal, terminal.address(account), snapshot, moment, typed=typed, passwords=passwords)
        return

    async def work(settings: Settings) -> Restored:
        from mailstead.usecases.backup_vault import key_of
        from mailstead.usecases.restores import Restores
        from mailstead.wiring.backup import backup_key, keep_backup_key, make_vault, note_key_shown
        from mailstead.wiring.house import ADMINISTRATOR
        from mailstead.wiring.restore import restore_house

        key = key_of(typed) if typed else backup_key(settings)
        restores = Restores(make_vault(settings, key))
        found = await restores.pick(ADMINISTRATOR, snapshot, moment)
        with terminal.progress("Restoring") as progress:
            restored = await restore_house(settings, restores, found, progress, sends_queue=send_queue)
        if not settings.backup.key:
            keep_backup_key(settings, key)
        if typed:
            note_key_shown(settings, key)
        return restored

    restored = work_on(terminal, work)
    lines = [
        f"Restored {restored.snapshot}: {restored.account_count} accounts, {restored.message_count} messages",
        *restored.findings,
    ]
    if restored.held_count:
        lines += [
            f"Mail to {restored.held_count} recipients was waiting to go out then; it is held: it may have gone out.",
            "See `mailstead queue list`; `mailstead queue release --all` sends it, `mailstead queue cancel` drops it.",
        ]
    lines.append("Next: `mailstead serve`.")
    terminal.say("\n".join(lines), {name: getattr(restored, name) for name in restored.__slots__})
    if restored.findings:
        raise typer.Exit(FOUND)


def _restore_account(
    terminal: Terminal,
    address: Address,
    snapshot: str,
    moment: datetime | None,
    *,
    typed: str,
    passwords: Sequence[Secret],
) -> None:
    async def work(settings: Settings) -> ImportReport:
        from mailstead.usecases.backup_vault import key_of
        from mailstead.usecases.restores import Restores
        from mailstead.wiring.backup import backup_key, make_vault
        from mailstead.wiring.house import ADMINISTRATOR, open_house
        from mailstead.wiring.restore import restore_account

        restores = Restores(make_vault(settings, key_of(typed) if typed else backup_key(settings)))
        found = await restores.pick(ADMINISTRATOR, snapshot, moment)
        async with open_house(settings) as house:
            return await restore_account(settings, restores, found, address, house, passwords=passwords)

    report = work_on(terminal, work)
    counts = {
        "imported_count": report.imported_count,
        "duplicate_count": report.duplicate_count,
        "object_count": report.object_count,
    }
    terminal.say(
        f"{report.imported_count} messages brought back, {report.duplicate_count} were there\n"
        f"{report.object_count} calendar objects and contacts brought back",
        {**counts, "skipped": [{"name": name, "reason": reason} for name, reason in report.skipped]},
    )
    if report.skipped:
        raise typer.Exit(DATA)


def _moment(terminal: Terminal, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        terminal.fail(DATA, f"--at {text} is no time", "Write 2026-11-27 or 2026-11-27T03:00, in UTC.", "BadTime")
    if len(text) == len("2026-11-27"):
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
