import stat

import pytest

from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.storage.embedded.turn_secret import FILE_NAME, turn_secret

NONE = Secret("")


def test_the_setting_counts_and_makes_no_file(tmp_path):
    assert turn_secret(tmp_path, Secret("given")) == b"given"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_for_its_owner_only(tmp_path):
    made = turn_secret(tmp_path, NONE)
    assert len(made) == 64
    assert turn_secret(tmp_path, NONE) == made
    (file,) = tmp_path.iterdir()
    assert file.name == FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_installations_have_two_secrets(tmp_path):
    (tmp_path / "other").mkdir()
    assert turn_secret(tmp_path, NONE) != turn_secret(tmp_path / "other", NONE)


def test_what_stands_in_the_file_already_counts(tmp_path):
    (tmp_path / FILE_NAME).write_text("of the TURN server\n")
    assert turn_secret(tmp_path, NONE) == b"of the TURN server"


def test_who_makes_it_second_uses_the_first(tmp_path, monkeypatch):
    first = turn_secret(tmp_path, NONE)
    monkeypatch.setattr("pathlib.Path.exists", lambda _: False)
    assert turn_secret(tmp_path, NONE) == first
    assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]


def test_an_empty_file_and_a_missing_folder_are_said(tmp_path):
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(BadSettings, match="empty"):
        turn_secret(tmp_path, NONE)
    with pytest.raises(BadSettings, match=r"chatmail\.turn_secret"):
        turn_secret(tmp_path / "missing", NONE)
