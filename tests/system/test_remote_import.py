"""Moving away from a real Dovecot: by the command, and by a server that is killed on the way."""

import imaplib
import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from system.certificates import Authority
from system.dovecot import PASSWORD as ELSEWHERE
from system.dovecot import PROGRAM, Dovecot
from system.server import ALICE, PASSWORD, Server, tls_context

pytestmark = pytest.mark.full

FIRST_S = 1_700_000_000


def message(number, size=0):
    octets = (
        f"From: Carol <carol@elsewhere.test>\r\nSubject: Mail {number}\r\nMessage-ID: <{number}@elsewhere.test>\r\n\r\n"
        f"This is mail {number}.\r\n"
    ).encode()
    return octets + b"x" * max(0, size - len(octets) - 2) + (b"\r\n" if size > len(octets) else b"")


@pytest.fixture
def provider(need):
    need(PROGRAM)
    if os.geteuid() != 0:
        pytest.skip("Dovecot gives mail to another user: that takes root")
    folder = Path(tempfile.mkdtemp(prefix="mailstead-dovecot-"))  # its user may not enter pytest's folders
    folder.chmod(0o755)
    authority = Authority(folder / "authority")
    made = Dovecot(folder, authority.pair("127.0.0.1"))
    made.authority = authority
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def house(provider, tmp_path):
    settings = {
        "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true",
        "MAILSTEAD_RELAY_CA_FILE": str(provider.authority.file),
    }
    made = Server(tmp_path, settings)
    made.prepare(ALICE)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


def ask(house, *words, address=ALICE):
    return json.loads(house.run("import", words[0], address, *words[1:], "--json", stdin=ELSEWHERE + "\n"))


def read_all(port, user, password, name):
    """All messages of a mailbox over IMAP: octets, flags without \\Recent, date."""
    with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=tls_context()) as imap:
        imap.login(user, password)
        assert imap.select(f'"{name}"', readonly=True)[0] == "OK"
        _, answers = imap.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        found = []
        for each, after in zip(answers[::2], answers[1::2], strict=True):
            said = each[0] + after
            flags = set(imaplib.ParseFlags(said)) - {b"\\Recent"}
            found.append((each[1], frozenset(flags), imaplib.Internaldate2tuple(said)))
    return sorted(found)


@pytest.mark.parametrize("is_starttls", [False, True])
def test_the_command_brings_mail_from_dovecot_with_flags_dates_and_special_use(provider, house, is_starttls):
    for number in range(1, 121):
        provider.add(
            "", number, message(number, 500 * (number % 40)), ("", "S", "FS", "RS")[number % 4], FIRST_S + number
        )
    provider.add("Gesendet", 1, message(201), "S", FIRST_S)
    provider.add("Papier", 1, message(301), "S", FIRST_S)
    provider.add("Projekte.Gr&APYA3w-e", 1, message(401), "", FIRST_S)
    provider.add("Projekte.Gr&APYA3w-e", 2, message(402), "T", FIRST_S + 7)
    provider.start()
    port = ("--port", str(provider.imap), "--starttls") if is_starttls else ("--port", str(provider.imaps))
    where = ("imap", "--host", "127.0.0.1", "--user", "carol", *port, "--password-stdin")
    offered = {each["name"]: each for each in ask(house, *where, "--list")["mailboxes"]}
    assert {name: (each["target"], each["is_suggested"], each["message_count"]) for name, each in offered.items()} == {
        "INBOX": ("INBOX", True, 120),
        "Gesendet": ("Sent", True, 1),
        "Papier": ("Trash", False, 1),
        "Projekte.Größe": ("Projekte/Größe", True, 2),
    }
    assert offered["INBOX"]["size_octets"] == sum(len(message(n, 500 * (n % 40))) for n in range(1, 121))
    done = ask(house, *where)
    assert (done["status"], done["imported_count"], done["settled_count"], done["not_taken"]) == ("done", 123, 123, [])
    again = ask(house, *where)
    assert (again["status"], again["imported_count"], again["duplicate_count"]) == ("done", 0, 123)
    house.start()
    for there, here in (("INBOX", "INBOX"), ("Gesendet", "Sent"), ("Projekte.Gr&APYA3w-e", "Projekte/Gr&APYA3w-e")):
        theirs = read_all(provider.imaps, "carol", ELSEWHERE, there)
        assert theirs
        assert read_all(house.port["imaps"], ALICE, PASSWORD, here) == theirs
    assert house.stop() == 0
    assert house.check() == []
    assert ELSEWHERE not in house.log()


@pytest.mark.timeout(600)  # after each kill the import rests until the lease of the dead has run out
def test_a_server_that_is_killed_again_and_again_brings_each_message_once(provider, house, until):
    count = 2000
    for number in range(1, count + 1):
        provider.add("", number, message(number, 3000), "S", FIRST_S + number)
    provider.start()
    house.start()
    ask(
        house,
        "imap",
        "--host",
        "127.0.0.1",
        "--user",
        "carol",
        "--port",
        str(provider.imaps),
        "--password-stdin",
        "--background",
    )

    context = tls_context()

    def arrived():
        with imaplib.IMAP4_SSL("127.0.0.1", house.port["imaps"], ssl_context=context) as imap:
            imap.login(ALICE, PASSWORD)
            return int(imap.status("INBOX", "(MESSAGES)")[1][0].rpartition(b" ")[2].rstrip(b")"))

    killed_at = []
    for _ in range(2):
        goal = (killed_at or [0])[-1] + 100
        until(lambda goal=goal: arrived() >= goal, limit_s=120)
        house.kill()
        house.start()
        killed_at.append(arrived())
    assert killed_at[-1] < count, "it was over before it was killed"
    until(lambda: arrived() >= count, limit_s=180)
    until(lambda: ask(house, "status")["status"] == "done", limit_s=60)
    done = ask(house, "status")
    assert done["settled_count"] == count
    assert done["not_taken"] == []
    here = Counter(octets for octets, _, _ in read_all(house.port["imaps"], ALICE, PASSWORD, "INBOX"))
    assert here == Counter(message(number, 3000) for number in range(1, count + 1))
    assert house.stop() == 0
    assert house.check() == []


def test_who_knows_the_wrong_password_is_told_and_nothing_is_kept(provider, house):
    provider.start()
    done = house.complete(
        "import", "imap", ALICE, "--host", "127.0.0.1", "--user", "carol", "--port", str(provider.imaps), "--password-stdin",
        stdin="pw-never-in-a-log-wrong\n",
    )  # fmt: skip
    assert done.returncode == 65
    assert "refuses the user name or password" in done.stderr
    assert house.complete("import", "status", ALICE).returncode == 67
