"""`mailstead import`: files by `imports`; from another provider over IMAP here, in the foreground or by the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from mailstead.cli import imports
from mailstead.cli.errors import DATA, LATER
from mailstead.cli.terminal import Terminal, owner, terminal_of
from mailstead.model.remote_imports import ImportStatus, RemoteSecurity, RemoteServer

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.model.remote_imports import ImportJob
    from mailstead.usecases.remote_imports import Checked
    from mailstead.wiring.house import House

T = TypeVar("T")

_FILES = "files"
_Address = Annotated[str, typer.Argument(metavar="ADDRESS")]
_PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the other provider's password from the first line of input.")
]


class _FilesGroup(TyperGroup):
    """`import ADDRESS SOURCE` means `import files ADDRESS SOURCE`; an address has an @, and a verb has none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_FILES, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FilesGroup,
    help="Bring mail, events or contacts into an account: from files, or from another provider over IMAP.",
    no_args_is_help=True,
)
app.command(_FILES)(imports.import_)


@app.command("imap")
def imap(
    context: typer.Context,
    address: _Address,
    host: Annotated[str, typer.Option(help="The other provider's IMAP server.")],
    user: Annotated[str, typer.Option(help="The user name there; mostly the whole address.")],
    port: Annotated[int, typer.Option(help="Else 993, or 143 with --starttls.")] = 0,
    starttls: Annotated[bool, typer.Option("--starttls", help="TLS by STARTTLS.")] = False,
    mailbox: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME=TARGET; may be said several times. Else what is suggested (see --list)."),
    ] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Only show what is there, and where it would go.")] = False,
    background: Annotated[bool, typer.Option("--background", help="Leave the work to the running server.")] = False,
    password_stdin: _PasswordStdin = False,
) -> None:
    """Import from another provider over IMAP.

    Flags and dates are kept, and what is there already does not come again. An import that is interrupted is gone on
    with by the running server; `import status` shows how far it is.
    """
    terminal = terminal_of(context)
    security = RemoteSecurity.STARTTLS if starttls else RemoteSecurity.TLS
    server = RemoteServer(host, user, security, port)
    password = terminal.secret(f"Password of {user} at {host}", is_from_stdin=password_stdin)
    if only_list:
        checked = _for_owner(
            terminal, address, lambda house, actor: house.remote_imports.check(actor, server, password)
        )
        _say_offered(terminal, checked)
        return
    chosen = dict(_mapping(each) for each in mailbox) if mailbox else None

    async def work(house: House, actor: Actor) -> ImportJob:
        if background:
            return await house.remote_imports.begin(actor, server, password, chosen)
        return await _in_foreground(terminal, house, actor, server, password, chosen)

    _say(terminal, _for_owner(terminal, address, work), is_followed=not background)


@app.command("status")
def status(context: typer.Context, address: _Address) -> None:
    """Show how far an account's import over IMAP is, or how the last one ended."""
    terminal = terminal_of(context)
    _say(terminal, _for_owner(terminal, address, lambda house, actor: house.remote_imports.status(actor)))


@app.command("resume")
def resume(
    context: typer.Context,
    address: _Address,
    new_password: Annotated[bool, typer.Option("--new-password", help="Ask for the password there.")] = False,
    password_stdin: _PasswordStdin = False,
) -> None:
    """Let an import that rests go on now; the running server does it."""
    terminal = terminal_of(context)
    asks = new_password or password_stdin
    password = terminal.secret("Password at the other provider", is_from_stdin=password_stdin) if asks else None
    _say(terminal, _for_owner(terminal, address, lambda house, actor: house.remote_imports.resume(actor, password)))


@app.command("cancel")
def cancel(context: typer.Context, address: _Address) -> None:
    """End an account's import over IMAP; what has come stays."""
    terminal = terminal_of(context)
    _say(terminal, _for_owner(terminal, address, lambda house, actor: house.remote_imports.cancel(actor)))


@app.command("dismiss")
def dismiss(context: typer.Context, address: _Address) -> None:
    """Throw the report of an ended import away."""
    terminal = terminal_of(context)
    _for_owner(terminal, address, lambda house, actor: house.remote_imports.dismiss(actor))
    terminal.say("Done", {"dismissed": address})


def _for_owner(terminal: Terminal, address: str, work: Callable[[House, Actor], Awaitable[T]]) -> T:
    account_address = terminal.address(address)

    async def in_house(house: House) -> T:
        return await work(house, await owner(house, account_address))

    return terminal.run(in_house)


async def _in_foreground(
    terminal: Terminal,
    house: House,
    actor: Actor,
    server: RemoteServer,
    password: Any,
    chosen: dict[str, str] | None,
) -> ImportJob:
    """Begin an import and do the work here. Whoever interrupts it leaves it to the server."""
    import secrets

    from mailstead.usecases.import_work import LEASE

    lease = secrets.token_hex(8)
    job = await house.remote_imports.begin(
        actor, server, password, chosen, lease=lease, leased_until=house.clock.now() + LEASE
    )
    with terminal.progress("Importing") as progress:
        await house.import_work.work(
            job, lease, lambda told: progress(min(told.settled_count, told.message_count), told.message_count)
        )
    return await house.remote_imports.status(actor)


def _mapping(text: str) -> tuple[str, str]:
    """Read ``NAME`` or ``NAME=TARGET``."""
    name, _, target = text.partition("=")
    return name, target


def _say_offered(terminal: Terminal, checked: Checked) -> None:
    rows = [
        (
            "yes" if each.is_suggested else "",
            each.mailbox.name,
            str(each.mailbox.message_count),
            "" if each.mailbox.size_octets is None else str(each.mailbox.size_octets),
            each.target,
        )
        for each in checked.offered
    ]
    value = {
        "by_labels": checked.by_labels,
        "mailboxes": [
            {
                "name": each.mailbox.name,
                "special_use": each.mailbox.special_use,
                "message_count": each.mailbox.message_count,
                "size_octets": each.mailbox.size_octets,
                "target": each.target,
                "is_suggested": each.is_suggested,
            }
            for each in checked.offered
        ],
    }
    terminal.say_table(("Suggested", "Mailbox", "Messages", "Octets", "Goes to"), rows, value)


def _say(terminal: Terminal, job: ImportJob, *, is_followed: bool = False) -> None:
    """Tell an import; what could not be taken, and an import that has stopped on the way, are no success."""
    lines = [
        f"Import from {job.server.host}: {job.status.value}",
        (
            f"{job.settled_count} of {job.message_count} messages: {job.imported_count} imported, "
            f"{job.duplicate_count} were there already, {job.not_taken_count} could not be taken"
        ),
    ]
    if job.text:
        lines.append(f"It rests: {job.text}")
    lines += [
        f"  {each.name} -> {each.target}: {each.settled_count} of {each.message_count}"
        for each in job.mailboxes
        if each.message_count
    ]
    if job.not_taken:
        lines.append("Not taken:")
        for each in job.not_taken:
            number = f", message {each.seqnum}" if each.seqnum is not None else ""
            lines.append(f"  {each.mailbox}{number}: {each.reason}")
    terminal.say("\n".join(lines), _value(job))
    if is_followed and job.status is not ImportStatus.DONE:
        raise typer.Exit(LATER)
    if job.not_taken_count or job.not_taken:
        raise typer.Exit(DATA)


def _value(job: ImportJob) -> dict[str, object]:
    return {
        "id": job.job_id,
        "host": job.server.host,
        "username": job.server.username,
        "status": job.status.value,
        "reason": job.reason.value,
        "text": job.text,
        "current": job.current,
        "message_count": job.message_count,
        "settled_count": job.settled_count,
        "imported_count": job.imported_count,
        "imported_octets": job.imported_octets,
        "duplicate_count": job.duplicate_count,
        "not_taken_count": job.not_taken_count,
        "not_taken": [each._asdict() for each in job.not_taken],
        "mailboxes": [
            {
                "name": each.name,
                "target": each.target,
                "message_count": each.message_count,
                "settled_count": each.settled_count,
                "imported_count": each.imported_count,
                "is_done": each.is_done,
            }
            for each in job.mailboxes
        ],
        "due_at": job.due_at.isoformat() if job.due_at is not None else None,
        "ended_at": job.ended_at.isoformat() if job.ended_at is not None else None,
    }
