"""`mailstead api`: each verb of the REST API is a command, with the same checks and the same words."""

import json

import pytest
import typer.main
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.services.api.table import all_endpoints

PASSWORD = "pw-never-in-a-log 1"
ALICE = "alice@example.test"
NO_COMMAND_OF_ITS_OWN = {
    "account": "A user's own settings; `user set` changes them for him.",
    "contacts": "Address books are `addressbook`, files go by `import`; programs write single contacts.",
    "emails": "Mail programs send; `queue` and `trace` show what became of it.",
    "folders": "Mail programs make folders.",
    "logs": "A table of traces, by mail; `trace` shows them.",
    "masked addresses": "The shape of other services' APIs; `alias mask` makes such addresses.",
    "messages": "Mail programs read and write messages.",
    "push": "Devices register themselves.",
    "security": "Passkeys, codes and sessions need the person himself; `second-factor` is the administrator's way out.",
    "start": "What stands at the door of the API.",
    "list-events": "Calendar programs write events; `calendar` looks after calendars, `import` takes files.",
    "show-event": "As `list-events`.",
    "create-event": "As `list-events`.",
    "change-event": "As `list-events`.",
    "delete-event": "As `list-events`.",
    "accept-invite": "Whoever is invited accepts; `member add` is the administrator's way.",
    "test-domain-bucket": "Backups are the server's: `backup` says whether its place is reached.",
    "replace-filter-rules": "`filter add`, `filter move` and `filter delete` come to the same.",
    "suggest-filter-rule": "Whoever reads the message makes a rule of it; `filter add` makes rules.",
    "list-snoozes": "Whoever reads the messages puts them off; pages and programs do.",
    "snooze-messages": "As `list-snoozes`.",
    "unsnooze-messages": "As `list-snoozes`.",
    "encrypt-rules": "For those who write TXT records of Forward Email by hand.",
}
"""Tags or verbs that are had by `mailstead api VERB` alone, and why."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, stdin=None):
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout) if "--json" in words and code == 0 and result.stdout else result

    return call


@pytest.fixture
def house(run):
    run("init", "--domain", "example.test")
    run("account", "add", ALICE, "--password-stdin", stdin=PASSWORD + "\n")
    return run


def test_every_verb_of_the_api_is_listed(run):
    listed = run("api", "--json")
    assert {one["verb"] for one in listed} == {endpoint.name for endpoint in all_endpoints()}
    assert "list-queue" in run("api").stdout


def commands():
    found = set()

    def walk(command, words):
        found.add(" ".join(words))
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, [*words, name])

    walk(typer.main.get_command(app), [])
    return found


def test_the_commands_that_endpoints_name_are_there():
    there = commands()
    for endpoint in all_endpoints():
        for command in filter(None, endpoint.command.split(", ")):
            words = [word for word in command.split() if not word.startswith("-")]
            assert " ".join(words) in there, f"{endpoint.name} names `mailstead {command}`"


def test_verbs_without_a_command_of_their_own_have_a_reason():
    without = [endpoint for endpoint in all_endpoints() if not endpoint.command]
    unexplained = [each.name for each in without if not {each.tag, each.name} & set(NO_COMMAND_OF_ITS_OWN)]
    assert unexplained == []
    assert set(NO_COMMAND_OF_ITS_OWN) <= {word for each in without for word in (each.tag, each.name)}


def test_verbs_are_called_with_values_in_path_query_and_body(house):
    terms = house("api", "change-domain-terms", "domain_id=example.test", "--body", '{"terms": {"keeps_trace": "no"}}')
    assert '"keeps_trace"' in terms.stdout
    shown = house("api", "show-domain-terms", "domain_id=example.test", "--json")
    assert {term["name"]: term["value"] for term in shown["terms"]}["keeps_trace"] == "no"
    made = house("api", "add-suppression", "address=x@a.test", "--json")
    assert made["address"] == "x@a.test"
    assert [one["address"] for one in house("api", "list-suppressions", "limit=5", "--json")] == ["x@a.test"]
    assert house("api", "remove-suppression", "address=x@a.test").stdout == "Done\n"
    house("api", "hold-queue", "--body", "-", stdin='{"all": true}')


def test_verbs_about_an_account_are_called_for_its_owner(house):
    assert "--as ADDRESS" in house("api", "list-folders", code=77).output
    folders = house("api", "list-folders", "--as", ALICE, "--json")
    assert "INBOX" in {folder["path"] for folder in folders}
    house("api", "add-denied-senders", "entries=eve@x.test", "--as", ALICE)
    assert "eve@x.test" in house("junk", "deny", ALICE).stdout


def test_a_user_may_at_the_command_line_what_he_may_over_the_api(house):
    house("user", "add", "carol@elsewhere.test", "--password-stdin", stdin=PASSWORD + "\n")
    assert house("api", "list-queue", "--as", "carol@elsewhere.test", code=77)


def test_what_is_wrong_is_said(house):
    assert "lists them" in house("api", "make-coffee", code=78).output
    assert "queue_id" in house("api", "show-queue-item", code=78).output
    assert "queue id x" in house("api", "show-queue-item", "queue_id=x", code=67).output
    assert "There is no such field" in house("api", "add-suppression", "addr=x@a.test", code=65).output
    assert "Write name=value" in house("api", "list-queue", "limit", code=2).output
    assert "no JSON" in house("api", "hold-queue", "--body", "{", code=65).output


def test_what_comes_in_pieces_comes_to_its_end(house):
    body = json.dumps({"raw": "Subject: piece\r\n\r\nbody\r\n"})
    made = house("--json", "api", "append-message", "--body", body, "--as", ALICE)
    shown = house("api", "show-message", f"message_id={made['id']}", "eml=true", "--as", ALICE)
    assert b"Subject: piece\r\n\r\nbody\r\n" in shown.stdout_bytes
    assert house("api", "export-account", "--as", ALICE).stdout_bytes.startswith(b"PK")
