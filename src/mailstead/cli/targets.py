"""Addresses of aliases, and targets, on the command line. What they need is loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailstead.cli.terminal import Terminal
    from mailstead.model.address import Address
    from mailstead.model.directory import Target


def read_alias_address(terminal: Terminal, text: str) -> Address:
    """Read ``name@domain``, ``/expression/@domain`` or ``*@domain``, or end with the text that helps."""
    from mailstead.policy.patterns import alias_address

    with terminal.clear_errors():
        return alias_address(text)


def read_targets(terminal: Terminal, texts: Iterable[str]) -> tuple[Target, ...]:
    """Read targets, or end with the text that helps."""
    from mailstead.policy.targets import distinct, read_target

    with terminal.clear_errors():
        return distinct(read_target(text) for text in texts)
