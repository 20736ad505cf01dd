"""Row 39 over real ports: certificates are replaced in every manner while 200 connections are open, and none is dropped.

The server sees the files through a bind mount, as in a container, and there through a link, as Kubernetes makes it.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import ssl
import urllib.request

import pytest

from system.certificates import Authority
from system.neighbours import must_be_root
from system.server import ALICE, BOB, MAILSTEAD, PASSWORD, Server, free_ports, tls_context
from system.wire import Wire, deliver, imap, mx, plain

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

IDLING, SUBMITTING, READING, BROWSING = 70, 60, 30, 40
TLS_PORTS = ("imaps", "pop3s", "submissions", "https")
PAGE = b"GET /mail/config-v1.1.xml HTTP/1.1\r\nHost: autoconfig.example.test\r\n\r\n"


class Renewed(Server):
    """A server and the folder that somebody else renews its certificate in."""

    def metric(self, result):
        with urllib.request.urlopen(f"http://{self.settings['MAILSTEAD_SERVER_METRICS_LISTEN']}/metrics") as page:
            text = page.read().decode()
        found = re.search(rf'^mailstead_certificate_reloads_total{{result="{result}"}} (\S+)$', text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def shown(self, name):
        """Give the certificate that a new client sees."""
        wire = Wire(self, name)
        with contextlib.closing(wire):
            return wire.certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(tmp_path_factory, authority):
    must_be_root()
    folder = tmp_path_factory.mktemp("renewed")
    outside, inside = folder / "outside", folder / "inside"
    pair = authority.pair("localhost")
    put(pair, outside / "first")
    put(pair, inside / "live")  # for commands, which see no mount
    (outside / "live").symlink_to("first")
    web, https, metrics = free_ports(3)
    started = Renewed(
        folder,
        {
            "MAILSTEAD_TLS_CERTIFICATE_FILE": str(inside / "live" / "tls.crt"),
            "MAILSTEAD_TLS_KEY_FILE": str(inside / "live" / "tls.key"),
            "MAILSTEAD_TLS_WATCH_S": "0.1",
            "MAILSTEAD_WEB_LISTEN": f"127.0.0.1:{web}",
            "MAILSTEAD_WEB_LISTEN_TLS": f"127.0.0.1:{https}",
            "MAILSTEAD_SERVER_METRICS_LISTEN": f"127.0.0.1:{metrics}",
            "MAILSTEAD_LIMITS_SESSIONS_PER_ACCOUNT_MAX": "500",
        },
    )
    started.prepare(ALICE, BOB)
    started.port |= {"http": web, "https": https}
    started.outside = outside
    bind = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    started.command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        bind,
        "sh",
        outside,
        inside,
        MAILSTEAD,
    ]
    started.start()
    yield started
    assert started.stop() == 0, started.log()[-2000:]
    assert started.check() == []
    assert "Traceback" not in started.log(), started.log()[-3000:]


def put(pair, folder):
    folder.mkdir(parents=True)
    shutil.copy(pair.certificate, folder / "tls.crt")
    shutil.copy(pair.key, folder / "tls.key")


# --- the manners of replacing


def by_rename(pair, outside):
    """As certbot's hooks and most tools do: each file beside, then renamed."""
    for source, name in ((pair.key, "tls.key"), (pair.certificate, "tls.crt")):
        beside = outside / "live" / f".{name}.new"
        shutil.copy(source, beside)
        beside.replace(outside / "live" / name)


def in_place(pair, outside):
    """As `cp` does, and as all must who write to a file that is mounted by itself: the inode stays."""
    for source, name in ((pair.certificate, "tls.crt"), (pair.key, "tls.key")):
        with (outside / "live" / name).open("wb") as file:
            octets = source.read_bytes()
            file.write(octets[:100])
            file.flush()
            file.write(octets[100:])


def by_link(pair, outside):
    """As Kubernetes does: another folder, and a link that is swapped."""
    name = f"folder-{secrets.token_hex(4)}"
    put(pair, outside / name)
    (outside / ".link").symlink_to(name)
    (outside / ".link").replace(outside / "live")


def by_hand(pair, outside):
    """Removed, then put there anew."""
    for name in ("tls.crt", "tls.key"):
        (outside / "live" / name).unlink()
    shutil.copy(pair.key, outside / "live" / "tls.key")
    shutil.copy(pair.certificate, outside / "live" / "tls.crt")


# --- the connections


def page(wire):
    """Ask for a page on a connection that is kept; give its status."""
    wire.send(PAGE)
    status, size = wire.line(), 0
    while line := wire.line():
        if line.lower().startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
    wire.octets(size)
    return status


class Crowd:
    """IMAP idling, submissions in the middle of a message, POP3 with a mailbox open."""

    def __init__(self, server):
        self._server = server
        self.idling = [imap(server, ALICE) for _ in range(IDLING)]
        for wire in self.idling:
            wire.send(b"i IDLE\r\n")
            assert wire.line().startswith(b"+ ")
        self.submitting = [self._begun() for _ in range(SUBMITTING)]
        self.reading = [self._reader() for _ in range(READING)]
        self._line = 0

    def _begun(self):
        wire = Wire(self._server, "submissions")
        wire.reply()
        replies = wire.smtp("EHLO x", plain(ALICE), f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{BOB}>", "DATA")
        assert replies[-1].startswith("354 "), replies
        wire.send(b"From: %s\r\nSubject: long\r\n\r\n" % ALICE.encode())
        return wire

    def _reader(self):
        wire = Wire(self._server, "pop3s")
        wire.line()
        for command in (f"USER {BOB}", f"PASS {PASSWORD}"):
            wire.send(command.encode() + b"\r\n")
            assert wire.line().startswith(b"+OK")
        return wire

    def goes_on(self):
        """Everybody is served: idlers hear of new mail, messages grow, readers are answered."""
        self._line += 1
        incoming = mx(self._server)
        assert deliver(incoming, ALICE, b"From: x@elsewhere.test\r\nSubject: new\r\n\r\nx").startswith("250 ")
        incoming.close()
        for wire in self.idling:
            while not wire.line().endswith(b" EXISTS"):
                pass
        for wire in self.submitting:
            wire.send(b"line %d\r\n" % self._line)
        for wire in self.reading:
            wire.send(b"NOOP\r\n")
            assert wire.line().startswith(b"+OK")

    def ends(self):
        """All come to their ends as if nothing had been; give how many messages were accepted."""
        for wire in self.idling:
            wire.send(b"DONE\r\n")
            assert b" OK " in wire.imap_until(b"i")[-1]
        accepted = 0
        for wire in self.submitting:
            wire.send(b".\r\n")
            accepted += wire.reply().startswith(b"250 ")
        for wire in (*self.idling, *self.submitting, *self.reading):
            wire.close()
        return accepted


def test_attack_039_two_hundred_connections_outlive_every_manner_of_replacement(server, authority, until):
    crowd, taken = Crowd(server), server.metric("taken")
    crowd.goes_on()
    seen = [server.shown("imaps")]
    for manner in (by_rename, in_place, by_link, by_hand):
        browsing = [Wire(server, "https") for _ in range(BROWSING)]
        for wire in browsing:
            assert b" 200 " in page(wire)
        pair = authority.pair("localhost")
        manner(pair, server.outside)
        new = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
        until(lambda new=new: server.shown("imaps") == new)
        assert {server.shown(name) for name in TLS_PORTS} == {new}, manner.__name__
        for wire in browsing:
            assert b" 200 " in page(wire), manner.__name__
            assert wire.certificate == seen[-1], "it was opened before"
            wire.close()
        crowd.goes_on()
        seen.append(new)
    assert crowd.ends() == SUBMITTING
    assert len(set(seen)) == 5
    assert server.metric("taken") == taken + 4
    bob = imap(server, BOB)
    [*_, answer] = bob.imap('SEARCH SUBJECT "long" BODY "line 5"')[:-1]
    assert len(answer.split()) == 2 + SUBMITTING, "every message has all that was sent over all replacements"
    bob.close()


def another_s_key(pair, authority, outside):
    shutil.copy(authority.pair("localhost").key, outside / "live" / "tls.key")


def cut_short(pair, authority, outside):
    (outside / "live" / "tls.crt").write_bytes(pair.certificate.read_bytes()[:300])


def emptied(pair, authority, outside):
    (outside / "live" / "tls.crt").write_bytes(b"")


def link_to_nothing(pair, authority, outside):
    (outside / ".link").symlink_to("nothing")
    (outside / ".link").replace(outside / "live")


def test_attack_039_a_broken_pair_is_refused_with_an_alarm_and_the_old_one_goes_on(server, authority, until):
    """A metric and a line of the log tell it; a good pair after it is taken again."""
    client = imap(server, ALICE)
    for damage in (another_s_key, cut_short, emptied, link_to_nothing):
        old, refused = server.shown("imaps"), server.metric("refused")
        damage(authority.pair("localhost"), authority, server.outside)
        until(lambda refused=refused: server.metric("refused") > refused)
        assert {server.shown(name) for name in TLS_PORTS} == {old}, damage.__name__
        assert b" OK " in client.imap("NOOP")[-1]
        pair = authority.pair("localhost")
        by_link(pair, server.outside)
        new = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
        until(lambda new=new: server.shown("imaps") == new)
    client.close()
    assert server.log().count("new certificate refused, the old one stays") >= 4
    assert "does not belong to the first certificate" in server.log()


def test_attack_039_a_flood_of_names_that_nobody_knows_changes_nothing(server):
    """No certificate is made, ordered or loaded for a name that a stranger asks for: all see the one there is."""
    before = sorted(os.walk(server.folder / "data"))
    certificate = server.shown("imaps")
    for number in range(100):
        name = ("imaps", "https")[number % 2]
        with (
            socket.create_connection(("127.0.0.1", server.port[name]), 30) as connection,
            tls_context().wrap_socket(connection, server_hostname=f"{secrets.token_hex(8)}.stranger.test") as tls,
        ):
            assert tls.getpeercert(binary_form=True) == certificate
    assert sorted(os.walk(server.folder / "data")) == before


@pytest.mark.parametrize("port", ["http", "https"])
@pytest.mark.parametrize(
    "path",
    [
        "../../../outside/live/tls.key",
        "..%2f..%2f..%2fkey.pem",
        "%2e%2e/%2e%2e/key.pem",
        "....//key.pem",
        "..\\..\\key.pem",
        "%252e%252e%252fkey.pem",
        "/etc/passwd",
        "key.pem%00",
        "..",
        "",
    ],
)
def test_attack_039_no_path_leads_out_of_the_challenges(server, port, path):
    wire = Wire(server, "https" if port == "https" else "http")
    with contextlib.closing(wire):
        wire.send(
            f"GET /.well-known/acme-challenge/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b""
        with contextlib.suppress(EOFError):
            while True:
                answer += wire.octets(1)
    status = int(answer.split()[1])
    assert status in {400, 404, 421, 301, 308}, answer
    assert b"PRIVATE KEY" not in answer
    assert b"root:" not in answer
