"""The shape that every wire shares: one conversation's grammar and state.

Theory of operation: the driver (`net.driver`) feeds bytes with `receive_data` and takes events with `next_event`. After
a command the connection answers `PAUSED` until the session has completed the reply (each wire says which call completes
it), which makes pipelining safe by construction: later commands wait, unparsed, in the connection's buffer, which is
the only input buffer there is. Output gathers in the connection and leaves through `data_to_send`. The connection never
sees a socket, so it never sees time: the driver asks which limit applies now and tells it when that limit has passed.
"""

from enum import Enum
from typing import Final, Protocol, TypeVar

EventT_co = TypeVar("EventT_co", covariant=True)


class Pause(Enum):
    """Why there is no event now."""

    NEED_DATA = "need data"
    """Everything received has been understood; feed more."""
    PAUSED = "paused"
    """A command is being answered; ask again after the reply."""


NEED_DATA: Final = Pause.NEED_DATA
PAUSED: Final = Pause.PAUSED


class Connection(Protocol[EventT_co]):
    """What the driver needs of a wire."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer, in any cut."""

    def receive_eof(self) -> None:
        """The peer will send nothing more; the next event may say so."""

    def next_event(self) -> EventT_co | Pause:
        """Give the next event, or why there is none.

        Errors: RemoteProtocolError only where the wire cannot go on; a mere syntax error is answered by the
        connection itself and never seen outside.
        """

    def data_to_send(self) -> bytes:
        """Take all output gathered so far; the empty bytes when there is none."""

    @property
    def time_limit_s(self) -> float | None:
        """How long the peer may be silent in the present state; None: no limit (the server is the one working)."""

    def time_limit_passed(self) -> None:
        """The limit has passed: queue the goodbye and be closed."""

    @property
    def wants_close(self) -> bool:
        """Whether the driver shall close once the output is flushed."""

    def drop_input(self) -> int:
        """Forget received, unparsed bytes (STARTTLS: RFC 3207 §4.2, attack row 3) and say how many there were."""


class ProtocolError(Exception):
    """A conversation went wrong."""


class LocalProtocolError(ProtocolError):
    """Our own code called the connection out of turn: a bug."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; `reply_hint` is the wire's own reply line for it, without CRLF."""

    def __init__(self, text: str, reply_hint: bytes = b"") -> None:
        super().__init__(text)
        self.reply_hint = reply_hint
