"""A sealed account beside a running server of two processes: sealed by command, opened by every kind of client.

Mail that comes while nobody is there waits, also over a SIGKILL, and is there once; a backup of what is locked comes back.
"""

import imaplib
import json
import poplib
import smtplib

import pytest

from system.dav import DavPerson, DavServer
from system.server import ALICE, BOB, PASSWORD, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture
def server(tmp_path, until):
    started = DavServer(tmp_path / "here", arguments=["--workers", "2"])
    started.folder.mkdir()
    started.settings["MAILSTEAD_BACKUP_TARGET"] = str(tmp_path / "backups")
    started.prepare(ALICE, BOB)
    started.start()
    until(lambda: started.log().count('"event": "ready"') == 2)
    yield started
    if started.process.poll() is None:
        assert started.stop() == 0, started.log()[-2000:]
    assert started.check() == []


def imap(server, password=PASSWORD):
    client = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=tls_context())
    client.login(ALICE, password)
    return client


def subjects(client):
    client.select("INBOX")
    numbers = client.search(None, "ALL")[1][0].decode().split()
    if not numbers:
        return []
    found = client.fetch(",".join(numbers), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    return [each[1].decode().strip().removeprefix("Subject: ") for each in found if isinstance(each, tuple)]


def send(server, *names):
    with smtplib.SMTP("127.0.0.1", server.port["mx"]) as client:
        for name in names:
            client.sendmail("me@elsewhere.test", [ALICE], f"From: me@elsewhere.test\r\nSubject: {name}\r\n\r\nx\r\n")


def sealed(server):
    return json.loads(server.run("--json", "account", "sealed", ALICE))


def seal(server):
    said = server.run("--json", "account", "seal", ALICE, "--yes", "--password-stdin", stdin=PASSWORD + "\n")
    return json.loads(said)["recovery_key"]


def again(server, until):
    """Kill it, and start it until both processes are ready: before that, connections may be reset."""
    server.kill()
    count = server.log().count('"event": "ready"')
    server.start()
    until(lambda: server.log().count('"event": "ready"') == count + 2)


def ends(client):
    """Whether the server has ended a session."""
    try:
        client.noop()
    except (imaplib.IMAP4.error, OSError):
        return True
    return False


def test_every_client_opens_a_sealed_account_and_finds_what_has_waited(server, until):
    before = imap(server)
    send(server, "before")
    seal(server)
    until(lambda: ends(before))
    send(server, "one", "two", "three")
    assert sealed(server)["waiting_count"] == 3

    client = poplib.POP3_SSL("127.0.0.1", server.port["pop3s"], context=tls_context())
    client.user(ALICE)
    client.pass_(PASSWORD)
    assert client.stat()[0] == 4
    client.quit()
    assert sealed(server)["waiting_count"] == 0

    with smtplib.SMTP_SSL("127.0.0.1", server.port["submissions"], context=tls_context()) as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [ALICE, BOB], f"From: {ALICE}\r\nSubject: four\r\n\r\nx\r\n")
    client = imap(server)
    until(lambda: subjects(client) == ["before", "one", "two", "three", "four"])
    # Whichever of the two processes takes these, this session gets them.
    for number in range(10):
        send(server, f"more{number}")
    until(lambda: sorted(subjects(client)[5:]) == [f"more{number}" for number in range(10)])
    with pytest.raises(imaplib.IMAP4.error):
        imap(server, "pw-never-in-a-log-wrong")
    status, _, _ = DavPerson(server, ALICE).ask("PROPFIND", DavPerson(server, ALICE).calendars, depth="1")
    assert status == 207
    client.logout()


def test_what_waits_survives_sigkill_and_is_taken_in_once(server, until):
    seal(server)
    send(server, "one", "two")
    again(server, until)
    send(server, "three")
    client = imap(server)
    until(lambda: subjects(client) == ["one", "two", "three"])
    again(server, until)
    client = imap(server)
    assert subjects(client) == ["one", "two", "three"]
    client.logout()
    assert sealed(server)["waiting_count"] == 0


def test_a_backup_of_a_locked_account_comes_back_and_opens_by_its_password(server, tmp_path, until):
    send(server, "inside")
    seal(server)
    send(server, "waits")
    server.run("backup")
    elsewhere = DavServer(tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    elsewhere.settings["MAILSTEAD_BACKUP_TARGET"] = server.settings["MAILSTEAD_BACKUP_TARGET"]
    elsewhere.run("restore", "--key-stdin", stdin=server.run("backup", "key"))
    assert elsewhere.check() == []
    elsewhere.start()
    try:
        client = imap(elsewhere)
        until(lambda: subjects(client) == ["inside", "waits"])
        client.logout()
    finally:
        assert elsewhere.stop() == 0, elsewhere.log()[-2000:]
