"""The `.env.example` for containers: complete, loadable, and committed as a fresh run writes it."""

import re
from pathlib import Path

from mailstead.config.load import load
from mailstead.config.reference import environment_file
from mailstead.config.schema import entries
from mailstead.config.show import effective

COMMITTED = Path(__file__).parents[2] / ".env.example"


def variables():
    return dict(re.findall(r"(?m)^#([A-Z_0-9]+)=(.*)$", environment_file()))


def test_the_committed_file_is_what_a_fresh_run_writes():
    assert COMMITTED.read_text() == environment_file(), "run `make docs`: .env.example is stale"


def test_as_it_is_it_sets_nothing_and_every_variable_is_there_with_its_help():
    lines = environment_file().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
    text = " ".join(line.removeprefix("# ") for line in lines)
    for entry in entries():
        assert entry.variable in variables()
        assert entry.help_text in text, entry.key
    assert all(variables()[entry.variable] == "" for entry in entries() if entry.is_secret)


def test_with_every_line_set_it_loads_as_the_defaults():
    # A file given to Compose is given to the program as well, with the lines that are for Compose.
    given, default = effective(load(None, variables())), effective(load(None, {}))
    assert [item[:3] for item in given] == [item[:3] for item in default]


def test_nothing_in_it_needs_quotes():
    for name, value in variables().items():
        assert not re.search(r"[\s#$\"'\\]", value), name
