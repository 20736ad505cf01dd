"""A process for each role on one data folder, as containers of one machine have it: started at once, without an order."""

import imaplib
import json
import poplib
import smtplib
import ssl
import subprocess
import time
from contextlib import suppress

import pytest

from system.server import ALICE, DOMAIN, MAILSTEAD, PASSWORD, Server, free_ports, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]

ROLES = ("web", "mx", "submission", "imap", "pop3", "sieve", "worker")
LIMIT_S = 60


class Roles:
    """The processes, by role."""

    def __init__(self, folder):
        self.web_port = free_ports(1)[0]
        settings = {
            "MAILSTEAD_WEB_LISTEN": f"127.0.0.1:{self.web_port}",
            "MAILSTEAD_IMAP_POLL_S": "600",  # so that only a wake-up wakes
        }
        self.server = Server(folder, settings)
        self._folder = folder
        self._processes = {}

    def start(self, *roles):
        for role in roles:
            with (self._folder / f"{role}.log").open("ab") as log:
                self._processes[role] = subprocess.Popen(
                    [MAILSTEAD, "serve", "--init", role], env=self.server.environment, stdout=log, stderr=log
                )

    def stop(self, *roles):
        """End roles in order; gives their exit codes."""
        for role in roles:
            self._processes[role].terminate()
        return {role: self._processes.pop(role).wait(LIMIT_S) for role in roles}

    def kill_all(self):
        for process in self._processes.values():
            process.kill()
            process.wait()

    def wait_until_well(self, *roles):
        end_s = time.monotonic() + LIMIT_S
        while True:
            asked = ["--json", "health", "--services", ",".join(roles)]
            done = subprocess.run([MAILSTEAD, *asked], env=self.server.environment, capture_output=True, text=True)
            if done.returncode == 0:
                return {each["service"] for each in json.loads(done.stdout)}
            for role, process in self._processes.items():
                assert process.poll() is None, self.log(role)
            assert time.monotonic() < end_s, done.stdout

    def log(self, role):
        return (self._folder / f"{role}.log").read_text()

    def send(self, subject):
        with smtplib.SMTP("127.0.0.1", self.server.port["mx"], timeout=20) as client:
            client.sendmail(
                "me@elsewhere.test", ALICE, f"From: me@elsewhere.test\nTo: {ALICE}\nSubject: {subject}\n\nHi\n"
            )

    def imap(self):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.server.port["imaps"], ssl_context=tls_context(), timeout=30)
        client.login(ALICE, PASSWORD)
        client.select()
        return client


@pytest.fixture
def house(tmp_path):
    made = Roles(tmp_path)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.kill_all()


def test_roles_that_start_at_once_are_one_house(house):
    house.start(*ROLES)
    assert house.wait_until_well(*ROLES) == set(ROLES) - {"worker"}
    # Whoever was first has made stores and key, and nobody has failed over it; the certificate is one, too.
    assert not any('"level": "error"' in house.log(role) or "Traceback" in house.log(role) for role in ROLES)
    house.server.run("domain", "add", DOMAIN)
    house.server.run("account", "add", ALICE, "--password-stdin", stdin=PASSWORD + "\n")

    client = house.imap()
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+")
    house.send("first")
    assert client.readline() == b"* 1 EXISTS\r\n"
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"i OK"):
        pass

    # One role starts anew while the others serve.
    pop3 = poplib.POP3_SSL("127.0.0.1", house.server.port["pop3s"], context=tls_context(), timeout=30)
    pop3.user(ALICE)
    pop3.pass_(PASSWORD)
    assert house.stop("imap") == {"imap": 0}
    house.send("second")
    assert pop3.noop().startswith(b"+OK")
    pop3.quit()
    house.start("imap")
    house.wait_until_well("imap")
    with house.imap() as again:
        assert again.search(None, "ALL")[1] == [b"1 2"]
        again.send(b"i IDLE\r\n")
        assert again.readline().startswith(b"+")
        house.send("third")
        assert again.readline() == b"* 3 EXISTS\r\n"
        again.send(b"DONE\r\n")
        while not again.readline().startswith(b"i OK"):
            pass
    assert house.stop(*ROLES) == dict.fromkeys(ROLES, 0)


def test_all_roles_show_one_certificate(house):
    house.start(*ROLES)
    house.wait_until_well(*ROLES)
    shown = {
        ssl.get_server_certificate(("127.0.0.1", house.server.port[name]), timeout=20)
        for name in ("imaps", "pop3s", "submissions", "sieves")
    }
    assert len(shown) == 1
    assert house.stop(*ROLES) == dict.fromkeys(ROLES, 0)
