"""Settings in a `.env`: written as Compose reads them, with everything else left as it is."""

import os

import pytest

from mailstead.config.env_file import change_env_file, read_env_file
from mailstead.model.errors import BadSettings

BEFORE = """\
# A comment
COMPOSE_PROFILES=roles

#MAILSTEAD_SERVER_HOSTNAME=localhost
MAILSTEAD_ACME_EMAIL='old@example.org'
export OTHER="two words" # why
"""


@pytest.fixture
def file(tmp_path):
    file = tmp_path / ".env"
    file.write_text(BEFORE)
    return file


def test_lines_are_replaced_where_they_stand_and_others_stay(file):
    change_env_file(
        file,
        {"server.hostname": "mail.example.org", "acme.email": "new@example.org", "backup.target": "/b"},
        "test",
    )
    assert (
        file.read_text()
        == BEFORE.replace("#MAILSTEAD_SERVER_HOSTNAME=localhost", "MAILSTEAD_SERVER_HOSTNAME=mail.example.org").replace(
            "'old@example.org'", "new@example.org"
        )
        + "MAILSTEAD_BACKUP_TARGET=/b\n"
    )
    change_env_file(file, {"backup.target": "/b"}, "test")
    assert file.read_text().count("BACKUP_TARGET") == 1


def test_what_is_written_is_read(file):
    values = {
        "backup.s3_secret_access_key": 'pw-never-in-a-log $x # "y" z',
        "server.public_addresses": "192.0.2.1,2001:db8::1",
    }
    change_env_file(file, values, "test")
    read = read_env_file(file)
    assert read["MAILSTEAD_BACKUP_S3_SECRET_ACCESS_KEY"] == values["backup.s3_secret_access_key"]
    assert read["MAILSTEAD_SERVER_PUBLIC_ADDRESSES"] == "192.0.2.1,2001:db8::1"
    assert read["OTHER"] == "two words"
    assert read["COMPOSE_PROFILES"] == "roles"


def test_a_new_file_is_its_owners_alone_and_an_old_one_keeps_its_mode(file, tmp_path):
    change_env_file(tmp_path / "new.env", {"server.hostname": "x.org"}, "test")
    assert (tmp_path / "new.env").stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    change_env_file(file, {"server.hostname": "x.org"}, "test")
    assert file.stat().st_mode & 0o777 == 0o640
    assert not [each for each in os.listdir(tmp_path) if each.endswith(".new")]


@pytest.mark.parametrize("value", ["it's # one", "two\nlines"])
def test_what_compose_could_not_read_is_refused_and_nothing_is_written(file, value):
    with pytest.raises(BadSettings, match=r"MAILSTEAD_BACKUP_TARGET cannot be written"):
        change_env_file(file, {"backup.target": value}, "test")
    assert file.read_text() == BEFORE


def test_a_value_that_cannot_be_is_refused_and_nothing_is_written(file):
    with pytest.raises(BadSettings, match=r"acme\.challenge must be one of"):
        change_env_file(file, {"server.hostname": "x.org", "acme.challenge": "post"}, "test")
    assert file.read_text() == BEFORE


def test_no_file_says_nothing_and_a_bad_one_is_told(tmp_path):
    assert read_env_file(tmp_path / "none") == {}
    (tmp_path / "bad").write_bytes(b"A=\xff")
    for read in (read_env_file, lambda file: change_env_file(file, {}, "test")):
        with pytest.raises(BadSettings, match="is not UTF-8"):
            read(tmp_path / "bad")
