"""`mailstead serve`, as a newcomer and as an operator meet it: the printed lines work, mistakes get a sentence and a code."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from mailstead.cli.serve import _adopt_environment
from mailstead.config.settings import Server, Settings, Store
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house

PASSWORD = "pw-never-in-a-log 1"
LISTENERS = ("MX_LISTEN", "SUBMISSION_LISTEN", "SUBMISSION_LISTEN_TLS", "IMAP_LISTEN", "IMAP_LISTEN_TLS",
             "POP3_LISTEN", "POP3_LISTEN_TLS", "SIEVE_LISTEN", "CALDAV_LISTEN", "API_LISTEN", "WEB_LISTEN_TLS")  # fmt: skip


@pytest.fixture
def environ(tmp_path):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in LISTENERS]
    at = {f"MAILSTEAD_{name}": f"127.0.0.1:{one.getsockname()[1]}" for name, one in zip(LISTENERS, held, strict=True)}
    for one in held:
        one.close()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
    return {**inherited, **at}


def mailstead(environ, folder, *words, **others):
    return subprocess.run(
        [sys.executable, "-m", "mailstead", *words], env=environ, cwd=folder, text=True, capture_output=True, timeout=60,
        **others,
    )  # fmt: skip


def refused(done, code):
    """Demand one clear refusal: the exit code, something said, and no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("mailstead: ")
    return done.stderr


@contextmanager
def demo(environ, folder, *words):
    """Run a demo until the block ends, then Ctrl-C; gives what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mailstead", "serve", "--demo", *words], env=environ, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        assert process.poll() is None, process.stderr.read()
        yield "".join(lines)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()


def printed(shown, what):
    return re.search(rf"^{what}: +(.+)$", shown, re.MULTILINE)[1]


def shell(line):
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_as_a_newcomer_meets_it(environ, tmp_path):
    with demo(environ, tmp_path) as first:
        assert all(address in first for name, address in environ.items() if name.startswith("MAILSTEAD_"))
        shell(printed(first, "Send"))
        assert "It works." in shell(printed(first, "Read"))
        assert "BEGIN:VCALENDAR" in shell(printed(first, "Dates"))
        assert '"email":"alice@example.test"' in shell(printed(first, "API"))
        assert printed(first, "Token") in printed(first, "API")
        web = printed(first, "Web").split()[0]
        with urllib.request.urlopen(f"{web}mail", context=ssl._create_unverified_context()) as page:
            assert (page.url.partition("?")[0], "Log in" in page.read().decode()) == (f"{web}log-in", True)
        for fresh in ((), ("--fresh",)):
            said = refused(mailstead(environ, tmp_path, "serve", "--demo", *fresh), 78)
            assert "is running on .state already" in said
    with demo(environ, tmp_path) as again:
        assert printed(again, "Log-in") == printed(first, "Log-in")
        assert "It works." in shell(printed(again, "Read"))
    with demo(environ, tmp_path, "--fresh") as anew:
        assert printed(anew, "Log-in") != printed(first, "Log-in")
        assert subprocess.run(["sh", "-c", printed(anew, "Read")], capture_output=True).returncode
    assert (tmp_path / ".state").stat().st_mode & 0o777 == 0o700


def test_fresh_removes_only_what_a_demo_made(environ, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter").write_text("dear")
    with demo(environ, tmp_path, "--state", "precious", "--fresh"):
        assert (tmp_path / "precious" / "letter").read_text() == "dear"


def test_a_port_in_use(environ, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        # The first one that is bound: a port of the others may have gone to another test meanwhile.
        said = refused(mailstead({**environ, "MAILSTEAD_MX_LISTEN": taken}, tmp_path, "serve", "--demo"), 78)
    assert f"mx cannot listen on {taken}: another program has that port" in said


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """Make a house once; each test gets a copy, as every command is a process of its own."""
    folder = tmp_path_factory.mktemp("furnished")
    environ = {**os.environ, "MAILSTEAD_SERVER_DATA_DIR": str(folder / "data")}
    assert mailstead(environ, folder, "init", "--domain", "example.test").returncode == 0
    for name in ("alice", "bob"):
        added = mailstead(environ, folder, "account", "add", f"{name}@example.test", "--password-stdin", input=PASSWORD)
        assert added.returncode == 0, added.stderr
    return folder


@pytest.fixture
def house(environ, tmp_path, furnished):
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("run"))
    return {**environ, "MAILSTEAD_SERVER_DATA_DIR": str(tmp_path / "data")}


@pytest.mark.parametrize(
    ("changed", "words", "code", "said"),
    [
        ({}, ("--services", "imap,nope"), 78, "There is no service 'nope'"),
        ({"MAILSTEAD_SERVER_WORKERS": "0"}, (), 78, "server.workers"),
        ({"MAILSTEAD_SERVER_WORKERS": "many"}, (), 78, "server.workers"),
        ({"MAILSTEAD_IMAP_LISTNE": ":1"}, (), 78, "MAILSTEAD_IMAP_LISTEN"),
        ({"MAILSTEAD_IMAP_LISTEN": "nowhere"}, (), 78, "imap: 'nowhere' has no port"),
        ({"MAILSTEAD_STORE_MASTER_KEY": "00" * 32}, (), 78, "not the one with which these stores were made"),
        ({"MAILSTEAD_STORE_MASTER_KEY_FILE": "absent"}, (), 78, "absent is missing"),
        ({"MAILSTEAD_TLS_CERTIFICATE_FILE": "absent.pem", "MAILSTEAD_TLS_KEY_FILE": "absent.key"}, (), 78, "absent"),
        ({"MAILSTEAD_TLS_CERTIFICATE_FILE": "/dev/null", "MAILSTEAD_TLS_KEY_FILE": "/dev/null"}, (), 78, "/dev/null"),
        ({"MAILSTEAD_SERVER_DATA_DIR": "elsewhere"}, (), 78, "mailstead init"),
        ({"MAILSTEAD_SERVER_DATA_DIR": "/proc"}, (), 69, "/proc"),
        ({"MAILSTEAD_CONFIG": "absent.toml"}, (), 78, "absent.toml cannot be read"),
    ],
)
def test_mistakes_of_an_operator(house, tmp_path, changed, words, code, said):
    assert said in refused(mailstead({**house, **changed}, tmp_path, "serve", *words), code)


@pytest.mark.parametrize("workers", ["-1", "65", "two"])
def test_a_wrong_number_of_workers_on_the_command_line(house, tmp_path, workers):
    done = mailstead(house, tmp_path, "serve", "--workers", workers)
    assert done.returncode == 2
    assert "--workers" in done.stderr


def test_a_damaged_account_is_named_by_check_and_does_not_stop_the_others(house, tmp_path):
    (tmp_path / "a.eml").write_text("Subject: a\n\nHello\n")
    for name in ("alice", "bob"):
        assert mailstead(house, tmp_path, "import", f"{name}@example.test", "a.eml").returncode == 0
    listed = mailstead(house, tmp_path, "account", "list", "--json").stdout
    account_id = re.search(r'"alice@example.test",\s*"account_id": "(\w+)"', listed)[1]
    (store,) = (tmp_path / "data" / "accounts").rglob(f"{account_id}.db")
    octets = bytearray(store.read_bytes())
    for position in range(100, len(octets), 4096):
        octets[position] ^= 0xFF
    store.write_bytes(octets)
    checked = mailstead(house, tmp_path, "check")
    assert (checked.returncode, "Traceback" in checked.stderr) == (1, False), checked.stderr
    assert account_id in checked.stdout
    assert mailstead(house, tmp_path, "export", "bob@example.test", "out").returncode == 0
    refused(mailstead(house, tmp_path, "export", "alice@example.test", "out2"), 69)


class Typist:
    """Someone at a terminal."""

    def __init__(self, environ, folder, *words):
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "mailstead", *words], {**environ, "TERM": "xterm"})
        self.shown = ""
        self._seen = 0

    def wait_for(self, text, limit_s=30):
        """Wait until a text comes after the one that was waited for last."""
        end_s = time.monotonic() + limit_s
        while (found := self.shown.find(text, self._seen)) < 0:
            assert select.select([self._terminal], [], [], max(end_s - time.monotonic(), 0))[0], self.shown
            assert self._read(), self.shown
        self._seen = found + len(text)

    def type(self, line):
        os.write(self._terminal, line.encode() + b"\n")

    def status(self):
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self):
        try:
            octets = os.read(self._terminal, 4096)
        except OSError:  # Linux says EIO when the other side has closed
            return False
        self.shown += octets.decode(errors="replace")
        return bool(octets)


def test_passwords_are_asked_for_twice_and_not_shown(house, tmp_path):
    typist = Typist(house, tmp_path, "account", "add", "carol@example.test")
    typist.wait_for("Password: ")
    typist.type(PASSWORD)
    typist.wait_for("The same again: ")
    typist.type("something else")
    typist.wait_for("do not match")
    typist.wait_for("Password: ")
    typist.type(PASSWORD)
    typist.wait_for("The same again: ")
    typist.type(PASSWORD)
    typist.wait_for("carol@example.test is ready")
    assert typist.status() == 0
    assert PASSWORD not in typist.shown


def test_import_shows_a_bar_on_a_terminal(house, tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
    for number in range(20):
        (tmp_path / "Maildir" / "cur" / f"{number}:2,S").write_text(f"Subject: {number}\n\nHello\n")
    typist = Typist(house, tmp_path, "import", "alice@example.test", "Maildir")
    assert typist.status() == 0, typist.shown
    assert "Importing" in typist.shown
    assert "100%" in typist.shown
    assert "20 messages imported" in typist.shown


def test_a_full_disk_says_so(house, tmp_path):
    huge = str(shutil.disk_usage(tmp_path).total * 2)
    (tmp_path / "a.eml").write_text("Subject: a\n\nHello\n")
    full = {**house, "MAILSTEAD_STORE_DISK_RESERVE_OCTETS": huge}
    said = refused(mailstead(full, tmp_path, "import", "alice@example.test", "a.eml"), 75)
    assert "Make room on the disk" in said


def test_a_state_folder_that_cannot_be_made(environ, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be written" in refused(mailstead(environ, tmp_path, "serve", "--demo", "--state", "file/state"), 78)


def test_a_damaged_note_of_the_demo(environ, tmp_path):
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state" / "demo.json").write_text("{")
    assert "FRESH=1" in refused(mailstead(environ, tmp_path, "serve", "--demo"), 78)


async def test_a_relay_s_container_variables_make_its_domain_at_the_start(tmp_path):
    settings = Settings(server=Server(data_dir=tmp_path), store=Store(master_key=Secret("00" * 32)))
    environ = {"MAIL_DOMAIN": "chat.example", "MAX_MAILBOX_SIZE": "1G"}
    for size in ("1G", "2G"):
        await _adopt_environment(settings, {**environ, "MAX_MAILBOX_SIZE": size})
        async with open_house(settings) as house:
            [domain] = await house.domains.list(ADMINISTRATOR)
        assert (domain.name, domain.terms.is_chatmail) == ("chat.example", True)
        assert domain.terms.account_quota_octets == int(size[0]) * 1024**3
    await _adopt_environment(settings, {"PATH": "/bin"})
