"""Units for the settings as they are, the command in the path, and what is refused before anything is changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mailstead.config.load import load
from mailstead.model.errors import NotAllowed
from mailstead.ports.versions import MachineFailed
from mailstead.wiring.systemd import (
    DEFAULTS,
    Place,
    Systemd,
    command_file,
    place_of,
    run_program,
    unit_files,
    written_folders,
)

AT_HOME = Place(Path("/opt/mailstead/current/bin/mailstead"), Path("/opt/mailstead"))
BY_PIPX = Place(Path("/opt/pipx/venvs/mailstead/bin/mailstead"), None)


def settings_of(**values):
    further = {**DEFAULTS, **{name.replace("__", "."): value for name, value in values.items()}}
    return load(None, {}, {key: (text, "test") for key, text in further.items()}).settings


def values_of(unit, name):
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]


def test_the_service_runs_the_program_of_its_place_with_the_settings_file():
    units = unit_files(settings_of(), AT_HOME)
    assert set(units) == {
        "mailstead.service", "mailstead-recover.service", "mailstead-update.service", "mailstead-update.timer",
        "mailstead-update-wanted.path", "mailstead-update-wanted.service",
    }  # fmt: skip
    service = units["mailstead.service"]
    assert values_of(service, "ExecStart") == ["/opt/mailstead/current/bin/mailstead serve --init"]
    assert values_of(service, "Environment") == ["MAILSTEAD_CONFIG=/etc/mailstead/mailstead.toml"]
    assert values_of(service, "AssertPathExists") == ["!/opt/mailstead/update.json"]
    assert values_of(units["mailstead-recover.service"], "ConditionPathExists") == ["/opt/mailstead/update.json"]
    assert values_of(units["mailstead-update-wanted.path"], "PathExists") == [
        f"{settings_of().server.data_dir}/update-wanted"
    ]
    wanted = units["mailstead-update-wanted.service"]
    assert values_of(wanted, "ExecStart") == ["/opt/mailstead/current/bin/mailstead update --wanted"]
    assert not any(
        "@wish@" in unit or "@program@" in unit or "@settings@" in unit or "@writable@" in unit
        for unit in units.values()
    )


def test_an_installation_that_update_cannot_change_has_the_service_alone():
    units = unit_files(settings_of(), BY_PIPX, Path("/etc/other.toml"))
    assert set(units) == {"mailstead.service"}
    assert "recover" not in units["mailstead.service"]
    assert "AssertPathExists" not in units["mailstead.service"]
    assert values_of(units["mailstead.service"], "Environment") == ["MAILSTEAD_CONFIG=/etc/other.toml"]


def test_folders_outside_of_the_state_folders_are_writable_and_no_others():
    def writable(**values):
        return values_of(unit_files(settings_of(**values), AT_HOME)["mailstead.service"], "ReadWritePaths")

    assert writable() == []
    assert writable(backup__target="s3://bucket/prefix") == []
    assert writable(backup__target="/srv/backups here") == ['"/srv/backups here"']
    moved = writable(
        server__data_dir="/data/mail", store__master_key_file="/keys/m/master.key", backup__key_file="/b/k"
    )
    assert moved == ['"/data/mail"', '"/keys/m"', '"/b"']


def test_a_master_key_that_no_setting_places_lies_beside_the_data_and_is_not_opened_wider():
    assert written_folders(settings_of(store__master_key_file="")) == [
        Path("/var/lib/mailstead"), Path("/var/lib/mailstead-keys"),
    ]  # fmt: skip


def test_systemd_waits_longer_than_the_server_does():
    unit = unit_files(settings_of(server__stop_limit_s="100"), AT_HOME)["mailstead.service"]
    assert values_of(unit, "TimeoutStopSec") == ["120"]


@pytest.mark.full  # what it needs is installed by `make setup-tools`
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="missing: systemd; run `make setup-tools` as root")
@pytest.mark.parametrize("place", [AT_HOME, BY_PIPX], ids=["versions", "pipx"])
def test_systemd_understands_every_line(tmp_path, place):
    program = shutil.which("true")
    place = Place(Path(program), place.home)
    for name, text in unit_files(settings_of(backup__target=str(tmp_path)), place).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.glob("mailstead*"))],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "mailstead" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_a_version_behind_the_link_is_at_home_and_others_are_not(tmp_path):
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "versions" / version).mkdir(parents=True)
    (tmp_path / "current").symlink_to("versions/1.0.0")
    assert place_of(tmp_path / "versions" / "1.0.0") == Place(tmp_path / "current/bin/mailstead", tmp_path)
    assert place_of(tmp_path / "current").home == tmp_path
    tried = place_of(tmp_path / "versions" / "1.1.0")
    assert tried == Place(tmp_path / "versions/1.1.0/bin/mailstead", None)


@pytest.mark.parametrize(
    ("words", "is_roots"),
    [
        (["update", "--newest"], True),
        (["--json", "systemd", "show"], True),
        (["setup", "--yes"], True),
        (["account", "add", "update@example.test"], False),
        (["--json", "account", "list"], False),
        ([], False),
    ],
)
def test_the_command_runs_as_the_services_user_unless_it_changes_the_machine(tmp_path, words, is_roots):
    program = tmp_path / "mailstead"
    for name, text in (
        ("mailstead", 'echo "direct $MAILSTEAD_CONFIG $*"'),
        ("setpriv", 'echo "user $*"'),
        ("id", "echo 0"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = tmp_path / "command"
    script.write_text(command_file(Place(program, None)))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", str(script), *words], env=environment, capture_output=True, text=True, check=True)
    line = " ".join(words)
    if is_roots:
        assert done.stdout.strip() == f"direct /etc/mailstead/mailstead.toml {line}"
    else:
        expected = f"user --reuid=mailstead --regid=mailstead --init-groups -- {program} {line}"
        assert done.stdout.strip() == expected.strip()


def never(words):
    raise AssertionError(f"{words} was run")


def test_whoever_is_not_root_changes_nothing(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine = Systemd(AT_HOME, run=never)
    verbs = (machine.install_units, machine.start_service, machine.stop_service, machine.enable_updates,
             machine.disable_updates, machine.remove_units, lambda: machine.prepare("mail.example.test"))  # fmt: skip
    for verb in verbs:
        with pytest.raises(NotAllowed, match="sudo"):
            verb()


def test_a_program_in_a_home_is_refused_as_the_service_could_not_see_it(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    machine = Systemd(Place(Path("/root/.local/pipx/venvs/mailstead/bin/mailstead"), None), run=never)
    with pytest.raises(MachineFailed, match="lies in a home"):
        machine.install_units()


def test_where_systemd_does_not_run_that_is_said(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(MachineFailed, match="systemd does not run here"):
        Systemd(AT_HOME, run=never).start_service()


def test_nightly_updates_are_refused_where_nothing_can_be_updated(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    with pytest.raises(MachineFailed, match="cannot be updated by itself"):
        Systemd(BY_PIPX, run=never).enable_updates()


def test_a_program_that_fails_or_is_not_there_is_told_in_its_own_words():
    assert run_program(["echo", "well"]) == "well\n"
    with pytest.raises(MachineFailed, match=r"ended with 3: its reason"):
        run_program(["sh", "-c", "echo its reason >&2; exit 3"])
    with pytest.raises(MachineFailed, match="cannot be run: No such file"):
        run_program(["/nobody/has/this"])
