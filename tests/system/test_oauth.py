"""Python's own imaplib and smtplib, and POP3 and ManageSieve by hand, with access tokens of a provider.

The provider is a double with real HTTP and real signatures; the server is a real process.
"""

import asyncio
import base64
import imaplib
import poplib
import smtplib
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime

import pytest

from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import oauthbearer_response, xoauth2_response
from system.server import ALICE, BOB, Server, tls_context
from usecases.provider import AUDIENCE, CLIENT_ID, CLIENT_SECRET, run_provider

pytestmark = pytest.mark.full

LOG_IN_DENIED = 67
"""Spec: curl(1), exit codes."""
RESPONSES = {"OAUTHBEARER": oauthbearer_response, "XOAUTH2": xoauth2_response}
mechanisms = pytest.mark.parametrize("mechanism", RESPONSES)


class SystemTime:
    def now(self):
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def provider():
    """A provider in a thread of its own."""
    ready, stop = threading.Event(), asyncio.Event()
    found = []

    async def serve():
        async with run_provider(SystemTime()) as provider:
            found.extend([provider, asyncio.get_running_loop()])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    found[1].call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture(scope="module")
def house(tmp_path_factory, provider):
    house = Server(
        tmp_path_factory.mktemp("oauth"),
        {
            "MAILSTEAD_OIDC_ISSUER": provider.issuer,
            "MAILSTEAD_OIDC_CLIENT_ID": CLIENT_ID,
            "MAILSTEAD_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "MAILSTEAD_OIDC_AUDIENCES": AUDIENCE,
            "MAILSTEAD_OIDC_ALLOWS_PRIVATE_ADDRESSES": "true",
        },
    )
    house.prepare(ALICE, BOB)
    house.run("account", "link-oidc", ALICE, "alice-1")
    house.start()
    yield house
    code = house.stop()
    assert CLIENT_SECRET not in house.log()
    assert code == 0, house.log()[-2000:]


@pytest.fixture
def response(provider):
    def make(mechanism, subject="alice-1", username=ALICE):
        return RESPONSES[mechanism](username, Secret(provider.access_token(subject)))

    return make


def imap(house):
    return imaplib.IMAP4_SSL("127.0.0.1", house.port["imaps"], ssl_context=tls_context())


@mechanisms
def test_imap(house, response, mechanism):
    with imap(house) as client:
        assert f"AUTH={mechanism}" in client.capabilities
        assert client.authenticate(mechanism, lambda _: response(mechanism))[0] == "OK"
        assert client.select("INBOX")[0] == "OK"


@mechanisms
def test_attack_063_imap_tells_in_json_why_a_token_is_refused(house, response, mechanism):
    told = []

    def answer(challenge):
        told.append(challenge)
        return response(mechanism, "mallory-1") if len(told) == 1 else b"\x01"

    with imap(house) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate(mechanism, answer)
        assert told[0] == b""
        assert b'"status"' in told[1]
        # the conversation goes on, and the right token is good
        assert client.authenticate(mechanism, lambda _: response(mechanism))[0] == "OK"


def test_attack_063_another_persons_token(house, response):
    with imap(house) as client, pytest.raises(imaplib.IMAP4.error):
        client.authenticate("OAUTHBEARER", lambda _: response("OAUTHBEARER", username=BOB))


@mechanisms
@pytest.mark.parametrize("is_initial", [True, False])
def test_submission(house, response, mechanism, is_initial):
    with smtplib.SMTP_SSL("127.0.0.1", house.port["submissions"], context=tls_context()) as client:
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"].split()
        # Python's smtplib turns the response into text
        code, _ = client.auth(
            mechanism, lambda challenge=None: response(mechanism).decode(), initial_response_ok=is_initial
        )
        assert code == 235
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by token\r\n\r\nhello\r\n")


@mechanisms
def test_submission_refuses_in_the_end(house, response, mechanism):
    with smtplib.SMTP_SSL("127.0.0.1", house.port["submissions"], context=tls_context()) as client:
        client.ehlo()
        first = base64.b64encode(response(mechanism, "mallory-1")).decode()
        assert client.docmd("AUTH", f"{mechanism} {first}")[0] == 334
        assert client.docmd(base64.b64encode(b"\x01").decode())[0] == 535


def test_no_tokens_in_clear_text(house):
    with smtplib.SMTP("127.0.0.1", house.port["submission"]) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features


@mechanisms
def test_pop3(house, response, mechanism):
    client = poplib.POP3_SSL("127.0.0.1", house.port["pop3s"], context=tls_context())
    assert mechanism in client.capa()["SASL"]
    first = base64.b64encode(response(mechanism)).decode()
    assert client._shortcmd(f"AUTH {mechanism} {first}").startswith(b"+OK")
    client.quit()


@mechanisms
def test_managesieve(house, response, mechanism):

    with (
        socket.create_connection(("127.0.0.1", house.port["sieves"]), 10) as plain,
        tls_context().wrap_socket(plain) as client,
        client.makefile("rwb") as lines,
    ):
        greeting = read_until_ok(lines)
        assert mechanism in greeting
        first = base64.b64encode(response(mechanism)).decode()
        lines.write(f'AUTHENTICATE "{mechanism}" "{first}"\r\n'.encode())
        lines.flush()
        assert lines.readline().startswith(b"OK")


def read_until_ok(lines):
    read = []
    while not read or not read[-1].startswith(("OK", "NO", "BYE")):
        read.append(lines.readline().decode())
        assert read[-1]
    return "".join(read)


def test_attack_064_unlinking_ends_the_conversation(house, response):
    house.run("account", "link-oidc", BOB, "bob-1")
    with imap(house) as client:
        client.authenticate("OAUTHBEARER", lambda _: response("OAUTHBEARER", "bob-1", BOB))
        client.select("INBOX")
        house.run("account", "unlink-oidc", BOB)
        client.sock.settimeout(20)
        with pytest.raises((imaplib.IMAP4.abort, ssl.SSLError, OSError)):
            while True:
                client.noop()
    with imap(house) as client, pytest.raises(imaplib.IMAP4.error):
        client.authenticate("OAUTHBEARER", lambda _: response("OAUTHBEARER", "bob-1", BOB))


@mechanisms
@pytest.mark.parametrize("scheme", ["imaps", "pop3s", "smtps"])
def test_curl(house, provider, need, mechanism, scheme, tmp_path):
    """Spec: RFC 7628, as curl has it."""
    message = tmp_path / "message"
    message.write_text(f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by curl\r\n\r\nhello\r\n")
    port = house.port["submissions" if scheme == "smtps" else scheme]
    more = ["--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(message)] if scheme == "smtps" else []

    def curl(token):
        options = ["--login-options", f"AUTH={mechanism}", "--oauth2-bearer", token, "--user", ALICE, "--sasl-ir"]
        url = f"{scheme}://127.0.0.1:{port}/"
        done = subprocess.run(
            [need("curl"), "--silent", "--insecure", "--max-time", "30", "--noproxy", "*", url, *options, *more],
            capture_output=True,
            timeout=60,
        )
        return done.returncode

    assert curl(provider.access_token()) == 0
    assert curl(provider.access_token("mallory-1")) == LOG_IN_DENIED


def test_a_server_without_provider_offers_no_tokens(server):
    with imap(server) as client:
        assert not {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"} & set(client.capabilities)
        with pytest.raises(imaplib.IMAP4.error):
            client.authenticate("XOAUTH2", lambda _: xoauth2_response(ALICE, Secret("x")))
