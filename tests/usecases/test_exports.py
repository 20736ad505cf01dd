"""Names of files that an export makes, and line ends. Round trips are in test_imports."""

import pytest

from mailstead.usecases import exports as exporting
from mailstead.usecases import maildirs
from mailstead.usecases.exports import file_name, with_lf
from mailstead.usecases.imports import with_crlf

MESSAGE = b"From: a@example.test\r\nSubject: Hello\r\n\r\nFrom here\r\n.\r\n>From there\r\n\r\n"


@pytest.mark.parametrize(
    "name",
    ["../../etc/x", "/etc/passwd", ".hidden", "con", "NUL.txt", "a\u202eb", "ä" * 400, "a/b", "..", " x", "a\\b"],
)
def test_attack_071_names_of_files_are_ours(name, tmp_path):
    made = file_name(name)
    assert made.isascii()
    assert "/" not in made
    assert "\\" not in made
    assert len(made) <= exporting.FILE_NAME_MAX + 5
    assert not made.startswith((".", " "))
    assert made.partition(".")[0].lower() not in {"con", "nul"}
    folder = maildirs.MaildirWriter(tmp_path / "m")._folder(name)
    assert folder.parent == tmp_path / "m"
    assert ".." not in folder.name[1:] or name == ".."
    assert maildirs.encode_level("..") == "&AC4ALg-"


def test_file_names_of_different_mailboxes_differ():
    names = ["a/b", "a%2Fb", "A", "ä" * 300, "ä" * 301, ".x", "x"]
    assert len({file_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "octets", [MESSAGE, b"a\r\r\n", b"a\nb\r\n", b"\r", b"no end", b"\r\n\r\n", b"a\r\n\x00\xff\r\n"]
)
def test_line_ends_can_be_undone(octets):
    assert with_crlf(with_lf(octets)) == octets
