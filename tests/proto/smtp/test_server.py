"""The server engine alone: commands in, events and replies out."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError
from mailstead.proto.smtp.server import ServerConnection
from mailstead.proto.smtp.types import (
    Auth,
    AuthResponse,
    DataChunk,
    DataStart,
    EndOfData,
    Hello,
    Limits,
    MailFrom,
    RcptTo,
    Refused,
    Reset,
    StartTls,
    reply,
)

OK = reply(250, "2.0.0", "OK")
NO = reply(550, "5.1.1", "No")
TRANSACTION = b"MAIL FROM:<bob@client.example>\r\nRCPT TO:<alice@example.test>\r\n"


def connection(limits=None, *, hello=True, **how):
    conn = ServerConnection("mx.test", limits, **how)
    conn.greet()
    if hello:
        conn.receive_data(b"EHLO client.example\r\n")
        assert conn.next_event() == Hello("client.example", is_extended=True)
    conn.data_to_send()
    return conn


def run(conn, data, answer=OK):
    """Feed, answer everything alike, give (events, output)."""
    conn.receive_data(data)
    events = []
    while True:
        event = conn.next_event()
        if event is NEED_DATA:
            return events, conn.data_to_send()
        assert event is not PAUSED
        events.append(event)
        if isinstance(event, DataStart) and answer.is_positive:
            conn.start_data()
        elif isinstance(event, StartTls):
            conn.accept_starttls()
        elif conn.is_pending:
            conn.reply(answer)


def codes(output):
    return [int(line[:3]) for line in output.split(b"\r\n")[:-1] if line[3:4] == b" "]


def test_ehlo_lists_what_works():
    conn = connection(Limits(message_octets_max=1000, transactions_max=7, recipients_max=5), hello=False)
    _, output = run(conn, b"EHLO client.example\r\n")
    assert output.split(b"\r\n") == [
        b"250-mx.test greets client.example",
        b"250-PIPELINING",
        b"250-SIZE 1000",
        b"250-8BITMIME",
        b"250-SMTPUTF8",
        b"250-BINARYMIME",
        b"250-CHUNKING",
        b"250-DSN",
        b"250-ENHANCEDSTATUSCODES",
        b"250-LIMITS MAILMAX=7 RCPTMAX=5",
        b"250 STARTTLS",
        b"",
    ]
    assert run(conn, b"HELO client.example\r\n")[1] == b"250 mx.test greets client.example\r\n"


def test_a_whole_transaction_in_one_packet():
    events, output = run(connection(), TRANSACTION + b"DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n")
    assert events == [
        MailFrom(Envelope(Address("bob", "client.example"))),
        RcptTo(Recipient(Address("alice", "example.test"))),
        DataStart(),
        DataChunk(b"Subject: x\r\n\r\n.\r\n"),
        EndOfData(),
    ]
    assert codes(output) == [250, 250, 354, 250, 221]


def test_it_waits_for_each_answer():
    conn = connection()
    conn.receive_data(TRANSACTION + b"DATA\r\n")
    assert isinstance(conn.next_event(), MailFrom)
    assert conn.next_event() is PAUSED
    assert conn.time_limit_s is None
    conn.reply(OK)
    assert isinstance(conn.next_event(), RcptTo)
    assert conn.next_event() is PAUSED
    conn.reply(NO)
    assert conn.next_event() == Refused(554, "out-of-turn")  # DATA without recipients


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        (b"", b"MAIL FROM:<>", 503),
        (b"", b"RCPT TO:<a@b.test>", 503),
        (b"", b"DATA", 503),
        (b"", b"STARTTLS", 503),
        (b"", b"NOOP", 250),
        (b"", b"RSET", 250),
        (b"", b"QUIT", 221),
        (b"", b"HELP", 214),
        (b"", b"VRFY alice", 252),
        (b"", b"EXPN list", 502),
        (b"", b"WHAT", 500),
        (b"", b"", 500),
        (b"", b"EHLO", 501),
        (b"", b"NO\xffOP", 500),
        (b"RSET", b"MAIL FROM:<>", 503),
        (b"EHLO x", b"RCPT TO:<a@b.test>", 503),
        (b"EHLO x", b"DATA", 503),
        (b"EHLO x", b"BDAT 0 LAST", 503),
        (b"EHLO x", b"AUTH PLAIN AAAA", 502),
        (b"EHLO x", b"STARTTLS now", 501),
        (b"EHLO x", b"RSET now", 501),
        (b"EHLO x", b"mail from:<>", 250),
        (b"EHLO x\r\nMAIL FROM:<>", b"MAIL FROM:<>", 503),
        (b"EHLO x\r\nMAIL FROM:<>", b"DATA", 554),
        (b"EHLO x\r\nMAIL FROM:<>", b"BDAT 0 LAST", 554),
        (b"EHLO x\r\nMAIL FROM:<>", b"STARTTLS", 503),
        (b"EHLO x\r\nMAIL FROM:<>\r\nEHLO x", b"MAIL FROM:<>", 250),
        (b"EHLO x\r\nMAIL FROM:<>\r\nRSET", b"RCPT TO:<a@b.test>", 503),
        (b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>", b"DATA now", 501),
        (b"EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b.test>", b"DATA", 503),
    ],
)
def test_order_of_commands(before, command, code):
    conn = connection(hello=False)
    run(conn, before + b"\r\n" if before else b"")
    assert codes(run(conn, command + b"\r\n")[1]) == [code]


def test_refused_data_leaves_no_trace_in_the_next_line():
    conn = connection()
    run(conn, TRANSACTION)
    conn.receive_data(b"DATA\r\nNOOP\r\n")
    assert isinstance(conn.next_event(), DataStart)
    conn.reply(reply(451, "4.3.0", "Not now"))
    assert conn.next_event() is NEED_DATA
    assert codes(conn.data_to_send()) == [451, 250]


def test_fail_data_swallows_the_rest():
    conn = connection()
    run(conn, TRANSACTION + b"DATA\r\n")
    conn.receive_data(b"first\r\nsecond\r\n.\r\nNOOP\r\n")
    assert isinstance(conn.next_event(), DataChunk)
    conn.fail_data(reply(552, "5.3.4", "Too large"))
    assert conn.next_event() == Reset()
    assert conn.next_event() is NEED_DATA
    assert codes(conn.data_to_send()) == [552, 250]


def test_bdat_in_chunks():
    events, output = run(connection(), TRANSACTION + b"BDAT 6\r\na\r\n.\r\nBDAT 0\r\nBDAT 3 LAST\r\n\n\0.NOOP\r\n")
    assert events[2:] == [DataStart(), DataChunk(b"a\r\n.\r\n"), DataChunk(b"\n\0."), EndOfData()]
    assert codes(output) == [250, 250, 250, 250, 250, 250]


def test_refused_bdat_is_read_and_answered_behind_its_octets():
    conn = connection()
    run(conn, TRANSACTION)
    conn.receive_data(b"BDAT 10\r\n12345")
    assert isinstance(conn.next_event(), DataStart)
    conn.reply(reply(451, "4.3.0", "Not now"))
    assert conn.next_event() is NEED_DATA
    assert conn.data_to_send() == b""
    conn.receive_data(b"67890BDAT 4 LAST\r\nNOOP")
    events = [conn.next_event(), conn.next_event()]
    assert events == [Reset(), Refused(503, "out-of-turn")]
    assert conn.next_event() is NEED_DATA
    assert codes(conn.data_to_send()) == [451, 503]


def test_bdat_cannot_be_mixed_with_other_commands():
    conn = connection()
    assert codes(run(conn, TRANSACTION + b"BDAT 1\r\nxDATA\r\nRCPT TO:<a@b.test>\r\nRSET\r\n")[1])[-4:] == [
        250,
        503,
        503,
        250,
    ]


def test_nul_in_data_is_refused_but_not_in_bdat():
    conn = connection()
    events, output = run(conn, TRANSACTION + b"DATA\r\na\0b\r\n.\r\nNOOP\r\n")
    assert Refused(554, "nul") in events
    assert codes(output)[-2:] == [554, 250]


def test_starttls_begins_anew():
    conn = connection()
    events, output = run(conn, b"STARTTLS\r\n")
    assert events == [StartTls()]
    assert output == b"220 2.0.0 Ready to start TLS\r\n"
    assert conn.is_encrypted
    _, output = run(conn, b"MAIL FROM:<>\r\nEHLO x\r\nSTARTTLS\r\n")
    assert codes(output) == [503, 250, 503]
    assert b"STARTTLS" not in output.split(b"503")[1]


def auth_connection(*, is_encrypted=True):
    return connection(is_encrypted=is_encrypted, mechanisms=("SCRAM-SHA-256", "PLAIN"), requires_auth=True)


def test_auth_exchange():
    conn = auth_connection()
    conn.receive_data(b"AUTH plain AGEAYg==\r\n")
    assert conn.next_event() == Auth("PLAIN", b"\0a\0b")
    conn.auth_challenge(b"more")
    conn.receive_data(b"eA==\r\n")
    assert conn.next_event() == AuthResponse(b"x")
    assert "x" not in repr(AuthResponse(b"x")).removeprefix("AuthResponse")
    conn.auth_succeeded()
    assert conn.data_to_send() == b"334 bW9yZQ==\r\n235 2.7.0 Authentication succeeded\r\n"
    assert codes(run(conn, b"AUTH PLAIN\r\nMAIL FROM:<>\r\nAUTH PLAIN\r\n")[1]) == [503, 250, 503]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"AUTH PLAIN =", 250),
        (b"AUTH PLAIN", 250),
        (b"AUTH CRAM-MD5", 504),
        (b"AUTH", 504),
        (b"AUTH PLAIN !", 501),
        (b"AUTH PLAIN AAA", 501),
        (b"AUTH PLAIN " + b"A" * 8000, 250),
        (b"MAIL FROM:<>", 530),
    ],
)
def test_auth_commands(line, code):
    assert codes(run(auth_connection(), line + b"\r\n")[1]) == [code]


@pytest.mark.parametrize(("line", "code"), [(b"*", 501), (b"!", 501), (b"\xff", 501), (b"A" * 20000, 500)])
def test_auth_is_broken_off(line, code):
    conn = auth_connection()
    conn.receive_data(b"AUTH PLAIN\r\n")
    assert conn.next_event() == Auth("PLAIN", None)
    conn.auth_challenge(b"")
    events, output = run(conn, line + b"\r\nNOOP\r\n")
    assert codes(output)[-2:] == [code, 250]
    assert isinstance(events[0], Refused)


def test_time_limits():
    conn = connection(Limits(command_limit_s=5, data_limit_s=3))
    assert conn.time_limit_s == 5
    run(conn, TRANSACTION + b"DATA\r\n")
    assert conn.time_limit_s == 3
    conn.time_limit_passed()
    assert codes(conn.data_to_send()) == [421]
    assert conn.wants_close
    assert conn.next_event() == Refused(421, "time-limit")


def test_transactions_and_recipients_are_limited():
    conn = connection(Limits(transactions_max=1, recipients_max=2))
    _, output = run(conn, TRANSACTION + b"RCPT TO:<b@b.test>\r\nRCPT TO:<c@b.test>\r\nRSET\r\nMAIL FROM:<>\r\n")
    assert codes(output) == [250, 250, 250, 452, 250, 421]
    assert conn.wants_close


def test_stop_waits_for_the_reply_under_way():
    conn = connection()
    conn.receive_data(TRANSACTION)
    conn.next_event()
    conn.stop()
    assert not conn.wants_close
    conn.reply(OK)
    assert codes(conn.data_to_send()) == [250, 421]
    assert conn.wants_close


def test_eof_closes_once_everything_is_answered():
    conn = connection()
    conn.receive_data(b"NOOP\r\nMAIL FROM:<>\r\n")
    conn.receive_eof()
    assert isinstance(conn.next_event(), MailFrom)
    assert not conn.wants_close
    conn.reply(OK)
    assert conn.next_event() is NEED_DATA
    assert conn.wants_close
    assert codes(conn.data_to_send()) == [250, 250]


@pytest.mark.parametrize("call", ["auth_succeeded", "start_data", "accept_starttls", "greet"])
def test_calls_out_of_turn_are_our_bug(call):
    with pytest.raises(LocalProtocolError):
        getattr(connection(), call)()
    with pytest.raises(LocalProtocolError):
        connection().reply(OK)
    with pytest.raises(LocalProtocolError):
        connection().fail_data(NO)


def test_a_refusal_greets_and_closes():
    conn = ServerConnection("mx.test")
    conn.refuse_conversation(reply(421, "4.7.0", "Too many connections"))
    assert conn.data_to_send() == b"421 4.7.0 Too many connections\r\n"
    assert conn.wants_close
