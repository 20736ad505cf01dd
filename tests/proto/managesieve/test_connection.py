"""The ManageSieve wire without a session: grammar, states, limits, attacks."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError
from mailstead.proto.managesieve import parse, states, types, write
from mailstead.proto.managesieve.connection import Limits, Offer, ServerConnection
from mailstead.proto.managesieve.types import Code


def fed(data, **options):
    connection = ServerConnection(**options)
    connection.receive_data(data)
    return connection


def logged_in(data=b"", **options):
    connection = fed(b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\n' + data, is_encrypted=True, **options)
    assert isinstance(connection.next_event(), types.Authenticate)
    connection.logged_in("alice@example.test")
    connection.data_to_send()
    return connection


def said(connection):
    return connection.data_to_send().split(b"\r\n")


def test_the_greeting_is_the_capabilities():
    offer = Offer(("fileinto", "vacation"), ("mailto",), 4)
    connection = ServerConnection(hostname="mx.example", offer=offer)
    connection.greet()
    assert said(connection) == [
        b'"IMPLEMENTATION" "Mailstead"',
        b'"SASL" ""',
        b'"SIEVE" "fileinto vacation"',
        b'"NOTIFY" "mailto"',
        b'"STARTTLS"',
        b'"MAXREDIRECTS" "4"',
        b'"UNAUTHENTICATE"',
        b'"VERSION" "1.0"',
        b'OK "mx.example Mailstead ready"',
        b"",
    ]


def test_capabilities_follow_the_state():
    encrypted = fed(b"CAPABILITY\r\n", is_encrypted=True)
    assert encrypted.next_event() is NEED_DATA
    lines = said(encrypted)
    assert b'"SASL" "SCRAM-SHA-256 PLAIN"' in lines
    assert b'"STARTTLS"' not in lines
    after = logged_in(b"capability\r\n")
    after.next_event()
    assert b'"OWNER" "alice@example.test"' in said(after)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b'HAVESPACE "a" 100', types.HaveSpace("a", 100)),
        (b'havespace "a" 9999999999', types.HaveSpace("a", 2**32 - 1)),
        (b'PUTSCRIPT "a \\"b\\\\" {5+}\r\nkeep;', types.PutScript('a "b\\', b"keep;")),
        (b"PutScript {3+}\r\n\xc3\xbca {0+}\r\n", types.PutScript("üa", b"")),
        (b'PUTSCRIPT "a" "keep;"', types.PutScript("a", b"keep;")),
        (b"LISTSCRIPTS", types.ListScripts()),
        (b'SETACTIVE ""', types.SetActive("")),
        (b"SETACTIVE {1+}\r\na", types.SetActive("a")),
        (b'GETSCRIPT "a"', types.GetScript("a")),
        (b'DELETESCRIPT "../../x"', types.DeleteScript("../../x")),
        (b'RENAMESCRIPT "a" "b"', types.RenameScript("a", "b")),
        (b"CHECKSCRIPT {13+}\r\nkeep;\r\n{3+}\r\n", types.CheckScript(b"keep;\r\n{3+}\r\n")),
        (b"UNAUTHENTICATE", types.Unauthenticate()),
    ],
)  # fmt: skip
def test_commands_after_log_in(line, event):
    connection = logged_in(line + b"\r\n")
    assert connection.next_event() == event
    assert connection.next_event() is PAUSED
    connection.ok()
    assert connection.data_to_send() == b"OK\r\n"
    assert connection.next_event() is NEED_DATA


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"NOSUCH",
        b"LISTSCRIPTS 1",
        b"GETSCRIPT a",
        b"GETSCRIPT",
        b'GETSCRIPT"a"',
        b'GETSCRIPT "a" "b"',
        b'GETSCRIPT "a',
        b'GETSCRIPT "\\a"',
        b'GETSCRIPT "\xff"',
        b'GETSCRIPT "a\0"',
        b"GETSCRIPT 5",
        b'HAVESPACE "a"',
        b'HAVESPACE "a" "b"',
        b'HAVESPACE "a" 1x',
        b'PUTSCRIPT "a"',
        b'PUTSCRIPT "a" 1',
        b'RENAMESCRIPT "a"',
        b"CHECKSCRIPT",
        b'NOOP "a" "b"',
        b'NOOP "a" "b" "c" "d"',
        b"AUTHENTICATE",
    ],
)
def test_mistakes_are_answered_and_the_conversation_goes_on(line):
    connection = logged_in(line + b"\r\nLISTSCRIPTS\r\n")
    assert connection.next_event() == types.Refused("syntax")
    assert connection.data_to_send().startswith(b'NO "')
    assert connection.next_event() == types.ListScripts()


@pytest.mark.parametrize("keyword", sorted(parse.KEYWORDS))
def test_each_command_is_in_the_table_and_refused_where_it_does_not_belong(keyword):
    arguments = {
        b"HAVESPACE": b' "a" 1', b"PUTSCRIPT": b' "a" "b"', b"RENAMESCRIPT": b' "a" "b"', b"AUTHENTICATE": b' "PLAIN"',
        b"SETACTIVE": b' "a"', b"GETSCRIPT": b' "a"', b"DELETESCRIPT": b' "a"', b"CHECKSCRIPT": b' "a"',
    }  # fmt: skip
    line = keyword + arguments.get(keyword, b"")
    kind = type(parse.parse([line]))
    for state, connection in (
        (types.State.NON_AUTHENTICATED, fed(line + b"\r\n", is_encrypted=kind is not types.StartTls)),
        (types.State.AUTHENTICATED, logged_in(line + b"\r\n")),
    ):
        event = connection.next_event()
        assert (event == types.Refused("state")) is (state not in states.ALLOWED[kind]), (state, event)


def test_noop_gives_its_tag_back():
    connection = fed(b'NOOP\r\nNOOP "STARTTLS-SYNC-42"\r\nNOOP {3+}\r\na\r\n\r\n')
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == (
        b'OK "Done"\r\nOK (TAG "STARTTLS-SYNC-42") "Done"\r\nOK (TAG {3}\r\na\r\n) "Done"\r\n'
    )


def test_logout_ends():
    connection = fed(b"LOGOUT\r\nNOOP\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b'OK "Goodbye"\r\n'
    assert connection.wants_close


def test_sasl_strings_may_be_quoted_or_literal_and_stay_out_of_logs():
    connection = fed(b'AUTHENTICATE "PLAIN"\r\n', is_encrypted=True)
    assert connection.next_event() == types.Authenticate("PLAIN", None)
    connection.auth_challenge(b"")
    assert connection.data_to_send() == b'""\r\n'
    connection.receive_data(b"{8+}\r\nAGEAYg==\r\n")
    event = connection.next_event()
    assert event == types.AuthResponse(b"AGEAYg==")
    assert "AGEAYg" not in repr(event)
    connection.auth_challenge(b"eA==")
    connection.receive_data(b'"*"\r\n')
    assert connection.next_event() == types.AuthResponse(b"*")
    connection.no("cancelled")
    connection.receive_data(b"AUTHENTICATE")
    assert connection.next_event() is NEED_DATA


def test_a_sasl_line_that_is_no_string_ends_the_exchange():
    connection = fed(b'AUTHENTICATE "PLAIN"\r\n', is_encrypted=True)
    connection.next_event()
    connection.auth_challenge(b"")
    connection.receive_data(b"LISTSCRIPTS\r\nNOOP\r\n")
    assert connection.next_event() == types.Refused("syntax")
    connection.data_to_send()
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b'OK "Done"\r\n'


def test_unauthenticate_leads_back():
    connection = logged_in(b"UNAUTHENTICATE\r\nLISTSCRIPTS\r\n")
    connection.next_event()
    connection.unauthenticated()
    assert connection.next_event() == types.Refused("state")
    assert connection.time_limit_s == Limits().login_limit_s


def test_replies_must_be_asked_for():
    connection = ServerConnection()
    for reply in (connection.ok, connection.unauthenticated, connection.accept_starttls):
        with pytest.raises(LocalProtocolError):
            reply()
    with pytest.raises(LocalProtocolError):
        connection.send(b"x")


def test_time_limits_by_state():
    connection = ServerConnection(limits=Limits(login_limit_s=5, idle_limit_s=7))
    assert connection.time_limit_s == 5
    assert logged_in(limits=Limits(login_limit_s=5, idle_limit_s=7)).time_limit_s == 7
    pending = logged_in(b"LISTSCRIPTS\r\n")
    pending.next_event()
    assert pending.time_limit_s is None
    connection.time_limit_passed()
    assert connection.data_to_send().startswith(b"BYE (TRYLATER)")
    assert connection.wants_close


def test_the_end_waits_for_the_reply_under_way():
    connection = logged_in(b"LISTSCRIPTS\r\nLISTSCRIPTS\r\n")
    connection.next_event()
    connection.stop()
    assert not connection.wants_close
    connection.ok()
    assert connection.data_to_send().startswith(b"OK\r\nBYE (TRYLATER)")
    assert connection.wants_close
    assert connection.next_event() is NEED_DATA
    revoked = logged_in()
    revoked.revoke()
    assert revoked.wants_close


def test_half_a_command_is_none():
    connection = logged_in(b'PUTSCRIPT "a" {5+}\r\nkee')
    connection.receive_eof()
    assert connection.next_event() is NEED_DATA
    assert connection.wants_close


def test_attack_003_commands_behind_starttls_are_never_run():
    connection = fed(b'STARTTLS\r\nDELETESCRIPT "a"\r\n')
    assert connection.next_event() == types.Refused("starttls-injection")
    assert connection.data_to_send().startswith(b"BYE")
    assert connection.wants_close


def test_attack_003_what_comes_between_starttls_and_handshake_is_dropped():
    connection = fed(b"STARTTLS\r\n", hostname="mx.example")
    assert connection.next_event() == types.StartTls()
    connection.accept_starttls()
    assert connection.data_to_send() == b'OK "Begin TLS negotiation"\r\n'
    connection.receive_data(b"NOOP\r\n")
    assert connection.drop_input() == 6
    lines = said(connection)
    assert lines[0] == b'"IMPLEMENTATION" "Mailstead"'
    assert b'"SASL" "SCRAM-SHA-256 PLAIN"' in lines
    assert lines[-2].startswith(b"OK")
    assert connection.next_event() is NEED_DATA
    assert connection.drop_input() == 0
    assert connection.data_to_send() == b""


def test_attack_009_errors_end_the_conversation():
    connection = fed(b"X\r\n" * 50)
    count = 0
    while connection.next_event() is not NEED_DATA:
        count += 1
    assert count == 20
    assert connection.wants_close
    forgiven = logged_in()
    for _ in range(30):
        forgiven.receive_data(b'GETSCRIPT "a"\r\n')
        forgiven.next_event()
        forgiven.no("no", Code.NONEXISTENT)
        forgiven.receive_data(b"LISTSCRIPTS\r\n")
        forgiven.next_event()
        forgiven.ok()
    assert not forgiven.wants_close


def test_attack_021_no_password_in_clear_text():
    connection = fed(b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\n')
    assert connection.next_event() == types.Refused("clear-text")
    assert connection.data_to_send().startswith(b"NO (ENCRYPT-NEEDED)")


@pytest.mark.parametrize("line", [b"POST /x HTTP/1.1", b"GET / HTTP/1.0", b"\x16\x03\x01\x02\x00"])
def test_attack_026_other_protocols_are_not_listened_to(line):
    connection = fed(line + b'\r\nAUTHENTICATE "PLAIN" "AGEAYg=="\r\n', is_encrypted=True)
    assert connection.next_event() == types.Refused("other-protocol")
    assert connection.wants_close
    assert connection.next_event() is NEED_DATA


@pytest.mark.parametrize(
    "data",
    [
        b"A" * 20_000,
        b'NOOP "' + b"x" * 20_000,
        b"NOOP {1048577+}\r\n",
        b"NOOP {9999999999+}\r\n",
        b"NOOP {5}\r\n",
        b"NOOP {0+}\r\n {0+}\r\n {0+}\r\n {0+}\r\n {0+}\r\n",
    ],
)
def test_attack_041_what_has_no_known_end_ends_the_conversation(data):
    connection = fed(data, is_encrypted=True)
    assert connection.next_event() == types.Refused("unreadable")
    assert connection.data_to_send().startswith(b"BYE")
    assert connection.wants_close


def test_attack_041_nobody_unknown_may_say_much():
    connection = fed(b"NOOP {15000+}\r\n" + b"x" * 15_000 + b"\r\nNOOP\r\n", is_encrypted=True)
    assert connection.next_event() == types.Refused("too-large")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b'NO (QUOTA/MAXSIZE) "That is too large"\r\nOK "Done"\r\n'


def test_attack_057_large_scripts_are_thrown_away_as_they_come():
    connection = logged_in(b'PUTSCRIPT "a" {1000000+}\r\n')
    tracemalloc.start()
    for _ in range(100):
        connection.receive_data(b"x" * 10_000)
        assert connection.next_event() is NEED_DATA
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    connection.receive_data(b"\r\nLISTSCRIPTS\r\n")
    assert connection.next_event() == types.Refused("too-large")
    assert connection.data_to_send().startswith(b"NO (QUOTA/MAXSIZE)")
    assert connection.next_event() == types.ListScripts()
    hundred_megabytes = logged_in(b'PUTSCRIPT "a" {104857600+}\r\n')
    assert hundred_megabytes.next_event() == types.Refused("unreadable")
    assert hundred_megabytes.wants_close


def test_attack_044_the_driver_is_asked_now_and_then():
    connection = fed(b"NOOP\r\n" * 200)
    assert connection.next_event() == types.Answered()


TALK = (
    b'CAPABILITY\r\nNOOP "x"\r\nAUTHENTICATE "PLAIN" {8+}\r\nAGEAYg==\r\nPUTSCRIPT {1+}\r\na {7+}\r\nke\r\np;\n\r\n'
    b'SETACTIVE "a"\r\nGETSCRIPT {2+}\r\n"\\\r\nBAD\r\nLOGOUT\r\n'
)


def played(pieces):
    connection = ServerConnection(is_encrypted=True)
    events, output = [], b""
    for piece in pieces:
        connection.receive_data(piece)
        while not isinstance(event := connection.next_event(), type(NEED_DATA)):
            events.append(event)
            if isinstance(event, types.Authenticate):
                connection.logged_in("a")
            elif not isinstance(event, types.Refused):
                connection.ok()
        output += connection.data_to_send()
    return events, output


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_gives_the_same(seed):
    chance = random.Random(seed)
    pieces, start = [], 0
    while start < len(TALK):
        stop = start + chance.randint(1, 1 if seed == 0 else 25)
        pieces.append(TALK[start:stop])
        start = stop
    assert played(pieces) == played([TALK])
    assert len(played([TALK])[0]) == 5


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b" {3+}\r\nabc", b'"', b"NOOP ", b"PUTSCRIPT "])))
def test_garbage_gives_events_and_nothing_else(pieces):
    connection = logged_in()
    for piece in pieces:
        connection.receive_data(piece)
        for _ in range(200):
            event = connection.next_event()
            if event is NEED_DATA:
                break
            if not isinstance(event, types.Refused | types.Answered):
                connection.no("no")


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=2))
def test_what_is_written_reads_back_equal(strings):
    """Our strings are the client's too, but for the plus of a literal."""
    line, pieces = b"X", []
    for each in strings:
        written = write.string(each)
        if written.startswith(b"{"):
            pieces += [line + b" {%d+}" % len(each), each]
            line = b""
        else:
            line += b" " + written
    assert parse._arguments([*pieces, line], 1) == strings


def test_a_reply_cannot_be_broken_by_its_text():
    assert write.no('line 1: "x" \\ y') == b'NO "line 1: \\"x\\" \\\\ y"\r\n'
    assert write.no("line 1\r\nOK") == b"NO {10}\r\nline 1\r\nOK\r\n"
    assert write.bye("x", Code.TRYLATER) == b'BYE (TRYLATER) "x"\r\n'
    assert write.script_list([('a"b', False), ("c", True)]) == b'"a\\"b"\r\n"c" ACTIVE\r\n'
    assert write.script(b"keep;\r\n") == b"{7}\r\nkeep;\r\n\r\n"
