"""`mailstead update` and `mailstead systemd` where there is nothing for them to do: what to do instead."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailstead.cli import update
from mailstead.cli.app import app


@pytest.fixture
def call(monkeypatch):
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)

    def run(*words, code):
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return result.output

    return run


def test_which_version_has_to_be_said_once(call):
    assert "--newest, or --from WHEEL" in call("update", code=2)
    assert "contradict" in call("update", "1.2.0", "--newest", code=2)


def test_an_installation_of_another_kind_is_told_its_own_way(call, monkeypatch, tmp_path):
    monkeypatch.setattr(update, "_IN_A_CONTAINER", ())
    assert "docs/without-docker.md" in call("update", "--newest", code=77)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "pipx_metadata.json").touch()
    assert "pipx upgrade mailstead" in call("update", "--newest", code=77)
    (tmp_path / "pipx_metadata.json").unlink()
    monkeypatch.setattr(update, "_IN_A_CONTAINER", (tmp_path,))
    assert "self-hosting/update.sh" in call("update", "1.2.0", code=77)


def test_only_root_updates(call, monkeypatch, tmp_path):
    (tmp_path / "versions" / "1.0.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to("versions/1.0.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "versions" / "1.0.0"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "sudo" in call("update", "1.2.0", code=77)


def test_a_source_that_is_not_there_is_said(call, monkeypatch, tmp_path):
    (tmp_path / "versions" / "1.0.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to("versions/1.0.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "versions" / "1.0.0"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "There is no /nowhere/a.whl" in call("update", "--from", "/nowhere/a.whl", code=69)


def test_units_are_shown_for_the_settings_file_that_is_named(call, tmp_path):
    file = tmp_path / "mailstead.toml"
    file.write_text("[server]\nstop_limit_s = 40\n")
    shown = json.loads(call("--json", "--config", str(file), "systemd", "show", code=0))
    program = Path(sys.prefix) / "bin" / "mailstead"
    assert f"ExecStart={program} serve --init" in shown["mailstead.service"]
    assert f"MAILSTEAD_CONFIG={file}" in shown["mailstead.service"]
    assert "TimeoutStopSec=60" in shown["mailstead.service"]
    assert "# mailstead.service" in call("systemd", "show", code=0)
