"""Questions to somebody at a terminal; with `--yes` the proposals are the answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

import typer

from mailstead.cli.errors import USAGE
from mailstead.cli.terminal import Terminal


class Questions:
    """Asks on the terminal, which may be reached although standard input is a pipe (``curl … | sh``)."""

    def __init__(self, terminal: Terminal, *, assumes_yes: bool) -> None:
        self._terminal = terminal
        self.assumes_yes = assumes_yes

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there."""
        return not self.assumes_yes and not self._terminal.is_json and sys.stdin.isatty()

    def text(
        self, option: str, question: str, given: str | None, proposal: str, fault: Callable[[str], str] = lambda _: ""
    ) -> str:
        """Give what the option says, else what is answered. `fault` gives what is wrong with a text, or nothing."""
        if given is not None:
            if wrong := fault(given):
                self.refuse(option, wrong)
            return given
        if not self.can_ask:
            if wrong := fault(proposal):
                self.refuse(option, f"there is nobody to ask, and {wrong}")
            return proposal
        while True:
            answer = str(typer.prompt(question, default=proposal, show_default=bool(proposal), err=True)).strip()
            wrong = fault(answer)
            if not wrong:
                return answer
            self._terminal.remark(wrong[:1].upper() + wrong[1:])

    def choice(self, option: str, question: str, given: str | None, proposal: str, choices: Mapping[str, str]) -> str:
        """Let one of several be chosen: the word → what it means."""

        def fault(text: str) -> str:
            return "" if text in choices else f"{text!r} is none of {', '.join(choices)}"

        if given is None and self.can_ask:
            width = max(map(len, choices))
            self._terminal.remark("\n".join(f"  {word.ljust(width)}  {text}" for word, text in choices.items()))
        return self.text(option, question, given, proposal, fault)

    def secret(self, option: str, question: str, given: str, proposal: str = "") -> str:
        """Ask for something that is not shown. `given` comes from the environment or a file."""
        if given or not self.can_ask:
            if not (given or proposal):
                self.refuse(option, "it is needed, and there is nobody to ask")
            return given or proposal
        kept = " (enter: as it is)" if proposal else ""
        while not (
            answer := str(typer.prompt(question + kept, default="", hide_input=True, show_default=False, err=True))
        ):
            if proposal:
                return proposal
        return answer

    def confirm(self, question: str, *, proposal: bool = True) -> bool:
        """Whether it is to be done; without anybody to ask, only with `--yes`."""
        if self.assumes_yes:
            return True
        if not self.can_ask:
            return False
        return bool(typer.confirm(question, default=proposal, err=True))

    def refuse(self, option: str, reason: str) -> NoReturn:
        """End, as nothing can be made of what was said."""
        self._terminal.fail(
            USAGE, f"{option}: {reason}", "`mailstead setup --help` tells what can be said.", "BadOption"
        )
