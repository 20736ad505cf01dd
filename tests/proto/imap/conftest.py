"""Ways to talk to a connection without a socket."""

from collections.abc import Callable

import pytest

from mailstead.proto.connection import NEED_DATA, PAUSED
from mailstead.proto.imap.connection import ImapConnection, ImapLimits
from mailstead.proto.imap.parse import Cursor, parse
from mailstead.proto.imap.types.commands import Authenticate, Idle, Login, Select
from mailstead.proto.imap.types.events import (
    AppendBegin,
    AppendEnd,
    AppendNext,
    Closed,
    IdleDone,
    LiteralChunk,
    Request,
    Result,
    SaslResponse,
)


def command_of(text: str | bytes, *, is_utf8: bool = False):
    """Parse one command without its tag."""
    raw = text.encode() if isinstance(text, str) else text
    words = raw.split(b" ", 2)
    verb = b" ".join(words[:2]).upper() if words[0].upper() == b"UID" else words[0].upper()
    return parse(verb, Cursor(raw, position=len(verb), is_utf8=is_utf8))


def play(connection: ImapConnection, pieces: list[bytes], *, events_max: int = 100_000) -> list[object]:
    """Feed pieces and answer every event with OK; give the events, neighbouring chunks joined."""
    events: list[object] = []
    chunks = bytearray()

    def put(event):
        nonlocal chunks
        if isinstance(event, LiteralChunk):
            chunks += event.data
            return
        if chunks:
            events.append(bytes(chunks))
            chunks = bytearray()
        events.append(event)

    for piece in pieces:
        connection.receive_data(piece)
        while True:
            event = connection.next_event()
            if event is NEED_DATA:
                break
            assert event is not PAUSED, "the player has not answered"
            put(event)
            assert len(events) < events_max
            match event:
                case AppendBegin() | AppendNext():
                    connection.accept_literal()
                case Request(command=Idle()):
                    connection.begin_idle()
                case Request(command=Authenticate()):
                    connection.challenge(b"go on")
                case Request(command=Login()):
                    connection.log_in()
                    connection.finish(Result.OK, "done")
                case Request(command=Select()):
                    connection.select()
                    connection.finish(Result.OK, "done")
                case Request() | AppendEnd() | IdleDone() | SaslResponse():
                    connection.finish(Result.OK, "done")
                case Closed():
                    break
                case _:
                    pass
        if events and isinstance(events[-1], Closed):
            break
    return events


def selected_connection(**limits: int) -> ImapConnection:
    connection = ImapConnection(ImapLimits(**limits), is_encrypted=True)
    connection.log_in()
    connection._has_logged_in = False
    connection.select()
    return connection


@pytest.fixture(name="selected")
def _selected() -> Callable[..., ImapConnection]:
    return selected_connection


@pytest.fixture(name="fresh")
def _fresh() -> Callable[..., ImapConnection]:
    return lambda *, is_encrypted=True, **limits: ImapConnection(ImapLimits(**limits), is_encrypted=is_encrypted)


@pytest.fixture(name="play")
def _play():
    return play


@pytest.fixture(name="command_of")
def _command_of():
    return command_of
