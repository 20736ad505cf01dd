"""Rows of the attack table that the server engine alone answers."""

import pytest

from mailstead.proto.connection import NEED_DATA
from mailstead.proto.smtp.server import ServerConnection
from mailstead.proto.smtp.types import DataChunk, EndOfData, Limits, MailFrom, RcptTo, Refused, StartTls, reply

OK = reply(250, "2.0.0", "OK")
TRANSACTION = b"MAIL FROM:<bob@client.example>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
SECOND = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nsmuggled\r\n.\r\n"


def connection(limits=None, **how):
    conn = ServerConnection("mx.test", limits, **how)
    conn.greet()
    conn.receive_data(b"EHLO client.example\r\n")
    conn.next_event()
    conn.data_to_send()
    return conn


def run(conn, data):
    conn.receive_data(data)
    return events_of(conn)


def events_of(conn):
    events = []
    while (event := conn.next_event()) is not NEED_DATA:
        events.append(event)
        if type(event).__name__ == "DataStart":
            conn.start_data()
        elif conn.is_pending:
            conn.reply(OK)
    return events


VARIANTS = [
    b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r.\n", b"\n.\r", b"\r.\r", b"\r\n.\r", b"\r\r\n.\r\n",
    b"\n\n.\r\n", b"\r\n\n.\r\n", b"\r\n.\r\r\n",
]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_attack_001_smuggling_by_line_ends(variant):
    conn = connection()
    events = run(conn, TRANSACTION + b"Subject: x\r\n\r\ntext" + variant + SECOND)
    assert not any(isinstance(event, EndOfData) for event in events)
    assert sum(isinstance(event, MailFrom) for event in events) == 1
    assert Refused(521, "bare-lf-in-data") in events
    output = conn.data_to_send().split(b"\r\n")
    assert output[-2].startswith(b"521 5.5.2 ")
    assert conn.wants_close


def test_attack_001_the_right_terminator_works():
    conn = connection()
    events = run(conn, TRANSACTION + b"text\r\n.\r\n" + SECOND)
    assert sum(isinstance(event, EndOfData) for event in events) == 2


def test_attack_002_bdat_length_decides():
    conn = connection()
    chunk = b"text\r\n.\r\nMAIL FROM:<x@y.test>\n.\nQUIT\r\n"
    transaction = TRANSACTION.replace(b"DATA\r\n", b"BDAT %d LAST\r\n" % len(chunk))
    events = run(conn, transaction + chunk + b"NOOP\r\n")
    assert events[-2:] == [DataChunk(chunk), EndOfData()]
    assert not conn.wants_close
    conn = connection()
    run(conn, b"BDAT 5x LAST\r\nMAIL FROM:<x@y.test>\r\n")
    assert conn.wants_close  # where such a chunk ends is unknown


def test_attack_003_commands_behind_starttls_are_not_heard():
    conn = connection()
    events = run(conn, b"STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n")
    assert events == [Refused(554, "starttls-injection")]
    assert conn.wants_close
    conn = connection()
    assert conn.receive_data(b"STARTTLS\r\n") is None
    assert conn.next_event() == StartTls()
    conn.accept_starttls()
    conn.receive_data(b"EHLO injected\r\n")
    assert conn.drop_input() == len(b"EHLO injected\r\n")  # what the driver asks before TLS begins
    assert conn.next_event() is NEED_DATA


INJECTIONS = [
    b"MAIL FROM:<a@b.test\rRCPT TO:<c@d.test>>",
    b"MAIL FROM:<a\0@b.test>",
    b'MAIL FROM:<"a\rb"@b.test>',
    b"MAIL FROM:<a@b.test> ENVID=x+0D+0ARCPT",
    b"MAIL FROM:<a@b.test> ENVID=x+00",
    b"EHLO a\0b",
    b"EHLO a\rb",
    b"EHLO <script>",
    b'MAIL FROM:<"a\x01b"@b.test>',
]


@pytest.mark.parametrize("line", INJECTIONS)
def test_attack_005_control_characters_in_commands(line):
    conn = connection()
    events = run(conn, line + b"\r\n")
    assert [type(event) for event in events] == [Refused]
    output = conn.data_to_send()
    assert output[:3] == b"501"
    assert output.count(b"\r\n") == 1
    assert b"\0" not in output


def test_attack_005_a_bare_lf_ends_no_command():
    conn = connection()
    events = run(conn, b"MAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\nNOOP\r\n")
    assert not any(isinstance(event, MailFrom | RcptTo) for event in events)
    assert conn.data_to_send().startswith(b"501 5.5.2 ")


def test_attack_005_a_reply_cannot_be_broken_by_its_text():
    conn = connection()
    conn.receive_data(b"MAIL FROM:<>\r\n")
    conn.next_event()
    conn.reply(reply(550, "5.7.1", "bad\r\n250 OK\n"))
    assert conn.data_to_send() == b"550 5.7.1 bad 250 OK \r\n"


def test_attack_007_overlong_commands_and_endless_lines():
    conn = connection()
    for _ in range(3):
        for _ in range(256):
            run(conn, b"x" * 4096)
        assert len(conn._framing) <= 4096
        run(conn, b"\r\n")
        assert conn.data_to_send() == b"500 5.5.2 The line is too long\r\n"
    run(conn, b"x" * 5000)
    assert conn.data_to_send().startswith(b"421 4.7.0 ")
    assert conn.wants_close
    conn = connection()
    run(conn, TRANSACTION)
    octets = 0
    for _ in range(1600):  # a body line of 100 MB, in pieces
        octets += sum(len(event.octets) for event in run(conn, b"x" * 65536))
        assert len(conn._framing) < 10
    assert octets == 1600 * 65536


def test_attack_009_floods_end():
    for flood in (b"NOOP\r\n", b"RSET\r\n", b"VRFY x\r\n", b"EHLO x\r\n"):
        conn = connection()
        run(conn, flood * 1000)
        assert conn.wants_close
        assert conn.data_to_send().split(b"\r\n")[-2].startswith(b"421 4.7.0 ")
    conn = connection()
    run(conn, b"WHAT\r\n" * 1000)
    assert conn.wants_close
    conn = connection(Limits(recipients_max=100))
    events = run(conn, b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b.test>\r\n" * 100_000)
    assert sum(isinstance(event, RcptTo) for event in events) == 100
    assert conn.data_to_send().count(b"452 4.5.3 ") == 1000
    assert conn.wants_close


def test_attack_010_each_phase_has_its_time_limit():
    conn = connection(Limits(command_limit_s=300, data_limit_s=180))
    assert conn.time_limit_s == 300
    run(conn, TRANSACTION + b"slow")
    assert conn.time_limit_s == 180
    conn = connection(Limits(data_limit_s=180))
    run(conn, TRANSACTION.replace(b"DATA", b"BDAT 100"))
    assert conn.time_limit_s == 180
    conn.time_limit_passed()
    assert conn.data_to_send().split(b"\r\n")[-2].startswith(b"421 4.4.2 ")
    assert conn.wants_close


def test_attack_011_early_talkers():
    conn = ServerConnection("mx.test")
    conn.receive_data(b"EHLO early\r\n")
    conn.greet(refuses_early_talkers=True)
    assert conn.data_to_send().startswith(b"554 5.5.1 ")
    assert conn.wants_close
    conn = ServerConnection("mx.test")
    conn.greet(refuses_early_talkers=True)
    assert conn.data_to_send().startswith(b"220 ")
    conn = ServerConnection("mx.test")
    for _ in range(1000):
        conn.receive_data(b"x" * 4096)
    assert len(conn._framing) <= 4096
    conn.greet()
    assert conn.wants_close


def test_attack_020_vrfy_and_expn_tell_nothing():
    conn = connection()
    run(conn, b"VRFY alice@example.test\r\nVRFY nobody@example.test\r\nEXPN list\r\n")
    first, second, third, _ = conn.data_to_send().split(b"\r\n")
    assert first == second
    assert first.startswith(b"252 ")
    assert third.startswith(b"502 ")


def test_attack_021_no_auth_in_clear():
    conn = ServerConnection("mx.test", mechanisms=("PLAIN",), requires_auth=True)
    conn.greet()
    run(conn, b"EHLO x\r\n")
    assert b"AUTH" not in conn.data_to_send()
    run(conn, b"AUTH PLAIN AGEAYg==\r\n")
    assert conn.data_to_send().startswith(b"538 5.7.11 ")
    run(conn, b"MAIL FROM:<>\r\n")
    assert conn.data_to_send().startswith(b"530 5.7.0 ")


def test_attack_022_dsn_parameters_are_bounded():
    conn = connection()
    events = run(
        conn,
        b"MAIL FROM:<a@b.test> ENVID=" + b"x" * 101 + b"\r\nMAIL FROM:<a@b.test>\r\n"
        b"RCPT TO:<c@d.test> ORCPT=rfc822;" + b"x" * 501 + b"\r\n",
    )
    assert [type(event) for event in events] == [Refused, MailFrom, Refused]


def test_attack_023_size_is_refused_when_declared():
    conn = connection(Limits(message_octets_max=1000))
    run(conn, b"MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=9e99\r\nMAIL FROM:<> SIZE=99999999999999999999\r\n")
    assert [line[:9] for line in conn.data_to_send().split(b"\r\n")[:-1]] == [b"552 5.3.4", b"501 5.5.4", b"552 5.3.4"]


def test_attack_023_a_flood_behind_a_refusal_is_cut():
    conn = connection(Limits(message_octets_max=100_000))
    run(conn, TRANSACTION)
    conn.fail_data(reply(552, "5.3.4", "Too large"))
    sent = 0
    while not conn.wants_close:
        run(conn, b"x" * 10_000)
        sent += 10_000
        assert len(conn._framing) < 10
        assert sent <= 210_000
    assert conn.data_to_send().split(b"\r\n")[-2].startswith(b"552 5.3.4 ")


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"POST /x HTTP/1.0", b"CONNECT mx:25 HTTP/1.1", b"PRI * HTTP/2.0"])
def test_attack_026_http_is_closed_at_its_first_verb(line):
    conn = ServerConnection("mx.test")
    conn.greet()
    events = run(conn, line + b"\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n")
    assert events == [Refused(554, "http")]
    assert conn.wants_close
    assert conn.data_to_send().split(b"\r\n")[1] == b"554 5.5.1 This is not a web server"
