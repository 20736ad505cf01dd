"""The POP3 wire without a session: grammar, states, limits, attacks."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError
from mailstead.proto.pop3 import parse, states, types
from mailstead.proto.pop3.connection import Limits, ServerConnection
from mailstead.proto.pop3.types import Code


def fed(data, **options):
    connection = ServerConnection(**options)
    connection.receive_data(data)
    return connection


def logged_in(data=b"", **options):
    connection = fed(b"USER a\r\nPASS pw-never-in-a-log b\r\n" + data, is_encrypted=True, **options)
    event = connection.next_event()
    assert isinstance(event, types.LogIn)
    connection.logged_in("0 messages")
    connection.data_to_send()
    return connection


def test_greeting_has_no_apop_timestamp():
    connection = ServerConnection(hostname="mx.example")
    connection.greet()
    assert connection.data_to_send() == b"+OK mx.example Mailstead ready\r\n"


def test_user_and_pass_become_one_event_with_spaces_kept():
    connection = fed(b"user alice@example.test\r\npass pw-never-in-a-log  x \r\n", is_encrypted=True)
    event = connection.next_event()
    assert (event.username, event.secret.reveal()) == ("alice@example.test", "pw-never-in-a-log  x ")
    assert "pw-never" not in repr(event)
    assert connection.next_event() is PAUSED


def test_pass_needs_user_directly_before_it():
    connection = fed(b"PASS x\r\nUSER a\r\nSTAT\r\nPASS x\r\n", is_encrypted=True)
    events = []
    while isinstance(event := connection.next_event(), types.Refused):
        events.append(event.reason)
    assert events == ["state", "state", "state"]


def test_capabilities_follow_the_state():
    plain = fed(b"CAPA\r\n")
    assert plain.next_event() is NEED_DATA
    said = plain.data_to_send().split(b"\r\n")
    assert b"STLS" in said
    assert b"USER" not in said
    assert not any(line.startswith(b"SASL") for line in said)
    assert said[-2:] == [b".", b""]
    encrypted = fed(b"CAPA\r\n", is_encrypted=True)
    encrypted.next_event()
    said = encrypted.data_to_send().split(b"\r\n")
    assert {b"USER", b"SASL SCRAM-SHA-256 PLAIN LOGIN", b"TOP", b"UIDL", b"EXPIRE NEVER", b"LOGIN-DELAY 0"} <= set(said)
    assert {b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING", b"UTF8 USER", b"IMPLEMENTATION Mailstead"} <= set(said)
    assert b"STLS" not in said
    after = logged_in(b"CAPA\r\n")
    after.next_event()
    assert not {b"USER", b"STLS"} & set(after.data_to_send().split(b"\r\n"))


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"STAT", types.Stat()),
        (b"list", types.List(None)),
        (b"LIST 3", types.List(3)),
        (b"UIDL", types.Uidl(None)),
        (b"Uidl 7", types.Uidl(7)),
        (b"RETR 1", types.Retr(1)),
        (b"TOP 1 0", types.Top(1, 0)),
        (b"DELE 2", types.Dele(2)),
        (b"RSET", types.Rset()),
        (b"QUIT", types.Quit()),
    ],
)
def test_commands_after_log_in(line, event):
    connection = logged_in(line + b"\r\n")
    assert connection.next_event() == event
    assert connection.next_event() is PAUSED


@pytest.mark.parametrize(
    "line",
    [b"", b"XYZZY", b"RETR", b"RETR x", b"RETR -1", b"RETR 1 2", b"RETR " + b"9" * 20, b"TOP 1", b"TOP 1 -1", b"TOP 1 2 3",
     b"STAT 1", b"LIST all", b"DELE \x001", b"NOOP x", b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_command_costs_one_err(line):
    connection = logged_in(line + b"\r\nNOOP\r\n")
    assert connection.next_event() == types.Refused("syntax")
    assert connection.next_event() is NEED_DATA
    first, second, rest = connection.data_to_send().split(b"\r\n")
    assert first.startswith(b"-ERR ")
    assert (second, rest) == (b"+OK", b"")


def test_every_command_is_in_the_table_and_states_are_kept():
    lines = {keyword: keyword + b"\r\n" for keyword in parse.KEYWORDS}
    lines |= {b"RETR": b"RETR 1\r\n", b"DELE": b"DELE 1\r\n", b"TOP": b"TOP 1 1\r\n", b"USER": b"USER a\r\n"}
    lines |= {b"PASS": b"PASS a\r\n", b"AUTH": b"AUTH PLAIN\r\n"}
    for keyword, line in lines.items():
        kind = type(parse.parse(line[:-2]))
        assert kind in states.ALLOWED, keyword
        before = fed(line).next_event()
        after = logged_in(line).next_event()
        if types.State.AUTHORIZATION not in states.ALLOWED[kind]:
            assert before == types.Refused("state")
        if types.State.TRANSACTION not in states.ALLOWED[kind]:
            assert after == types.Refused("state")


def test_quit_before_log_in_closes():
    connection = fed(b"QUIT\r\nNOOP\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.wants_close
    assert connection.data_to_send() == b"+OK Goodbye\r\n"


def test_quit_after_log_in_waits_for_the_session():
    connection = logged_in(b"QUIT\r\n")
    assert connection.next_event() == types.Quit()
    assert not connection.wants_close
    connection.quit("Bye")
    assert connection.wants_close


def test_multi_line_reply():
    connection = logged_in(b"LIST\r\n")
    connection.next_event()
    connection.begin_lines("2 messages")
    connection.send_piece(b"1 10\r\n")
    assert connection.next_event() is PAUSED
    connection.end_lines()
    assert connection.data_to_send() == b"+OK 2 messages\r\n1 10\r\n.\r\n"
    with pytest.raises(LocalProtocolError):
        connection.ok("twice")


def test_sasl_exchange():
    connection = fed(b"AUTH login\r\n", is_encrypted=True)
    assert connection.next_event() == types.Auth("LOGIN", None)
    connection.auth_challenge(b"VXNlcm5hbWU6")
    connection.receive_data(b"QUIT\r\n")
    assert connection.next_event() == types.AuthResponse(b"QUIT")
    assert connection.data_to_send() == b"+ VXNlcm5hbWU6\r\n"
    connection.err("no", Code.AUTH)
    assert connection.data_to_send() == b"-ERR [AUTH] no\r\n"


def test_long_initial_response_is_for_auth_only():
    connection = fed(b"AUTH PLAIN " + b"A" * 4000 + b"\r\n", is_encrypted=True)
    assert connection.next_event().initial_response == b"A" * 4000
    assert fed(b"USER " + b"a" * 4000 + b"\r\n", is_encrypted=True).next_event() == types.Refused("too-long")
    assert fed(b"AUTH PLAIN " + b"A" * 4000 + b"\r\n").next_event() == types.Refused("too-long")


def test_time_limits():
    connection = ServerConnection(limits=Limits(login_limit_s=5, idle_limit_s=600))
    assert connection.time_limit_s == 5
    connection = logged_in(b"STAT\r\n")
    assert connection.time_limit_s == 600
    connection.next_event()
    assert connection.time_limit_s is None
    connection.ok("0 0")
    connection.time_limit_passed()
    assert connection.wants_close


def test_stopping_waits_for_the_reply_under_way():
    connection = logged_in(b"STAT\r\nNOOP\r\n")
    connection.next_event()
    connection.stop()
    assert not connection.wants_close
    connection.ok("0 0")
    assert connection.wants_close
    assert connection.data_to_send().splitlines()[1].startswith(b"-ERR [SYS/TEMP]")
    assert connection.next_event() is NEED_DATA


def test_half_a_line_at_the_end_is_no_command():
    connection = logged_in(b"QUIT")
    connection.receive_eof()
    assert connection.next_event() is NEED_DATA
    assert connection.wants_close


def test_attack_003_commands_behind_stls_are_never_run():
    connection = fed(b"STLS\r\nUSER a\r\nPASS b\r\n")
    assert connection.next_event() == types.Refused("stls-injection")
    assert connection.wants_close
    assert connection.next_event() is NEED_DATA


def test_attack_003_what_comes_between_stls_and_handshake_is_dropped():
    connection = fed(b"USER evil\r\nUTF8\r\nSTLS\r\n")
    assert connection.next_event() == types.Refused("clear-text")
    assert connection.next_event() == types.Stls()
    connection.receive_data(b"USER evil\r\n")
    connection.accept_stls()
    assert connection.drop_input() == 0
    connection.receive_data(b"PASS b\r\n")
    assert connection.next_event() == types.Refused("state")


def test_attack_007_overlong_lines_in_bounded_memory():
    connection = ServerConnection()
    refusals = 0
    for _ in range(64):
        connection.receive_data(b"A" * 16384)
        while isinstance(connection.next_event(), types.Refused):
            refusals += 1
        assert len(connection._reader._buffer) < 20000
    assert refusals == 1
    connection.receive_data(b"\r\nCAPA\r\n")
    connection.next_event()
    assert connection.data_to_send().count(b"-ERR") == 1


def test_attack_009_errors_end_the_conversation():
    connection = fed(b"XYZZY\r\n" * 100)
    count = 0
    while isinstance(connection.next_event(), types.Refused):
        count += 1
    assert count == 20
    assert connection.wants_close


@pytest.mark.parametrize(
    "data", [b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER a\r\n", b"GET / HTTP/1.0\r\n", b"\x16\x03\x01\x02\n\r\n"]
)
def test_attack_026_other_protocols_are_closed_at_once(data):
    connection = fed(data + b"CAPA\r\n")
    assert connection.next_event() == types.Refused("other-protocol")
    assert connection.wants_close
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send().count(b"\r\n") == 1


@pytest.mark.parametrize("line", [b"USER a", b"PASS a", b"AUTH PLAIN", b"AUTH PLAIN AGEAYg=="])
def test_attack_021_no_log_in_in_clear_text(line):
    connection = fed(line + b"\r\n")
    assert connection.next_event() == types.Refused("clear-text")
    assert b"STLS" in connection.data_to_send()


def test_attack_056_huge_numbers_are_numbers():
    assert logged_in(b"TOP 1 9999999999999999999\r\n").next_event() == types.Top(1, parse.NUMBER_MAX)


SCRIPT = b"CAPA\r\nXYZZY\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nLIST\r\nNOOP\nRETR 1\r\nTOP 1 2\r\nDELE 1\r\nRSET\r\nUIDL 1\r\nQUIT\r\n"


def played(pieces):
    connection = ServerConnection(is_encrypted=True)
    seen = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) not in (NEED_DATA, PAUSED):
            seen.append(repr(event))
            if isinstance(event, types.LogIn):
                connection.logged_in("in")
            elif isinstance(event, types.Quit):
                connection.quit("bye")
            elif connection.is_pending:
                connection.ok()
    return seen, connection.data_to_send()


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_gives_the_same_events(seed):
    cuts = sorted(random.Random(seed).sample(range(1, len(SCRIPT)), 20))
    pieces = [SCRIPT[a:b] for a, b in zip([0, *cuts], [*cuts, len(SCRIPT)], strict=True)]
    whole = played([SCRIPT])
    assert len(whole[0]) == 10
    assert played(pieces) == whole
    assert played([bytes([octet]) for octet in SCRIPT]) == whole


@given(st.lists(st.binary(max_size=300) | st.sampled_from([b"\r\n", b"USER a\r\n", b"STLS\r\n", b"AUTH PLAIN\r\n"])))
def test_garbage_gives_events_and_nothing_else(pieces):
    connection = ServerConnection(is_encrypted=True)
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) not in (NEED_DATA, PAUSED):
            assert isinstance(event, types.Event)
            if connection.is_pending:
                connection.err("no")
    assert all(line[:1] in b"+-.TURAPELSI" for line in connection.data_to_send().split(b"\r\n"))
