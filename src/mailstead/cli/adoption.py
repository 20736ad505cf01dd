"""What follows for the server's settings from the configuration of another system: written into the file, or shown."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mailstead.cli.terminal import Terminal


def settle(terminal: Terminal, settings: Mapping[str, str], origin: str, *, changes: bool) -> None:
    """Write settings into the settings file, if one is named; else, or without `changes`, show what to write."""
    from mailstead.config.edit import change_file, with_settings
    from mailstead.config.load import file_of

    if not settings:
        return
    file = file_of(terminal.config, os.environ)
    with terminal.clear_errors():
        lines = with_settings("", settings, origin, hides_secrets=True).rstrip()
        if file is None or not changes:
            terminal.remark(
                f"\nFor the settings file (named with --config, it is changed without --dry-run):\n\n{lines}"
            )
            return
        change_file(file, settings, origin)
    terminal.remark(f"\nWritten to {file}, for the next start: {', '.join(settings)}")
