"""`mailstead import imap` and its sisters; the other provider is a made-up one."""

import contextlib
import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.model.errors import SourceFailed, SourceRefused
from mailstead.model.ids import Uid, UidValidity
from mailstead.model.remote_imports import RemoteMailbox, RemoteMessage
from mailstead.net.imap_source import ImapSource
from mailstead.ports.remote_source import OpenedRemote

ALICE = "alice@example.test"
PASSWORD = "pw-never-in-a-log 1"
WHERE = ("--host", "imap.provider.test", "--user", "carol", "--password-stdin")


class Provider:
    """INBOX with five messages, one of which is not given; `broken_after` so many were fetched the connection is lost."""

    has_labels = False
    broken_after = None

    def __init__(self):
        self.asked = []

    @contextlib.asynccontextmanager
    async def connect(self, server, password):
        self.asked.append(server)
        if password.reveal() != PASSWORD:
            raise SourceRefused("imap.provider.test refuses the user name or password")
        yield self

    async def mailboxes(self, *, with_sizes=True):
        return [RemoteMailbox("INBOX", ("INBOX",), None, 5, 500), RemoteMailbox("Spam", ("Spam",), "\\Junk", 0, 0)]

    async def open(self, name):
        return OpenedRemote(UidValidity(1), 5 if name == "INBOX" else 0)

    async def listing(self, after, limit):
        return [RemoteMessage(Uid(n), n, 100, frozenset({"\\Seen"}), None, f"{n}@x") for n in range(1, 6) if n > after]

    async def octets(self, messages):
        if self.broken_after is not None:
            raise SourceFailed("The connection to imap.provider.test has failed")
        return {
            each.uid: f"Message-ID: <{each.uid}@x>\r\n\r\n{each.uid}\r\n".encode() for each in messages if each.uid != 4
        }


@pytest.fixture
def provider(monkeypatch):
    made = Provider()
    monkeypatch.setattr(ImapSource, "connect", lambda _, server, password: made.connect(server, password))
    return made


@pytest.fixture
def run(tmp_path, monkeypatch, provider):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, stdin=PASSWORD + "\n"):
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout) if "--json" in words and result.stdout else result

    call("init", "--domain", "example.test")
    call("account", "add", ALICE, "--password-stdin")
    return call


def test_a_list_of_what_is_there(run):
    listed = run("import", "imap", ALICE, *WHERE, "--list", "--json")
    assert [(each["name"], each["target"], each["is_suggested"]) for each in listed["mailboxes"]] == [
        ("INBOX", "INBOX", True),
        ("Spam", "Junk", False),
    ]
    assert "Junk" in run("import", "imap", ALICE, *WHERE, "--list").stdout
    assert "There is no import" in run("import", "status", ALICE, code=67).stderr


def test_in_the_foreground_with_a_report_and_an_exit_code_for_what_did_not_come(run, provider):
    done = run("import", "imap", ALICE, *WHERE, "--starttls", "--json", code=65)
    assert (done["status"], done["imported_count"], done["settled_count"], done["message_count"]) == ("done", 4, 5, 5)
    assert done["not_taken"] == [
        {"mailbox": "INBOX", "uid": 4, "seqnum": 4, "reason": "The other server did not give it"}
    ]
    assert (provider.asked[0].security, provider.asked[0].real_port) == ("starttls", 143)
    shown = run("import", "status", ALICE, code=65).stdout
    assert "5 of 5 messages: 4 imported" in shown
    assert "INBOX, message 4" in shown
    run("import", "dismiss", ALICE)
    run("import", "status", ALICE, code=67)
    again = run("import", "imap", ALICE, *WHERE, "--mailbox", "INBOX=Old", "--json", code=65)
    assert [(each["name"], each["target"]) for each in again["mailboxes"]] == [("INBOX", "Old")]


def test_how_far_it_is_is_told_on_the_way(run):
    assert "Importing: 100 %" in run("import", "imap", ALICE, *WHERE, code=65).stderr


def test_one_that_is_lost_on_the_way_is_left_to_the_server(run, provider):
    provider.broken_after = 0
    lost = run("import", "imap", ALICE, *WHERE, "--json", code=75)
    assert (lost["status"], lost["reason"], lost["settled_count"]) == ("waiting", "unreachable", 0)
    assert lost["due_at"]
    assert run("import", "imap", ALICE, *WHERE, code=73).stderr.startswith("mailstead: An import is under way")
    assert run("import", "resume", ALICE, "--json")["status"] == "waiting"
    assert "cancelled" in run("import", "cancel", ALICE).stdout
    run("import", "cancel", ALICE, code=73)


def test_begun_for_the_server_to_do(run):
    begun = run("import", "imap", ALICE, *WHERE, "--background", "--json")
    assert (begun["status"], begun["settled_count"]) == ("waiting", 0)
    assert run("import", "resume", ALICE, "--password-stdin", "--json")["status"] == "waiting"


def test_a_wrong_password_keeps_nothing(run):
    assert "refuses" in run("import", "imap", ALICE, *WHERE, stdin="pw-never-in-a-log-x\n", code=65).stderr
    run("import", "status", ALICE, code=67)


def test_files_come_as_before_with_and_without_their_word(run, tmp_path):
    (tmp_path / "a.eml").write_bytes(b"Subject: x\r\n\r\nx\r\n")
    assert run("import", ALICE, "a.eml", "--json")["imported_count"] == 1
    assert run("import", "--skip-duplicates", ALICE, "a.eml", "--json")["duplicate_count"] == 1
    assert run("import", "files", ALICE, "a.eml", "--mailbox", "Other", "--json")["mailboxes"] == {"Other": 1}
    assert "--skip-duplicates" in run("import", "files", "--help").stdout
