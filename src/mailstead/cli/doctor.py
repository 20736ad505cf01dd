"""`mailstead doctor`: is all well, and if not, what to do."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mailstead.cli.errors import FOUND, USAGE
from mailstead.cli.terminal import Terminal, terminal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailstead.model.diagnosis import Diagnosis
    from mailstead.usecases.daily_doctor import Difference
    from mailstead.wiring.house import House

_COLORS: Final = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "bright_black"}


def doctor(
    context: typer.Context,
    domain: Annotated[str | None, typer.Argument(metavar="[DOMAIN]", help="Only this domain's records.")] = None,
    daily: Annotated[
        bool,
        typer.Option("--daily", help="Tell only what differs from before, seen twice; also by mail to the postmaster."),
    ] = False,
) -> None:
    """Look at machine, services, network and DNS; say what is wrong and what to do. Ends with 1 if there are errors."""
    terminal = terminal_of(context)
    if daily:
        if domain:
            terminal.fail(USAGE, "--daily is about everything", "Leave the domain out.", "DailyWithDomain")
        _daily(terminal)
        return

    async def work(house: House) -> list[Diagnosis]:
        from mailstead.wiring.doctor import make_doctor
        from mailstead.wiring.house import ADMINISTRATOR

        with _progress(terminal) as progress:
            return await make_doctor(house).examine(ADMINISTRATOR, domain, progress)

    found = terminal.run(work)
    terminal.say(_text(found), [_as_json(each) for each in found])
    if any(each.status == "error" for each in found):
        raise typer.Exit(FOUND)


def _daily(terminal: Terminal) -> None:
    async def work(house: House) -> list[Difference]:
        from mailstead.wiring.doctor import make_daily_doctor
        from mailstead.wiring.house import ADMINISTRATOR

        with _progress(terminal) as progress:
            return await make_daily_doctor(house).compare_now(ADMINISTRATOR, progress)

    differences = terminal.run(work)
    from mailstead.usecases.daily_doctor import text_of

    value = [{"before": each.before, **_as_json(each.now)} for each in differences]
    terminal.say(text_of(differences) if differences else "Nothing differs from before.", value)
    if any(each.now.status == "error" for each in differences):
        raise typer.Exit(FOUND)


@contextmanager
def _progress(terminal: Terminal) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is, to people only: it also runs by clock, where each line would be a mail."""
    if sys.stderr.isatty():
        with terminal.progress("Looking") as progress:
            yield progress
    else:
        yield lambda _done, _total: None


def _text(found: list[Diagnosis]) -> str:
    """Give all findings, the house first, then each domain; what is well takes one line."""
    lines: list[str] = []
    domain = None
    for each in found:
        if each.domain != domain:
            domain = each.domain
            lines += ["", domain or "The house"]
        mark = f"{each.status:<8}"
        if sys.stdout.isatty():
            mark = typer.style(mark, fg=_COLORS[each.status])
        lines.append(f"  {mark} {each.name}: {each.found}")
        if each.status in {"warning", "error"} and each.expected:
            lines.append(f"           expected: {each.expected}")
        if each.status in {"warning", "error"} and each.advice:
            lines.append(f"           to do:    {each.advice}")
    counts = ", ".join(f"{sum(each.status == status for each in found)} {status}" for status in _COLORS)
    return "\n".join([*lines, "", counts]).lstrip("\n")


def _as_json(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "name": diagnosis.name,
        "domain": diagnosis.domain or None,
        "status": diagnosis.status,
        "found": diagnosis.found,
        "expected": diagnosis.expected,
        "advice": diagnosis.advice,
    }
