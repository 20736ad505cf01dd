"""Python's own smtplib, imaplib and poplib, and imapclient, against a started server."""

import imaplib
import json
import poplib
import smtplib
import socket
import time

import imapclient
import pytest

from system.server import ALICE, BOB, PASSWORD, tls_context

pytestmark = pytest.mark.full


def send_to_mx(server, to, subject, body="hello\r\n"):
    with smtplib.SMTP("127.0.0.1", server.port["mx"]) as client:
        client.starttls(context=tls_context())
        client.sendmail("stranger@elsewhere.test", [to], f"From: x@elsewhere.test\r\nSubject: {subject}\r\n\r\n{body}")


def imap(server, who=ALICE):
    client = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=tls_context())
    client.login(who, PASSWORD)
    return client


def test_mx_to_imap_and_pop3(server):
    send_to_mx(server, ALICE, "py-one")
    client = imap(server)
    client.select("INBOX")
    _, [found] = client.search(None, "SUBJECT", "py-one")
    assert len(found.split()) == 1
    _, parts = client.fetch(found.split()[0], "(RFC822)")
    assert b"Subject: py-one" in parts[0][1]
    assert b"Return-Path: <stranger@elsewhere.test>" in parts[0][1]
    assert b"Received: from" in parts[0][1]
    client.logout()
    pop = poplib.POP3_SSL("127.0.0.1", server.port["pop3s"], context=tls_context())
    pop.user(ALICE)
    pop.pass_(PASSWORD)
    count, _ = pop.stat()
    assert any(b"Subject: py-one" in pop.retr(n + 1)[1] for n in range(count))
    pop.quit()


def test_pop3_stls_and_delete_only_at_quit(server):
    send_to_mx(server, BOB, "pop-delete")

    def connect():
        pop = poplib.POP3("127.0.0.1", server.port["pop3"])
        pop.stls(context=tls_context())
        pop.user(BOB)
        pop.pass_(PASSWORD)
        return pop

    pop = connect()
    count, _ = pop.stat()
    number = next(n for n in range(1, count + 1) if b"Subject: pop-delete" in pop.top(n, 0)[1])
    pop.dele(number)
    pop.sock.shutdown(socket.SHUT_RDWR)
    pop = connect()
    assert pop.stat()[0] == count
    pop.dele(number)
    pop.quit()
    pop = connect()
    assert pop.stat()[0] == count - 1
    pop.quit()


def test_submission_by_starttls_and_by_tls(server):
    with smtplib.SMTP("127.0.0.1", server.port["submission"]) as client:
        with pytest.raises(smtplib.SMTPException):
            client.login(ALICE, PASSWORD)  # not in clear text
    for kind in ("submission", "submissions"):
        if kind == "submission":
            client = smtplib.SMTP("127.0.0.1", server.port[kind])
            client.starttls(context=tls_context())
        else:
            client = smtplib.SMTP_SSL("127.0.0.1", server.port[kind], context=tls_context())
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: by {kind}\r\n\r\nhello\r\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(BOB, [BOB], "Subject: forged\r\n\r\n")
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail(ALICE, [BOB], f"From: {BOB}\r\nSubject: forged\r\n\r\n")
        assert refused.value.smtp_code in {550, 553}
        friend = f"friend-of-{kind}@elsewhere.test"
        client.sendmail(ALICE, [friend], f"From: {ALICE}\r\n\r\n")
        [waiting] = json.loads(server.run("--json", "queue", "list", "--address", friend))
        assert friend in json.dumps(waiting)
        client.quit()
    client = imap(server, BOB)
    client.select()
    for kind in ("submission", "submissions"):
        assert client.search(None, "HEADER", "Subject", f'"by {kind}"')[1][0]
    client.logout()


def test_unknown_recipient_and_foreign_domain_are_refused_at_rcpt(server):
    with smtplib.SMTP("127.0.0.1", server.port["mx"]) as client:
        client.ehlo()
        client.mail("x@elsewhere.test")
        assert client.rcpt("nobody@example.test")[0] == 550
        assert client.rcpt("victim@elsewhere.test")[0] in {550, 554}
        assert client.rcpt("alice+detail@example.test")[0] == 250


def test_idle_hears_of_new_mail_at_once(server):
    with imapclient.IMAPClient("127.0.0.1", server.port["imaps"], ssl_context=tls_context()) as client:
        client.login(ALICE, PASSWORD)
        before = client.select_folder("INBOX")[b"EXISTS"]
        client.idle()
        send_to_mx(server, ALICE, "idle-one")
        deadline = time.monotonic() + 10
        heard = []
        while time.monotonic() < deadline and (before + 1, b"EXISTS") not in heard:
            heard += client.idle_check(timeout=10)
        client.idle_done()
        assert (before + 1, b"EXISTS") in heard


def test_imapclient_moves_copies_sorts_and_threads(server):
    with imapclient.IMAPClient("127.0.0.1", server.port["imaps"], ssl_context=tls_context()) as client:
        client.login(ALICE, PASSWORD)
        client.create_folder("Work/Deep")
        for number in range(3):
            client.append(
                "Work/Deep",
                f"Subject: s{number}\r\nMessage-ID: <{number}@x>\r\n\r\nbody {number}\r\n".encode(),
                flags=[b"\\Seen", b"$Note"],
            )
        client.select_folder("Work/Deep")
        uids = client.search("ALL")
        assert len(uids) == 3
        assert client.sort("REVERSE SUBJECT") == list(reversed(uids))
        assert len(client.thread()) == 3
        client.add_flags(uids[0], [b"\\Flagged"])
        assert client.search("FLAGGED") == [uids[0]]
        client.move([uids[0]], "Archive")
        client.copy([uids[1]], "Archive")
        assert client.search("ALL") == uids[1:]
        client.delete_messages(uids[1:])
        client.expunge()
        assert client.search("ALL") == []
        assert client.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"] >= 2
        client.rename_folder("Work/Deep", "Work/Deeper")
        assert client.folder_exists("Work/Deeper")
        assert {b"IDLE", b"MOVE", b"UIDPLUS", b"CONDSTORE", b"QRESYNC"} <= set(client.capabilities())
