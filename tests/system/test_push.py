"""Devices are woken by a started server: raw IMAP as the relay's own tests speak it, and a notification service of ours."""

import smtplib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from system.server import ALICE, BOB, DOMAIN, PASSWORD, Server, tls_context

pytestmark = pytest.mark.full


class Service:
    """A notification service on loopback that answers as told."""

    def __init__(self):
        self.tokens = []
        self.status = 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                service.tokens.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(service.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service():
    made = Service()
    yield made
    made.close()


@pytest.fixture
def relay(tmp_path, service):
    """A server whose domain is chatmail in what clients are told, and ordinary in what it lets through."""
    settings = {"MAILSTEAD_CHATMAIL_PUSH_URL": service.url, "MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true"}
    server = Server(tmp_path, settings=settings)
    server.prepare(ALICE, BOB)
    server.run("domain", "set", DOMAIN, "is_chatmail=true", "turn_server=turn.example.test:3478")
    server.start()
    yield server
    assert server.stop() == 0, server.log()[-2000:]
    assert server.check() == []
    assert "1111" not in server.log()


class RawImap:
    def __init__(self, server):
        plain = socket.create_connection(("127.0.0.1", server.port["imaps"]), 20)
        self._socket = tls_context().wrap_socket(plain)
        self._file = self._socket.makefile("rb")
        self.greeting = self.line()
        self.send(f'a0 LOGIN {ALICE} "{PASSWORD}"\r\n')
        self.told = self.line()

    def send(self, text):
        self._socket.sendall(text.encode())

    def line(self):
        return self._file.readline().decode().rstrip("\r\n")

    def close(self):
        self._file.close()
        self._socket.close()


def deliver(server, author=BOB):
    with smtplib.SMTP("127.0.0.1", server.port["mx"]) as client:
        client.starttls(context=tls_context())
        client.sendmail("stranger@elsewhere.test", [ALICE], f"From: <{author}>\r\nSubject: [...]\r\n\r\nx\r\n")


def register(server, token):
    imap = RawImap(server)
    imap.send(f'a1 SETMETADATA INBOX (/private/devicetoken "{token}" )\n')
    assert imap.line() == "a1 OK Setmetadata completed"
    imap.close()


def test_the_relays_dialogue(relay):
    register(relay, "1111")
    register(relay, "2222")
    imap = RawImap(relay)
    assert " XCHATMAIL XDELTAPUSH]" in imap.greeting
    assert " XCHATMAIL XDELTAPUSH]" in imap.told
    imap.send("a2 GETMETADATA INBOX /private/devicetoken\n")
    assert [imap.line() for _ in range(3)] == [
        "* METADATA INBOX (/private/devicetoken {9}",
        "1111 2222)",
        "a2 OK Getmetadata completed",
    ]
    imap.send('a3 GETMETADATA "" /shared/vendor/deltachat/turn\n')
    told = imap.line()
    imap.close()
    imap = RawImap(relay)
    # the secret is the same for all sessions
    imap.send('a3 GETMETADATA "" /shared/vendor/deltachat/turn\n')
    assert imap.line()[:60] == told[:60]
    imap.close()
    assert (relay.folder / "data" / "turn.secret").stat().st_mode & 0o777 == 0o600


def test_mail_wakes_the_device_and_what_one_sends_to_oneself_does_not(relay, service, until):
    register(relay, "1111")
    deliver(relay, ALICE)
    deliver(relay)
    until(lambda: service.tokens)
    deliver(relay)
    until(lambda: len(service.tokens) == 2)
    assert service.tokens == ["1111", "1111"]


def test_a_token_that_is_gone_is_asked_no_more(relay, service, until):
    service.status = 410
    register(relay, "1111")
    deliver(relay)
    until(lambda: service.tokens)
    imap = RawImap(relay)

    def told():
        imap.send("a GETMETADATA INBOX /private/devicetoken\n")
        return [imap.line() for _ in range(3)]

    until(lambda: told()[:2] == ["* METADATA INBOX (/private/devicetoken {0}", ")"])
    imap.close()


def test_a_restart_goes_on_with_what_was_not_taken(relay, service, until):
    service.status = 500
    register(relay, "1111")
    deliver(relay)
    until(lambda: service.tokens)
    assert relay.stop() == 0
    service.status = 200
    relay.start()
    until(lambda: len(service.tokens) == 2, limit_s=30)
