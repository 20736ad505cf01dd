"""What all commands share towards the terminal: the global options, output for people or machines, errors, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from mailstead.cli.errors import DATA, INTERRUPTED, exit_for
from mailstead.cli.printing import printable, table
from mailstead.model.errors import BadSettings, MailsteadError, NoSuchAccount
from mailstead.model.secret import Secret

if TYPE_CHECKING:  # the house is loaded only by commands that open it
    from mailstead.config.load import Loaded
    from mailstead.model.address import Address
    from mailstead.model.envelope import Actor
    from mailstead.wiring.house import House

T = TypeVar("T")

PASSWORD_OCTETS_MAX = 4096


@dataclass(slots=True)
class Terminal:
    """The global options, and how a command speaks."""

    config: Path | None = None
    is_json: bool = False

    def load(self) -> Loaded:
        """Read the settings. Errors: BadSettings."""
        from mailstead.cli.containers import load_here

        return load_here(self.config, os.environ)

    def say(self, text: str, value: object) -> None:
        """Print the text, or for machines the value."""
        print(printable(json.dumps(value, ensure_ascii=False, indent=2) if self.is_json else text))

    def say_table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], value: object) -> None:
        """Print aligned columns, or for machines the value."""
        self.say(table(heads, rows), value)

    def remark(self, text: str) -> None:
        """Print something beside the result, for people only."""
        if not self.is_json:
            print(printable(text), file=sys.stderr)

    def fail(self, code: int, text: str, advice: str = "", kind: str = "") -> NoReturn:
        """Say what went wrong and what to do next, and end with the exit code."""
        if self.is_json:
            said = json.dumps({"error": kind, "text": text, "advice": advice}, ensure_ascii=False)
        else:
            said = f"mailstead: {text}" + (f"\n{advice}" if advice else "")
        print(printable(said), file=sys.stderr)
        raise typer.Exit(code)

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn the house's errors into exit code and text; a bug keeps its traceback."""
        try:
            yield
        except MailsteadError as error:
            code, advice = exit_for(error)
            self.fail(code, error.public_text, advice, type(error).__name__)
        except KeyboardInterrupt:
            self.fail(INTERRUPTED, "Interrupted", kind="Interrupted")

    def run(self, work: Callable[[House], Awaitable[T]], *, makes_folder: bool = False) -> T:
        """Open the house, do the work, close it. `makes_folder`: the data folder need not be there."""
        import asyncio

        from mailstead.telemetry import log
        from mailstead.wiring.house import open_house

        async def in_house() -> T:
            settings = self.load().settings
            folder = settings.server.data_dir
            if not makes_folder and not folder.is_dir():
                # Another command would silently make a second, empty house where a setting is mistyped.
                raise BadSettings(
                    f"There is no data folder {folder}; run `mailstead init`, or name the settings with --config"
                )
            log.configure("error", settings.server.log_format)
            async with open_house(settings) as house:
                return await work(house)

        with self.clear_errors():
            return asyncio.run(in_house())

    @contextmanager
    def progress(self, verb: str) -> Iterator[Callable[[int, int], None]]:
        """Show how far a long command is: a bar on a terminal, else a line at each tenth; nothing for machines."""
        if self.is_json:
            yield lambda _done, _total: None
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            with Progress(console=Console(stderr=True)) as bar:
                task = bar.add_task(verb, total=None)
                yield lambda done, total: bar.update(task, completed=done, total=total)
        else:
            shown = 0

            def tell(done: int, total: int) -> None:
                nonlocal shown
                tenth = done * 10 // total if total else 10
                if tenth > shown:
                    shown = tenth
                    print(f"{verb}: {tenth * 10} %", file=sys.stderr)

            yield tell

    def password(self, *, is_from_stdin: bool) -> Secret:
        """Read a password: the first line of standard input, or asked for twice."""
        if is_from_stdin:
            line = sys.stdin.readline(PASSWORD_OCTETS_MAX)
            text = line.rstrip("\r\n")
        elif sys.stdin.isatty():
            text = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
        else:
            self.fail(DATA, "There is no terminal to ask for a password", "Use --password-stdin.", "NoTerminal")
        if not text:
            self.fail(DATA, "The password is empty", kind="EmptyPassword")
        return Secret(text)

    def secret(self, prompt: str, *, is_from_stdin: bool) -> Secret:
        """Read what is there already, a password or key: the next line of standard input, or asked for once."""
        if is_from_stdin:
            text = sys.stdin.readline(PASSWORD_OCTETS_MAX).rstrip("\r\n")
        elif sys.stdin.isatty():
            text = typer.prompt(prompt, hide_input=True, err=True)
        else:
            self.fail(DATA, "There is no terminal to ask for a password", "Use --password-stdin.", "NoTerminal")
        if not text:
            self.fail(DATA, "The password is empty", kind="EmptyPassword")
        return Secret(text)

    def octets(self, text: str | None, option: str) -> int | None:
        """Read a size such as ``5 GiB``; ``none`` and 0 are no limit."""
        from mailstead.config.values import octets_of

        if text is None or text.lower() == "none":
            return None
        octets = octets_of(text)
        if octets is None:
            self.fail(DATA, f"{option} is a size such as 5GiB, or none; not {text!r}", kind="BadSize")
        return octets or None

    def address(self, text: str) -> Address:
        """Read an address, or end with the text that helps."""
        from mailstead.model.address import Address

        with self.clear_errors():
            return Address.parse(text)


def terminal_of(context: typer.Context) -> Terminal:
    """Give the terminal that the global options made."""
    found: Any = context.find_root().obj
    assert isinstance(found, Terminal)
    return found


async def owner(house: House, address: Address) -> Actor:
    """Give an actor who stands in for the owner of an account. Errors: NoSuchAccount."""
    from mailstead.model.directory import Account
    from mailstead.model.envelope import Actor

    found = await house.storage.directory.find(address)
    if not isinstance(found, Account):
        raise NoSuchAccount(f"There is no account {address}")
    return Actor(found.account_id, found.address, is_admin=True, label="command line")
