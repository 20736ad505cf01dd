"""What a machine with versions beside each other remembers of its updates, read as the service does."""

import json
from pathlib import Path

import pytest

from mailstead.ports.versions import Underway
from mailstead.usecases.update_state import Kind
from mailstead.wiring.installed import JOURNAL_OCTETS_MAX, ThisInstallation
from mailstead.wiring.systemd import Place


@pytest.fixture
def home(tmp_path):
    (tmp_path / "versions" / "1.0.0").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def installed(home):
    return ThisInstallation(Place(Path("mailstead"), home))


def test_what_was_never_updated(installed):
    assert installed.kind() is Kind.VERSIONS
    assert (installed.journal(), installed.underway(), installed.failed()) == ([], None, "")
    assert installed.seen() == ["1.0.0"]


def test_what_an_update_has_left(installed, home):
    (home / "update.log").write_text("x" * JOURNAL_OCTETS_MAX + "\nlast line\n")
    (home / "update.json").write_text(json.dumps({"old": "1.0.0", "new": "1.1.0", "snapshot": "s"}))
    (home / "update.failed").write_text("1.1.0\n")
    (home / "fetched").mkdir()
    (home / "fetched" / "mailstead-1.1.0-py3-none-any.whl").write_text("")
    assert installed.journal()[-1] == "last line"
    assert len(installed.journal()[0]) < JOURNAL_OCTETS_MAX
    assert installed.underway() == Underway("1.0.0", "1.1.0", "s")
    assert installed.failed() == "1.1.0"
    assert sorted(installed.seen()) == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"old": "1"}'])
def test_a_note_that_cannot_be_read_is_none(installed, home, text):
    (home / "update.json").write_text(text)
    assert installed.underway() is None


def test_what_is_new_is_read_from_a_checkout_too():
    assert ThisInstallation(Place(Path("mailstead"), None)).changelog().startswith("# Changelog")
