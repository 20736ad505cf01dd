import pytest

from mailstead.config.edit import change_file, with_settings
from mailstead.model.errors import BadSettings


def test_comments_and_order_stay():
    text = "# top\n[imap]\nlisten = [':143']  # all\n\n[server]\nhostname = 'a.test'\n"
    changed = with_settings(
        text, {"imap.connections_max": "5", "server.transcript": "yes", "tls.watch_s": "1 min"}, "x"
    )
    assert changed == (
        "# top\n[imap]\nlisten = [':143']  # all\nconnections_max = 5\n\n"
        "[server]\nhostname = 'a.test'\ntranscript = true\n\n[tls]\nwatch_s = 60.0\n"
    )


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("[imap", {}, "not valid TOML"),
        ("imap = 1\n", {"imap.connections_max": "5"}, "is a section"),
        ("", {"imap.connections_max": "many"}, "a whole number"),
    ],
)
def test_what_cannot_be_written_changes_nothing(tmp_path, text, values, said):
    file = tmp_path / "mailstead.toml"
    file.write_text(text)
    with pytest.raises(BadSettings, match=said):
        change_file(file, values, "a test")
    assert [each.name for each in tmp_path.iterdir()] == ["mailstead.toml"]
    assert file.read_text() == text


def test_a_file_that_is_not_there_is_made_and_a_folder_is_none(tmp_path):
    change_file(tmp_path / "new.toml", {"server.ip_version": "4"}, "a test")
    assert (tmp_path / "new.toml").read_text() == '[server]\nip_version = "4"\n'
    with pytest.raises(BadSettings, match="cannot be written"):
        change_file(tmp_path, {"server.ip_version": "4"}, "a test")
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    with pytest.raises(BadSettings, match="not UTF-8"):
        change_file(tmp_path / "latin.toml", {}, "a test")
