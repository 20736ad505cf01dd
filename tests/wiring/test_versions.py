"""Folders of versions: the wheel that is chosen, its pins, the link, the note on the disk, data put aside."""

import os
import signal
import zipfile

import pytest

from mailstead.model.errors import BadSettings, TryAgainLater
from mailstead.ports.versions import MachineFailed, Underway
from mailstead.wiring.updates import make_updates
from mailstead.wiring.versions import PINS, VersionFolders


@pytest.fixture
def home(tmp_path):
    """A home whose versions are programs that note down what they are asked."""
    folder = tmp_path / "home"
    for version in ("1.0.0", "1.1.0", "0.9.0"):
        programs = folder / "versions" / version / "bin"
        programs.mkdir(parents=True)
        (programs / "mailstead").write_text(f'#!/bin/sh\necho "{version} $*" >>{folder}/asked\n')
        (programs / "mailstead").chmod(0o755)
    (folder / "current").symlink_to("versions/1.0.0")
    return folder


def host_of(home, source=None):
    data = home / "data"
    data.mkdir(exist_ok=True)
    return VersionFolders(home, home / "settings.toml", data, source)


def wheel(folder, version, pins="anything==1\n", about=None):
    path = folder / f"mailstead-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        inside = about or f"Name: mailstead\nVersion: {version}\n"
        archive.writestr(f"mailstead-{version}.dist-info/METADATA", f"Metadata-Version: 2.4\n{inside}")
        if pins:
            archive.writestr(PINS, pins)
    return path


def test_the_link_names_the_version_and_switching_lets_the_new_one_write_its_units(home):
    host = host_of(home)
    assert host.current() == "1.0.0"
    host.switch("1.1.0")
    assert host.current() == "1.1.0"
    assert (home / "asked").read_text() == "1.1.0 systemd install\n"
    host.switch("1.1.0")
    (home / "current").unlink()
    with pytest.raises(MachineFailed, match="no link to a version"):
        host.current()


def test_a_wheel_or_the_newest_of_a_folder_is_obtained(home, tmp_path):
    one = wheel(tmp_path, "1.9.0")
    assert host_of(home, one).obtain("") == "1.9.0"
    assert host_of(home, one).obtain("v1.9") == "1.9.0"
    wheel(tmp_path, "1.10.0")
    wheel(tmp_path, "1.10.0rc1")
    (tmp_path / "anything-1-py3-none-any.whl").touch()
    assert host_of(home, tmp_path).obtain("") == "1.10.0"
    assert host_of(home, tmp_path).obtain("1.9.0") == "1.9.0"
    with pytest.raises(MachineFailed, match=r"has no mailstead 1\.8.*mailstead-1\.9\.0-py3"):
        host_of(home, tmp_path).obtain("1.8")
    with pytest.raises(MachineFailed, match="there is no wheel of Mailstead"):
        host_of(home, home).obtain("")


def test_a_wheel_without_pins_is_not_installed_and_leaves_nothing(home, tmp_path):
    host = host_of(home, wheel(tmp_path, "2.0.0", pins=""))
    host.obtain("")
    with pytest.raises(MachineFailed, match="is no release of Mailstead"):
        host.install("2.0.0")
    assert not (home / "versions" / "2.0.0").exists()


@pytest.mark.parametrize("about", ["Name: mailstead\nVersion: 1.0.0\n", "Name: other\nVersion: 2.0.0\n"])
def test_attack_107_what_is_another_version_or_product_inside_is_not_installed(home, tmp_path, about):
    host = host_of(home, wheel(tmp_path, "2.0.0", about=about))
    assert host.obtain("2.0.0") == "2.0.0"
    with pytest.raises(MachineFailed, match="calls itself"):
        host.install("2.0.0")
    assert not (home / "versions" / "2.0.0").exists()


@pytest.mark.full  # it makes an environment
def test_attack_107_what_has_other_hashes_is_not_installed_and_leaves_nothing(home, tmp_path):
    host = host_of(home, tmp_path)  # a folder: no network is asked
    wheel(tmp_path, "2.0.0", pins=f"anything==1 --hash=sha256:{'0' * 64}\n")
    with zipfile.ZipFile(tmp_path / "anything-1-py3-none-any.whl", "w") as archive:
        archive.writestr("anything-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: anything\nVersion: 1\n")
    host.obtain("")
    with pytest.raises(MachineFailed, match=r"DO NOT MATCH THE HASHES"):
        host.install("2.0.0")
    assert not (home / "versions" / "2.0.0").exists()


def test_the_note_outlives_the_process(home):
    assert host_of(home).noted() is None
    underway = Underway("1.0.0", "1.1.0", "20261128T010000Z")
    host_of(home).note(underway)
    assert host_of(home).noted() == underway
    host_of(home).note(None)
    host_of(home).note(None)
    assert host_of(home).noted() is None
    (home / "update.json").write_text("{")
    with pytest.raises(MachineFailed, match="cannot be understood"):
        host_of(home).noted()


def test_a_version_that_was_not_well_is_remembered(home):
    assert host_of(home).failed() == ""
    host_of(home).note_failed("1.1.0")
    assert host_of(home).failed() == "1.1.0"
    host_of(home).note_failed("")
    assert host_of(home).failed() == ""


def test_data_are_put_aside_each_time_into_a_folder_of_their_own(home):
    host = host_of(home)
    data = home / "data"
    (data / "directory.db").write_text("first")
    (data / ".hidden").write_text("first")
    (data / "scratch").mkdir()
    host.put_aside()
    assert [each.name for each in data.iterdir()] == ["scratch"]
    (data / "directory.db").write_text("half of a restore")
    host.put_aside()
    assert (data / "scratch" / "failed-1" / "directory.db").read_text() == "first"
    assert (data / "scratch" / "failed-1" / ".hidden").exists()
    assert (data / "scratch" / "failed-2" / "directory.db").read_text() == "half of a restore"
    (data / "scratch" / "other").mkdir()
    host.remove_aside()
    assert [each.name for each in (data / "scratch").iterdir()] == ["other"]


def test_two_updates_at_once_are_refused(home):
    with host_of(home).alone():
        with pytest.raises(TryAgainLater), host_of(home).alone():
            pass
    with host_of(home).alone():
        pass


def test_signals_do_not_end_what_must_not_be_interrupted_and_do_again_after_it(home):
    before = signal.getsignal(signal.SIGTERM)
    with host_of(home).uninterrupted():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
    assert signal.getsignal(signal.SIGTERM) is before


def test_only_the_two_versions_that_are_named_stay(home):
    host_of(home).prune(frozenset({"1.0.0", "1.1.0"}))
    assert sorted(each.name for each in (home / "versions").iterdir()) == ["1.0.0", "1.1.0"]


def test_what_is_said_stands_in_the_log_even_when_nobody_hears_it(home, monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    host_of(home).say("going on")
    assert (home / "update.log").read_text().endswith("Z going on\n")


def test_without_backups_there_is_no_update(tmp_path):
    (tmp_path / "settings.toml").write_text("")
    with pytest.raises(BadSettings, match="no way back"):
        make_updates(tmp_path, tmp_path / "settings.toml")
