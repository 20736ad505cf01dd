"""`mailstead health` against a real server and against what only looks like one; `serve --init` on an empty place."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from mailstead.cli.answers import Port, ask, ports_of
from mailstead.config.load import load
from mailstead.model.errors import BadSettings
from system.server import Server, free_ports


def settings_of(**variables):
    return load(None, {f"MAILSTEAD_{name}": value for name, value in variables.items()}).settings


@contextmanager
def talker(octets):
    """Say something to one client, then close."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk():
            with listening.accept()[0] as connection, suppress(OSError):  # a client may have had enough
                connection.sendall(octets)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(100)  # until the client has read, or a reset would take the octets away

        thread = threading.Thread(target=talk)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    ("service", "octets", "is_well", "found"),
    [
        ("mx", b"220 here\r\n", True, "220 here"),
        ("mx", b"421 4.7.0 Too many connections\r\n", False, "421 4.7.0 Too many connections"),
        ("imap", b"* OK here\r\n", True, "* OK here"),
        ("imap", b"* BYE full\r\n", False, "* BYE full"),
        ("pop3", b"+OK\r\n", True, "+OK"),
        ("sieve", b'"IMPLEMENTATION" "x"\r\n', True, '"IMPLEMENTATION" "x"'),
        ("web", b"HTTP/1.1 404 Not Found\r\n\r\n", True, "HTTP/1.1 404 Not Found"),
        ("web", b"HTTP/1.1 503 Busy\r\n\r\n", False, "HTTP/1.1 503 Busy"),
        ("web", b"HTTP/1.1 \r\n", False, "HTTP/1.1"),
        ("imap", b"", False, "closed without a word"),
        ("imap", b"\xff" * 5000, False, None),
    ],
)
def test_the_greeting_is_judged(service, octets, is_well, found):
    with talker(octets) as port:
        answer = ask(Port(service, "", "127.0.0.1", port, is_tls=False))
    assert answer.is_well == is_well
    assert found is None or answer.found == found


def test_nothing_there_silence_and_no_tls_are_answers():
    (free,) = free_ports(1)
    assert ask(Port("imap", "", "127.0.0.1", free, is_tls=False)).found == "Connection refused"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = ask(Port("imap", "", "127.0.0.1", silent.getsockname()[1], is_tls=False), limit_s=0.05)
        assert (answer.is_well, answer.found) == (False, "no answer in time")
    with talker(b"* OK no TLS here\r\n") as port:
        answer = ask(Port("imap", "", "127.0.0.1", port, is_tls=True))
    assert (answer.is_well, answer.found[:6]) == (False, "no TLS")


def test_which_ports_are_asked():
    settings = settings_of(
        SERVER_SERVICES="imap,submission,web,queue",
        IMAP_LISTEN=":143,0.0.0.0:1143,127.0.0.2:2143,[::]:3143,[::1]:4143,127.0.0.1:0",
        POP3_LISTEN=":110",  # not chosen
        WEB_LISTEN_SHARED=":443",
    )
    found = [(each.service, each.host, each.number, each.is_tls, each.alpn) for each in ports_of(settings)]
    assert found == [
        ("imap", "127.0.0.1", 143, False, ""),
        ("imap", "127.0.0.1", 1143, False, ""),
        ("imap", "127.0.0.2", 2143, False, ""),
        ("imap", "::1", 3143, False, ""),
        ("imap", "::1", 4143, False, ""),
        ("web", "127.0.0.1", 443, True, "http/1.1"),
        ("imap", "127.0.0.1", 443, True, "imap"),
        ("submission", "127.0.0.1", 443, True, "smtp"),
    ]
    (only,) = ports_of(settings_of(SERVER_IP_VERSION="6", IMAP_LISTEN=":143"))
    assert only.host == "::1"
    assert ports_of(settings_of(SERVER_SERVICES="queue", IMAP_LISTEN=":143")) == ()
    with pytest.raises(BadSettings, match="no port"):
        ports_of(settings_of(IMAP_LISTEN="nowhere"))


def test_where_a_proxy_header_is_demanded_of_us_one_is_sent():
    settings = settings_of(LIMITS_PROXY_FROM="127.0.0.0/8", IMAP_LISTEN=":143,10.0.0.1:143", WEB_LISTEN=":80")
    assert [(each.service, each.host, each.is_behind_proxy) for each in ports_of(settings)] == [
        ("imap", "127.0.0.1", True),
        ("imap", "10.0.0.1", False),
        ("web", "127.0.0.1", False),
    ]


def mailstead(server, *words):
    return subprocess.run(
        [sys.executable, "-m", "mailstead", *words], env=server.environment, text=True, capture_output=True, timeout=60
    )


@pytest.mark.parametrize("is_behind_proxy", [False, True])
def test_a_server_that_made_its_own_house_is_well(tmp_path, is_behind_proxy):
    web = free_ports(1)[0]
    settings = {"MAILSTEAD_WEB_LISTEN_TLS": f"127.0.0.1:{web}"}
    if is_behind_proxy:
        settings["MAILSTEAD_LIMITS_PROXY_FROM"] = "127.0.0.1"
    server = Server(tmp_path, settings, ["--init"])
    down = mailstead(server, "health", "--services", "imap")
    assert (down.returncode, "Connection refused" in down.stdout) == (1, True), down.stderr
    server.start()
    try:
        asked = mailstead(server, "--json", "health")
        answers = json.loads(asked.stdout)
        assert {each["address"] for each in answers} == {f"127.0.0.1:{port}" for port in (*server.port.values(), web)}
        assert [each for each in answers if not each["is_well"]] == []
        assert asked.returncode == 0
        assert "a new house" in server.log()
        assert str(tmp_path / "data.master.key") in server.log()
    finally:
        assert server.stop() == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_the_house_is_new_only_once(tmp_path):
    server = Server(tmp_path, arguments=["--init"])
    for _ in range(2):
        server.start()
        assert server.stop() == 0
    assert server.log().count("a new house") == 1


def test_a_place_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    environ = {**os.environ, "MAILSTEAD_SERVER_DATA_DIR": str(tmp_path / "file" / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "mailstead", "serve", "--init"], env=environ, text=True, capture_output=True, timeout=60
    )
    assert (done.returncode, "cannot be made" in done.stderr) == (78, True), done.stderr
