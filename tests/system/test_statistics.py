"""Figures of a running server: several processes add up, and the last ones are written when they are told to stop."""

import imaplib
import json
import smtplib
from contextlib import suppress

import pytest

from system.server import ALICE, BOB, DOMAIN, PASSWORD, Server, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(180)]


def log_in(server, password):
    with imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=tls_context()) as client:
        client.login(ALICE, password)


def test_what_two_processes_have_counted_is_there_after_their_end(tmp_path):
    server = Server(tmp_path, arguments=["--workers", "2"])
    server.prepare(ALICE, BOB)
    server.start()
    try:
        for _ in range(6):
            log_in(server, PASSWORD)
        with suppress(imaplib.IMAP4.error):
            log_in(server, "pw-never-in-a-log-other")
        with smtplib.SMTP("127.0.0.1", server.port["mx"]) as client:
            client.sendmail("carol@far.test", [BOB], "From: carol@far.test\r\nSubject: x\r\n\r\nHello\r\n")
            client.mail("carol@far.test")
            assert client.rcpt(f"nobody@{DOMAIN}")[0] == 550
    finally:
        server.stop()
    rows = json.loads(server.run("statistics", "--days", "2", "--json"))
    told = {
        name: sum(row[name] for row in rows) for name in ("mail_in", "log_ins", "failed_log_ins", "junk", "mail_out")
    }
    assert told == {"mail_in": 1, "log_ins": 6, "failed_log_ins": 1, "junk": 0, "mail_out": 0}
    assert [row["refused"] for row in rows if row["refused"]] == [{"unknown": 1}]
    assert any(row["queue_length"] == 0 and row["storage_octets"] > 0 for row in rows if row["storage_octets"])
