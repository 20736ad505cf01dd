"""The commands `calendar` and `addressbook`, and `import` and `export` of their files."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app

PASSWORD = "pw-never-in-a-log 1"
ALICE, BOB = "alice@example.test", "bob@example.test"
EVENT = "BEGIN:VEVENT\nUID:{}\nDTSTAMP:20260101T000000Z\nDTSTART:20260101T100000Z\nSUMMARY:x\nEND:VEVENT\n"
CARD = "BEGIN:VCARD\nVERSION:3.0\nUID:{}\nFN:x\nEND:VCARD\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, stdin=None):
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return json.loads(result.stdout) if "--json" in words and code in {0, 75} else result

    call("init", "--domain", "example.test")
    for address in (ALICE, BOB):
        call("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")
    return call


def events(*uids):
    return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n" + "".join(map(EVENT.format, uids)) + "END:VCALENDAR\n"


def names(run, address, noun="calendar"):
    return [each["name"] for each in run(noun, "list", address, "--json")]


def test_calendars_come_are_renamed_and_go(run):
    assert names(run, ALICE) == ["default"]
    made = run("calendar", "add", ALICE, "work", "--title", "Work!", "--color", "#112233", "--json")
    assert (made["name"], made["shown_as"], made["color"]) == ("work", "Work!", "#112233")
    assert "exists already" in run("calendar", "add", ALICE, "WORK!", code=73).stderr
    assert "#3366CC" in run("calendar", "add", ALICE, "x", "--color", "red", code=65).stderr
    assert run("calendar", "rename", ALICE, "Work!", "--title", "Job", "--json")["shown_as"] == "Job"
    assert "--yes" in run("calendar", "remove", ALICE, "work", code=2).stderr
    run("calendar", "remove", ALICE, "Job", "--yes")
    assert names(run, ALICE) == ["default"]
    assert "calendar list" in run("calendar", "remove", ALICE, "work", "--yes", code=67).stderr
    run("calendar", "list", "nobody@example.test", code=67)


def test_shares(run):
    given = run("calendar", "share", ALICE, "Calendar", BOB, "--write", "--json")
    assert given == {"with": BOB, "access": "write", "name": "default-alice"}
    assert names(run, BOB) == ["default", "default-alice"]
    shared = run("calendar", "list", BOB, "--json")[1]
    assert (shared["owner"], shared["access"]) == (ALICE, "write")
    assert run("calendar", "list", ALICE, "--json")[0]["shared_with"] == [BOB]
    assert run("calendar", "shares", ALICE, "--json") == [{"name": "default", "with": BOB, "access": "write"}]
    assert "shared with bob@example.test" in run("calendar", "list", ALICE).stdout
    run("calendar", "share", ALICE, "default", "x@elsewhere.test", code=67)
    run("calendar", "share", BOB, "default-alice", ALICE, code=77)
    run("calendar", "unshare", ALICE, "default", BOB)
    assert names(run, BOB) == ["default"]
    run("calendar", "unshare", ALICE, "default", BOB, code=67)


def test_a_sharee_leaves_what_is_shared(run):
    run("addressbook", "share", ALICE, "default", BOB)
    assert "is left" in run("addressbook", "remove", BOB, "default-alice", "--yes").stdout
    assert names(run, ALICE, "addressbook") == ["default"]


def test_links(run):
    made = run("calendar", "link", ALICE, "default", "--expires", "30d", "--busy-only", "--json")
    assert made["url"].startswith("https://")
    assert "/public/calendars/" in made["url"]
    (kept,) = run("calendar", "links", ALICE, "--json")
    assert (kept["link"], kept["calendar"], kept["hides_details"]) == (made["link"], "default", True)
    assert made["url"].rpartition("/")[2].removesuffix(".ics") not in run("calendar", "links", ALICE).stdout
    run("calendar", "unlink", ALICE, made["url"])
    run("calendar", "unlink", ALICE, made["link"], code=67)
    run("calendar", "link", ALICE, "default", "--expires", "soon", code=65)


def test_subscriptions(run):
    found = run("calendar", "subscribe", ALICE, "https://127.0.0.1/a.ics", "--name", "inner", "--json", code=75)
    assert "not on the public Internet" in found["failure"]
    listed = next(each for each in run("calendar", "list", ALICE, "--json") if each["name"] == "inner")
    assert (listed["source_url"], listed["access"]) == ("https://127.0.0.1/a.ics", "read")
    assert listed["failure"] == found["failure"]
    assert "tried again" in run("calendar", "refresh", ALICE, "inner", code=75).stdout
    run("calendar", "refresh", ALICE, "default", code=77)
    run("calendar", "subscribe", ALICE, "file:///etc/passwd", "--name", "x", code=65)
    run("calendar", "subscribe", ALICE, "https://far.test/", "--name", "x", "--every", "1m", code=65)


def test_delegates(run):
    assert run("calendar", "delegate", ALICE, BOB, "--json") == {"delegate": BOB, "access": "write"}
    assert run("calendar", "delegate", ALICE, BOB, "--read", "--json")["access"] == "read"
    assert run("calendar", "delegates", ALICE, "--json") == [{"delegate": BOB, "access": "read"}]
    run("calendar", "delegate", ALICE, BOB, "--off")
    assert run("calendar", "delegates", ALICE, "--json") == []
    run("calendar", "delegate", ALICE, BOB, "--off", code=67)


def test_address_books(run):
    run("addressbook", "add", ALICE, "friends")
    run("addressbook", "rename", ALICE, "friends", "--title", "My Friends")
    assert names(run, ALICE, "addressbook") == ["default", "friends"]
    run("addressbook", "share", ALICE, "My Friends", BOB)
    assert run("addressbook", "shares", ALICE, "--json") == [{"name": "friends", "with": BOB, "access": "read"}]
    run("addressbook", "unshare", ALICE, "friends", BOB)
    run("addressbook", "remove", ALICE, "friends", "--yes")
    assert names(run, ALICE, "addressbook") == ["default"]


def test_files_go_in_and_come_out(run, tmp_path):
    (tmp_path / "a.ics").write_text(events("a", "b"))
    (tmp_path / "contacts").write_text(CARD.format("c"))  # told by its beginning
    found = run("import", ALICE, "a.ics", "--json")
    assert (found["calendar"], found["new_count"], found["refused_count"]) == ("default", 2, 0)
    assert run("import", ALICE, "contacts", "--addressbook", "Friends", "--json")["addressbook"] == "Friends"
    out = run("export", ALICE, "out", "--json")
    assert out["files"] == {"calendars/Calendar.ics": 2, "contacts/Contacts.vcf": 0, "contacts/Friends.vcf": 1}
    assert (tmp_path / "out" / "cur").is_dir()
    again = run("import", BOB, "out/calendars/Calendar.ics", "--calendar", "Hers", "--json")
    assert (again["calendar"], again["new_count"]) == ("Hers", 2)
    assert list(run("export", ALICE, "out2", "--format", "vcf", "--json")["files"]) == [
        "contacts/Contacts.vcf",
        "contacts/Friends.vcf",
    ]
    assert run("export", ALICE, "out3", "--mailbox", "INBOX", "--json")["files"] == {}
    run("export", ALICE, "out4", "--format", "ics", "--mailbox", "INBOX", code=65)


def test_what_cannot_be_imported_is_named(run, tmp_path):
    (tmp_path / "a.ics").write_text(events("a", "twice", "twice"))
    result = run("import", ALICE, "a.ics", code=65)
    assert "1 events and tasks imported" in result.stdout
    assert "twice" in result.stdout
    (tmp_path / "b.ics").write_text("<html>")
    run("import", ALICE, "b.ics", code=65)
    run("import", ALICE, "missing.ics", code=65)
    run("import", ALICE, "a.ics", "--addressbook", "x", code=65)
