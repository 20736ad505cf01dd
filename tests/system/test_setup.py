"""The last stage of a set-up against a started server, with a neighbour that is a server of its own."""

import email
import json
import re
import smtplib
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest

from cli.test_setup import converse
from system.neighbours import House, Loopback, must_be_root
from system.server import MAILSTEAD, PASSWORD, tls_context

pytestmark = pytest.mark.full

FRIEND = "friend@b.test"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    must_be_root()
    with Loopback(tmp_path_factory.mktemp("net"), {name: [] for name in ("a.test", "b.test")}) as started:
        yield started


@pytest.fixture(scope="module")
def friend(net):
    house = House(net, "b.test", 3)
    house.furnish("friend")
    net.dns.replace("b.test", house.records())
    house.start()
    yield house
    assert house.stop() == 0


@pytest.fixture
def house(net):
    """A server that runs, and has no domain yet."""
    made = House(net, "a.test", 2)
    made.settings |= {"MAILSTEAD_WEB_LISTEN_TLS": f"{made.address}:443", "MAILSTEAD_SETUP_DOMAIN": "a.test"}
    made.arguments = ["--init"]
    made.start()
    yield made
    assert made.stop() == 0
    assert made.check() == []
    made.folder.rename(made.folder.with_name(f"{made.folder.name}-{made.process.pid}"))


def finish(house, *words, expect=0):
    done = subprocess.run(
        [MAILSTEAD, "--json", "setup", "--stage", "finish", "--yes", *words],
        env=house.environment, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def answer_when_it_comes(friend, until):
    """Answer the trial message, as a person would."""
    (octets,) = until(lambda: friend.messages(FRIEND))
    message = email.message_from_bytes(octets)
    friend.submit(
        FRIEND, message["From"], f"From: {FRIEND}\r\nTo: {message['From']}\r\nSubject: Re\r\n\r\nHi\r\n".encode()
    )
    return message


def test_from_nothing_to_mail_both_ways_and_a_password(house, friend, net, until):
    told = finish(house, "--email", FRIEND)
    assert told["account"] == "admin@a.test"
    assert told["trials"]["here"]["is_well"] is True
    # Its records are not published, so the neighbour may think what it likes; the second run has them.
    net.dns.replace("a.test", house.records())
    first = told["log_in_url"]
    assert {each["name"] for each in told["missing_records"]} >= {"mx", "spf"}

    answers = []
    person = threading.Thread(target=lambda: answers.append(answer_when_it_comes(friend, until)))
    person.start()
    told = finish(house, "--email", FRIEND, "--wait-reply", "60")
    person.join(60)
    assert told["log_in_url"] is None, "the account was there already"
    assert told["trials"]["out"]["is_well"] is True, told
    assert "250" in told["trials"]["out"]["found"]
    assert told["trials"]["in"] == {"is_well": True, "found": "it is in INBOX"}
    assert answers[0]["Subject"] == "Mail goes out"

    url = urllib.parse.urlsplit(first)
    assert (url.scheme, url.hostname) == ("https", "mx.a.test")
    page = f"https://{house.address}{url.path}"
    fields = urllib.parse.urlencode({"password": PASSWORD, "again": PASSWORD}).encode()
    request = urllib.request.Request(page, fields, {"Host": url.hostname})  # our own server
    with urllib.request.urlopen(request, context=tls_context(), timeout=20) as answer:
        assert b"The password is set" in answer.read()
    with smtplib.SMTP("127.0.0.1", house.port["submission"], timeout=20) as client:
        client.starttls(context=tls_context())
        client.login("admin@a.test", PASSWORD)
    assert json.loads(house.run("--json", "account", "app-password", "list", "admin@a.test")) == []


def test_a_neighbour_that_refuses_is_told_with_its_words(house, friend, net):
    net.dns.replace("a.test", ["@ MX 10 mx", f"mx A {house.address}"])
    told = finish(house, "--email", "nobody@b.test", expect=1)
    assert told["trials"]["here"]["is_well"] is True
    assert told["trials"]["out"]["is_well"] is False
    assert re.search(r"mx\.b\.test .*550", told["trials"]["out"]["found"])


def test_a_chatmail_domain_needs_no_account(house):
    told = finish(house, "--domain", "chat.test", "--kind", "chatmail")
    assert (told["account"], told["log_in_url"], told["trials"]) == (None, None, {})
    assert house.answer("domain", "list") == [{"domain": "chat.test"}]


def test_without_a_domain_it_is_told_what_has_not_been(house):
    house.settings["MAILSTEAD_SETUP_DOMAIN"] = ""
    assert "--stage configure" in finish(house, expect=2)


def test_the_key_of_the_backups_is_shown_to_people_only(house, tmp_path):
    house.settings |= {
        "MAILSTEAD_BACKUP_TARGET": str(tmp_path / "backups"),
        "MAILSTEAD_BACKUP_KEY_FILE": str(tmp_path / "backup.key"),
    }
    words = ["setup", "--stage", "finish", "--yes"]
    piped = house.run(*words)
    assert "mailstead backup key" in piped
    assert "without it no backup can be read" not in piped
    code, shown = converse(words, [], house.environment)
    assert code == 0, shown
    assert house.run("backup", "key").strip() in shown
