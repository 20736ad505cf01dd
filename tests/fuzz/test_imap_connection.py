"""Laws of the IMAP wire: garbage gives events or BAD, nothing else; no cut changes anything."""

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.proto.connection import NEED_DATA, PAUSED
from mailstead.proto.imap.connection import ImapConnection, ImapLimits
from mailstead.proto.imap.parse import ARGUMENTS, Cursor, Refusal, parse
from mailstead.proto.imap.types.commands import Authenticate, Idle
from mailstead.proto.imap.types.events import AppendBegin, AppendNext, Closed, Request, Result, SaslResponse

WORDS = [
    b"a1 ", b"UID ", b"FETCH ", b"SEARCH ", b"STORE ", b"APPEND ", b"REPLACE ", b"LIST ", b"SELECT ", b"NOTIFY SET ", b"IDLE", b"DONE", b"AUTHENTICATE PLAIN",
    b"SORT (DATE) UTF-8 ", b"LOGIN ", b"STATUS ", b"GETMETADATA ", b"ID ", b"INBOX", b"1:*", b"$", b"(", b")", b" ", b" ", b"\r\n", b"\r\n", b"\n", b"\r", b'"', b"\\", b"{3}\r\n",
    b"{5+}\r\n", b"~{2+}\r\n", b"{99999}\r\n", b"{999999999999+}\r\n", b"abc", b"\0", b"\xff", b"OR ", b"NOT ", b"SEEN", b"BODY[", b"]", b"<0.5>", b"RETURN (", b"=",
    b"*", b"%", b"FLAGS", b"\\Seen", b"UTF8 (", b"BODY.PEEK[1.2.HEADER.FIELDS (A)]", b"NIL", b"CHANGEDSINCE 1", b"QRESYNC (1 2 3)", b"a2 NOOP\r\n", b"a3 LOGOUT\r\n",
]  # fmt: skip
garbage = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=40).map(b"".join)


def run(data: bytes, cuts: list[int], *, is_logged_in: bool) -> tuple[list[str], bytes]:
    connection = ImapConnection(
        ImapLimits(command_octets_max=2000, command_octets_before_login_max=500), is_encrypted=True
    )
    if is_logged_in:
        connection.log_in()
        connection._has_logged_in = False
        connection.select()
    told: list[str] = []
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in pairwise(places):
        connection.receive_data(data[start:stop])
        for _ in range(10_000):
            event = connection.next_event()
            if event is NEED_DATA:
                break
            assert event is not PAUSED
            name = type(event).__name__
            if name != "LiteralChunk" or not told or told[-1] != name:
                told.append(name)
            match event:
                case AppendBegin() | AppendNext():
                    connection.accept_literal()
                case Request(command=Idle()):
                    connection.begin_idle()
                case Request(command=Authenticate()):
                    connection.challenge(b"x")
                case Closed():
                    return told, connection.data_to_send()
                case _ if connection.is_answering:
                    connection.finish(Result.OK if not isinstance(event, SaslResponse) else Result.NO, "x")
                case _:
                    pass
        else:
            raise AssertionError("no end")
    return told, connection.data_to_send()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(garbage, st.lists(st.integers(0, 10_000), max_size=10), st.booleans())
def test_law_garbage_gives_events_or_bad_whatever_the_cut(data, cuts, is_logged_in):
    whole = run(data, [], is_logged_in=is_logged_in)
    pieces = run(data, cuts, is_logged_in=is_logged_in)
    # a NUL found early may spare a chunk: that alone may differ
    without_chunks = [[name for name in told if name != "LiteralChunk"] for told, _ in (whole, pieces)]
    assert without_chunks[0] == without_chunks[1]
    assert whole[1] == pieces[1]
    for line in whole[1].split(b"\r\n"):
        assert line == b"" or line[:2] in {b"* ", b"+ "} or b" OK" in line or b" NO" in line or b" BAD" in line


@settings(deadline=None)
@given(st.sampled_from(sorted(ARGUMENTS)), garbage, st.booleans())
def test_law_parsers_give_commands_or_refusals(verb, arguments, is_utf8):
    try:
        parse(verb, Cursor(verb + b" " + arguments, position=len(verb), is_utf8=is_utf8))
    except Refusal as refusal:
        text = refusal.text
    else:
        return
    assert text.isprintable()
