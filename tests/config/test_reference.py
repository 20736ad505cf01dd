"""The generated page and example file: complete, loadable, and committed as a fresh run writes them."""

import re
from pathlib import Path

import pytest

from mailstead.config.load import load
from mailstead.config.reference import example_file, reference_page
from mailstead.config.schema import entries
from mailstead.config.show import effective

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "make"), [("settings.md", reference_page), ("mailstead.example.toml", example_file)])
def test_the_committed_file_is_what_a_fresh_run_writes(name, make):
    assert (DOCS / name).read_text() == make(), f"run `make docs`: docs/{name} is stale"


def test_every_setting_has_a_help_sentence_and_is_on_both():
    page, example = reference_page(), example_file()
    for entry in entries():
        assert entry.help_text, entry.key
        assert f"`{entry.variable}`" in page
        assert f"\n#{entry.name} = " in example


def test_the_example_uncommented_loads_as_the_defaults(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(re.sub(r"(?m)^#(?=\w+ = )", "", example_file()))
    given, default = effective(load(path, {})), effective(load(None, {}))
    assert [item[:3] for item in given] == [item[:3] for item in default]
    assert {item.origin for item in given} == {f"file {path}"}


def test_show_hides_secrets():
    loaded = load(None, {"MAILSTEAD_STORE_MASTER_KEY": "pw-never-in-a-log"})
    shown = {item.key: item for item in effective(loaded)}
    assert shown["store.master_key"].text == "(hidden)"
    assert "pw-never" not in repr(shown)
    assert shown["store.master_key"].origin == "environment MAILSTEAD_STORE_MASTER_KEY"
