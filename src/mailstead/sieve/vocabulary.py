"""All that scripts may be written with, in one table."""

from __future__ import annotations

from typing import Final

from mailstead.sieve.commands import answers, control, dates, editing, filing, flags, headers, parts, surroundings
from mailstead.sieve.commands import variables as variable_commands
from mailstead.sieve.forms import Vocabulary

VOCABULARY: Final = Vocabulary(
    commands=(
        *control.COMMANDS,
        *filing.COMMANDS,
        *flags.COMMANDS,
        *variable_commands.COMMANDS,
        *answers.COMMANDS,
        *editing.COMMANDS,
        *parts.COMMANDS,
    ),
    tests=(
        *control.TESTS,
        *headers.TESTS,
        *filing.TESTS,
        *flags.TESTS,
        *variable_commands.TESTS,
        *parts.TESTS,
        *dates.TESTS,
        *surroundings.TESTS,
        *answers.TESTS,
    ),
    extensions=(
        *filing.EXTENSIONS,
        *headers.EXTENSIONS,
        *parts.EXTENSIONS,
        *variable_commands.EXTENSIONS,
        *flags.EXTENSIONS,
        *answers.EXTENSIONS,
        *dates.EXTENSIONS,
        *editing.EXTENSIONS,
        *surroundings.EXTENSIONS,
        *control.EXTENSIONS,
    ),
)
