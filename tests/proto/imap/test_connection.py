"""The conversation: states, literals, APPEND, SASL, IDLE, limits; the same events whatever the cut."""

import random
from itertools import pairwise

import pytest

from mailstead.proto.connection import NEED_DATA, PAUSED, LocalProtocolError
from mailstead.proto.imap.connection import ImapConnection, ImapLimits
from mailstead.proto.imap.states import RULES, Needs, State
from mailstead.proto.imap.types.commands import Append, AppendMessage, Idle, Login, Noop, Replace, StartTls
from mailstead.proto.imap.types.events import (
    AppendAborted,
    AppendBegin,
    AppendEnd,
    AppendNext,
    Closed,
    IdleDone,
    LiteralChunk,
    Request,
    Result,
    SaslCancelled,
    SaslResponse,
)

SESSION = (
    b"a1 CAPABILITY\r\n"
    b"a2 LOGIN {5}\r\nalice {3+}\r\nfoo\r\n"
    b"a3 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))\r\n"
    b"a4 garbage here {5+}\r\nxx\r\nx more\r\n"
    b"a5 FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS ({4+}\r\nDate FROM)])\r\n"
    b"a6 APPEND {5+}\r\nSaved (\\Seen) {12+}\r\nab\r\nc{3+}\r\nx ~{4+}\r\na\0b\n\r\n"
    b"a7 IDLE\r\nDONE\r\n"
    b'a8 UID SEARCH OR TEXT {3+}\r\n{4} SUBJECT "a\\"b"\r\n'
    b"a9 UID REPLACE 5 Drafts {3+}\r\nxyz\r\n"
    b"b1 APPEND Saved {3+}\r\na\0b\r\n"
    b"b2 APPEND Saved {3+}\r\nabc)\r\n"
    b"b3 NOOP\nb4 NOOP\r\n"
    b"b5 LOGOUT\r\n"
)


def test_whole_bytewise_and_random_cuts_give_the_same(fresh, play):
    whole_connection = fresh()
    whole = play(whole_connection, [SESSION])
    output = whole_connection.data_to_send()
    kinds = [type(event).__name__ for event in whole]
    assert kinds == [
        "Request", "Request", "Request", "AppendBegin", "bytes", "AppendNext", "bytes", "AppendEnd", "Request", "IdleDone", "Request",
        "AppendBegin", "bytes", "AppendEnd", "AppendBegin", "AppendAborted", "AppendBegin", "bytes", "AppendAborted", "Request", "Closed",
    ]  # fmt: skip
    cuts = [[SESSION[i : i + 1] for i in range(len(SESSION))]]
    chance = random.Random(7)
    for _ in range(100):
        places = [0, *sorted(chance.sample(range(len(SESSION)), chance.randint(1, 30))), len(SESSION)]
        cuts.append([SESSION[a:b] for a, b in pairwise(places)])
    for pieces in cuts:
        connection = fresh()
        events = [event for event in play(connection, pieces) if not (isinstance(event, bytes) and event == b"a")]
        reference = [event for event in whole if not (isinstance(event, bytes) and event == b"a")]
        assert _without_secrets(events) == _without_secrets(reference)
        assert connection.data_to_send() == output


def _without_secrets(events):
    return [
        (event.tag, event.command.user) if isinstance(event, Request) and isinstance(event.command, Login) else event
        for event in events
    ]


def test_dialogue_of_rfc_9051_section_8(fresh):
    """Spec: RFC 9051 §8 (sample connection), the first steps."""
    connection = fresh()
    connection.greet("IMAP4rev2 service ready")
    assert connection.data_to_send().startswith(b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
    connection.receive_data(b"a001 login mrc secret\r\na002 select inbox\r\n")
    login = connection.next_event()
    assert (login.tag, login.command.user, login.command.password.reveal()) == (b"a001", "mrc", "secret")
    assert connection.next_event() is PAUSED, "pipelined commands wait"
    connection.log_in()
    connection.finish(Result.OK, "LOGIN completed")
    assert b"a001 OK [CAPABILITY " in connection.data_to_send()
    assert connection.next_event().command.mailbox == "inbox"
    connection.send(b"* 18 EXISTS\r\n")
    connection.select()
    connection.finish(Result.OK, "SELECT completed", b"READ-WRITE")
    assert connection.data_to_send() == b"* 18 EXISTS\r\na002 OK [READ-WRITE] SELECT completed\r\n"


@pytest.mark.parametrize("state", [State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED])
@pytest.mark.parametrize("verb", sorted(RULES))
def test_state_table_is_kept(verb, state):
    arguments = {
        b"LOGIN": b" a b", b"AUTHENTICATE": b" PLAIN", b"ENABLE": b" X", b"SELECT": b" a", b"EXAMINE": b" a", b"CREATE": b" a", b"DELETE": b" a",
        b"RENAME": b" a b", b"SUBSCRIBE": b" a", b"UNSUBSCRIBE": b" a", b"LIST": b' "" *', b"LSUB": b' "" *', b"STATUS": b" a (SIZE)", b"APPEND": b" a {1}",
        b"COMPRESS": b" DEFLATE", b"GETMETADATA": b" a /private/a", b"SETMETADATA": b" a (/private/a NIL)", b"GETQUOTA": b" a", b"GETQUOTAROOT": b" a",
        b"SETQUOTA": b" a ()", b"NOTIFY": b" NONE", b"ID": b" NIL", b"COPY": b" 1 a", b"MOVE": b" 1 a", b"FETCH": b" 1 FLAGS", b"STORE": b" 1 FLAGS ()",
        b"SEARCH": b" ALL", b"SORT": b" (DATE) UTF-8 ALL", b"THREAD": b" REFERENCES UTF-8 ALL", b"REPLACE": b" 1 a {1}", b"UID EXPUNGE": b" 1",
    }  # fmt: skip
    line = b"t " + verb + arguments.get(verb, arguments.get(verb.removeprefix(b"UID "), b"")) + b"\r\n"
    connection = ImapConnection(ImapLimits(), is_encrypted=RULES[verb].needs is not Needs.CLEAR_TEXT)
    connection.state = state
    connection.receive_data(line)
    event = connection.next_event()
    answer = connection.data_to_send()
    if state not in RULES[verb].states:
        assert event is NEED_DATA
        assert answer.startswith(b"t BAD " + verb)
    elif verb in {b"CAPABILITY", b"LOGOUT"}:
        assert b"t OK " in answer
    else:
        assert isinstance(event, Request | AppendBegin)
        assert not answer


def test_attack_021_no_password_in_clear(fresh):
    connection = fresh(is_encrypted=False)
    connection.greet("hi")
    assert b"LOGINDISABLED" in connection.data_to_send()
    connection.receive_data(b"a LOGIN a b\r\nb AUTHENTICATE PLAIN =\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send().count(b"NO [PRIVACYREQUIRED]") == 2


def test_attack_003_starttls_drops_what_came_before(fresh):
    connection = fresh(is_encrypted=False)
    connection.receive_data(b"a STARTTLS\r\nb LOGIN evil evil\r\n")
    assert connection.next_event() == Request(b"a", StartTls())
    connection.finish(Result.OK, "Begin")
    assert connection.drop_input() == len(b"b LOGIN evil evil\r\n")
    connection.tls_started()
    assert connection.next_event() is NEED_DATA
    assert b"STARTTLS" not in b" ".join(connection.capabilities())
    connection.receive_data(b"c STARTTLS\r\n")
    assert connection.next_event() is NEED_DATA
    assert b"c BAD" in connection.data_to_send()


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.1", b"POST /x HTTP/1.0", b"CONNECT a:443 HTTP/1.1", b"PRI * HTTP/2.0", b"OPTIONS * HTTP/1.1"],
)
def test_attack_026_http_is_closed(fresh, line):
    connection = fresh()
    connection.receive_data(line + b"\r\nHost: x\r\n\r\na LOGIN x y\r\n")
    assert connection.next_event() == Closed()
    assert connection.wants_close
    assert connection.data_to_send().startswith(b"* BYE")
    assert connection.next_event() is NEED_DATA


def test_http_words_are_fine_as_tags(fresh):
    connection = fresh()
    connection.receive_data(b"GET NOOP\r\n")
    assert connection.next_event() == Request(b"GET", Noop())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"a LOGIN {4294967295}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {2147483647+}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {99999999999999999999}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {4097+}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN {8192}\r\n", b"a BAD [TOOBIG]"),
        (b"a LOGIN " + b"x" * 10000 + b"\r\n", b"a BAD [TOOBIG]"),
        (b"a APPEND x {4294967295}\r\n", b"a BAD"),
        (b"".join(b"a%d NOOP {7000}\r\n" % i for i in range(5)), b""),
    ],
)
def test_attack_041_literals_before_login(fresh, text, answer):
    connection = fresh()
    connection.receive_data(text)
    while connection.next_event() not in {NEED_DATA, PAUSED}:
        pass
    output = connection.data_to_send()
    assert output.startswith(answer)
    assert connection._pieces_octets < 8192


def test_attack_041_memory_stays_flat(fresh):
    connection = fresh()
    # a command of many literals ends at the limit of a command
    connection.receive_data(b"a LOGIN ")
    for _ in range(2000):
        connection.receive_data(b"{3+}\r\nabc ")
        assert connection.next_event() is NEED_DATA
        assert len(connection._input) + connection._pieces_octets < 10_000
    assert b"[TOOBIG]" in connection.data_to_send()
    # a line without end is given up, then the connection is
    connection = fresh()
    for _ in range(100):
        connection.receive_data(b"x" * 4096)
        event = connection.next_event()
        assert len(connection._input) <= 8192 + 4096
        if event is not NEED_DATA:
            break
    assert event == Closed()
    assert connection.data_to_send().startswith(b"* BYE [TOOBIG]")


def test_oversized_commands_are_consumed(selected):
    connection = selected(command_octets_max=1000)
    connection.receive_data(b"a SEARCH TEXT {2000+}\r\n" + b"b NOOP\r\n" * 250 + b" SEEN {5+}\r\nabcde\r\nc NOOP\r\n")
    assert connection.next_event() == Request(b"c", Noop())
    assert connection.data_to_send() == b"a BAD [TOOBIG] That command is too long\r\n"
    connection.finish(Result.OK, "x")
    connection.receive_data(b"d SEARCH TEXT " + b"y" * 3000 + b" {4+}\r\n\r\n\r\n\r\ne NOOP\r\n")
    assert connection.next_event() == Request(b"e", Noop())
    assert b"d BAD [TOOBIG]" in connection.data_to_send()


def test_one_bad_per_syntax_error_and_bye_after_many(fresh):
    connection = fresh(errors_max=3)
    connection.receive_data(b"a XYZ\r\nb\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b"a BAD Unknown command\r\n* BAD A command is: tag, space, name\r\n"
    connection.receive_data(b"c FETCH\r\nd NOOP\r\n")
    assert connection.next_event() == Closed()
    assert connection.data_to_send().endswith(b"* BYE Too many bad commands\r\n")


def test_bare_lf_ends_annotation_commands_where_it_is_allowed_and_nothing_else(fresh):
    get, own = b"a GETMETADATA INBOX /private/a\n", b'b setmetadata INBOX (/private/a "x" )\n'
    connection = fresh()
    connection.log_in()
    connection.receive_data(get)
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b"a BAD Lines end with CRLF\r\n"
    connection = fresh()
    connection.log_in(("XCHATMAIL",), takes_bare_lf=True)
    for wire in (get, own):
        connection.receive_data(wire)
        assert isinstance(connection.next_event(), Request)
        connection.finish(Result.OK, "x", b"UIDNOTSTICKY")
    connection.data_to_send()
    for wire in (
        b"c NOOP\n",
        b"c GETMETADATA INBOX {10+}\n",
        b"c GETMETADATA {5+}\r\nINBOX /private/a\n",
        b"c IDLE\n",
    ):
        connection.receive_data(wire)
        assert connection.next_event() is NEED_DATA
        assert connection.data_to_send().startswith(b"c BAD ")
    connection.log_out()
    connection.log_in()
    connection.receive_data(get)
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b"a BAD Lines end with CRLF\r\n"


def test_further_capabilities_are_told_before_and_after_login_apart(fresh):
    connection = fresh()
    connection.offer(("XCHATMAIL",))
    connection.greet("x")
    assert b" XCHATMAIL] x" in connection.data_to_send()
    connection.log_in()
    assert b"XCHATMAIL" not in connection.capabilities()
    connection.log_out()
    connection.log_in(("XDELTAPUSH",))
    assert connection.capabilities()[-1] == b"XDELTAPUSH"
    connection.log_out()
    assert connection.capabilities()[-1] == b"XCHATMAIL"


def test_append_waits_for_the_session_before_the_literal(selected):
    """Attack row 50: quota before literal."""
    connection = selected()
    connection.receive_data(b"a APPEND INBOX (\\Seen) {10}\r\n")
    assert connection.next_event() == AppendBegin(b"a", Append("INBOX"), AppendMessage(10, ("\\Seen",)))
    assert connection.next_event() is PAUSED
    assert connection.data_to_send() == b""
    connection.refuse_literal(Result.NO, "Full", b"OVERQUOTA")
    assert connection.data_to_send() == b"a NO [OVERQUOTA] Full\r\n"
    connection.receive_data(b"b APPEND INBOX {10+}\r\n0123456789\r\nc NOOP\r\n")
    assert isinstance(connection.next_event(), AppendBegin)
    connection.refuse_literal(Result.NO, "Full", b"OVERQUOTA")
    assert connection.next_event() == Request(b"c", Noop())
    assert connection.data_to_send() == b"b NO [OVERQUOTA] Full\r\n"


def test_append_streams_and_multiappend_goes_on(selected):
    connection = selected()
    connection.receive_data(b"a APPEND INBOX {4}\r\n")
    connection.next_event()
    connection.accept_literal()
    assert connection.data_to_send() == b"+ Ready for the message\r\n"
    connection.receive_data(b"ab")
    assert connection.next_event() == LiteralChunk(b"ab")
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"cd (\\Seen) {2}\r\n")
    assert connection.next_event() == LiteralChunk(b"cd")
    assert connection.next_event() == AppendNext(b"a", AppendMessage(2, ("\\Seen",)))
    connection.accept_literal()
    connection.receive_data(b"ef\r\nb NOOP\r\n")
    assert connection.next_event() == LiteralChunk(b"ef")
    assert connection.next_event() == AppendEnd(b"a")
    assert connection.next_event() is PAUSED
    connection.finish(Result.OK, "Done", b"APPENDUID 1 2:3")
    assert connection.next_event() == Request(b"b", Noop())
    assert connection.data_to_send().endswith(b"a OK [APPENDUID 1 2:3] Done\r\n")


def test_append_too_large_or_empty_is_refused_at_once(selected):
    connection = selected(append_octets_max=100)
    connection.receive_data(
        b"a APPEND x {101}\r\nb APPEND x {101+}\r\n" + b"y" * 101 + b"\r\nc APPEND x {0}\r\nd NOOP\r\n"
    )
    assert connection.next_event() == Request(b"d", Noop())
    assert connection.data_to_send() == (
        b"a NO [TOOBIG] The message is too large\r\nb NO [TOOBIG] The message is too large\r\nc NO The message is empty\r\n"
    )
    connection.finish(Result.OK, "x")
    connection.receive_data(b"e APPEND x {201+}\r\n")
    assert connection.next_event() == Closed()


def test_attack_006_nul_in_a_plain_literal_aborts(selected):
    connection = selected()
    connection.receive_data(b"a APPEND x {6+}\r\nab\0cde\r\nb REPLACE 1 x ~{3+}\r\na\0b\r\n")
    connection.next_event()
    connection.accept_literal()
    assert connection.next_event() == AppendAborted(b"a")
    assert connection.next_event() == AppendBegin(b"b", Replace(1, "x"), AppendMessage(3, (), None, False, True))
    connection.accept_literal()
    assert connection.next_event() == LiteralChunk(b"a\0b")
    assert connection.next_event() == AppendEnd(b"b")


def test_refused_second_message_aborts(selected):
    connection = selected(append_octets_max=10)
    connection.receive_data(b"a APPEND x {1+}\r\nz {11+}\r\n01234567890\r\nb NOOP\r\n")
    connection.next_event()
    connection.accept_literal()
    assert connection.next_event() == LiteralChunk(b"z")
    assert connection.next_event() == AppendAborted(b"a")
    assert connection.next_event() == Request(b"b", Noop())
    assert connection.data_to_send() == b"a NO [TOOBIG] The message is too large\r\n"


def test_sasl_exchange(fresh):
    connection = fresh()
    connection.receive_data(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
    connection.next_event()
    connection.challenge(b"")
    assert connection.data_to_send() == b"+ \r\n"
    connection.receive_data(b"bixhLA==\r\n")
    assert connection.next_event() == SaslResponse(b"a", b"n,a,")
    connection.challenge(b"r=1")
    assert connection.data_to_send() == b"+ cj0x\r\n"
    connection.receive_data(b"*\r\nb AUTHENTICATE PLAIN\r\n")
    assert connection.next_event() == SaslCancelled(b"a")
    assert connection.data_to_send().startswith(b"a BAD ")
    connection.next_event()
    connection.challenge(b"")
    connection.receive_data(b"not base64!\r\nc NOOP\r\n")
    assert connection.next_event() == SaslCancelled(b"b")
    assert connection.next_event() == Request(b"c", Noop())


def test_idle(selected):
    connection = selected()
    connection.receive_data(b"a IDLE\r\n")
    assert connection.next_event() == Request(b"a", Idle())
    connection.begin_idle()
    assert connection.is_idling
    connection.send(b"* 4 EXISTS\r\n")
    assert connection.data_to_send() == b"+ idling\r\n* 4 EXISTS\r\n"
    assert connection.time_limit_s == 1800
    connection.receive_data(b"done\r\n")
    assert connection.next_event() == IdleDone(b"a")
    assert not connection.is_idling
    connection.finish(Result.OK, "IDLE terminated")
    assert connection.data_to_send() == b"a OK IDLE terminated\r\n"


def test_idle_ended_by_anything_else_is_bad(selected):
    connection = selected()
    connection.receive_data(b"a IDLE\r\nb NOOP\r\n")
    connection.next_event()
    connection.begin_idle()
    assert connection.next_event() == IdleDone(b"a")
    connection.finish(Result.OK, "IDLE terminated")
    assert connection.data_to_send().endswith(b"a BAD IDLE ends with DONE\r\n")


def test_time_limits(fresh):
    connection = fresh()
    assert connection.time_limit_s == 60
    connection.receive_data(b"a NOOP\r\n")
    connection.next_event()
    assert connection.time_limit_s is None
    connection.log_in()
    connection.finish(Result.OK, "x")
    assert connection.time_limit_s == 1800
    connection.time_limit_passed()
    assert connection.wants_close
    assert connection.next_event() == Closed()


def test_calls_out_of_turn_are_our_bug(fresh):
    connection = fresh()
    for call in (
        lambda: connection.finish(Result.OK, "x"),
        connection.accept_literal,
        connection.begin_idle,
        lambda: connection.challenge(b""),
    ):
        with pytest.raises(LocalProtocolError):
            call()


def test_bye_in_the_middle_of_an_answer(selected):
    connection = selected()
    connection.receive_data(b"a NOOP\r\n")
    connection.next_event()
    connection.refuse("Shutting down")
    connection.finish(Result.OK, "too late")
    connection.send(b"* 1 EXISTS\r\n")
    assert connection.data_to_send() == b"* BYE [UNAVAILABLE] Shutting down\r\n"


def test_enable_and_unauthenticate(selected):
    connection = selected()
    assert connection.enable(("QRESYNC", "X-FOO", "IMAP4REV2")) == ("CONDSTORE", "IMAP4rev2", "QRESYNC")
    assert connection.enable(("CONDSTORE",)) == ()
    assert connection.is_utf8
    connection.log_out()
    assert not connection.enabled
    assert connection.state is State.NOT_AUTHENTICATED


def test_compress_once(selected):
    connection = selected()
    connection.compression_started()
    assert b"COMPRESS=DEFLATE" not in connection.capabilities()
    connection.receive_data(b"a COMPRESS DEFLATE\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send().startswith(b"a NO [COMPRESSIONACTIVE]")


def test_eof_is_told_once(fresh):
    connection = fresh()
    connection.receive_data(b"a NOOP\r\nb NO")
    connection.receive_eof()
    assert connection.next_event() == Request(b"a", Noop())
    connection.finish(Result.OK, "x")
    assert connection.next_event() == Closed()
    assert connection.next_event() is NEED_DATA


def test_without_names_capabilities_not_offered():
    connection = ImapConnection(
        ImapLimits(), is_encrypted=True, without=frozenset({"NOTIFY", "COMPRESS=DEFLATE", "UTF8=ACCEPT"})
    )
    connection.log_in()
    assert not {b"NOTIFY", b"COMPRESS=DEFLATE", b"UTF8=ACCEPT"} & set(connection.capabilities())
    assert connection.enable(("UTF8=ACCEPT",)) == ()


def test_literal_plus_and_minus_are_never_offered_together(fresh):
    connection = fresh()
    assert b"LITERAL-" in connection.capabilities()
    connection.log_in()
    assert b"LITERAL-" not in connection.capabilities()
    assert b"LITERAL+" in connection.capabilities()


def test_before_login_a_synchronising_literal_may_be_larger(fresh):
    connection = fresh()
    connection.receive_data(b"a LOGIN x {5000}\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.data_to_send() == b"+ Ready for the literal\r\n"


def test_errors_count_in_a_row_only(fresh):
    connection = fresh(errors_max=3)
    for _ in range(5):
        connection.receive_data(b"a XYZ\r\nb XYZ\r\nc CAPABILITY\r\n")
        assert connection.next_event() is NEED_DATA
    assert not connection.wants_close


def test_attack_041_count_of_literals_in_one_command(selected):
    connection = selected()
    connection.receive_data(b"a SEARCH" + b" TEXT {0+}\r\n" * 1001 + b"\r\nb NOOP\r\n")
    assert connection.next_event() == Request(b"b", Noop())
    assert connection.data_to_send().startswith(b"a BAD [TOOBIG]")


def test_attack_044_pipelined_commands_wait_unparsed(selected):
    connection = selected()
    connection.receive_data(b"a NOOP\r\n" * 10_000)
    assert connection.next_event() == Request(b"a", Noop())
    assert connection.next_event() is PAUSED
    assert connection.buffered_octets == 9_999 * 8
