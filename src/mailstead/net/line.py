"""What the driver and a session need of each other.

A session is one client's conversation: `services` write it, the driver runs it. The driver takes an event from the
session's connection and gives it to `handle`. A plain event is answered at once, in the same call, without a task
(`handle` gives None); work that waits (log-in, delivery, fetch) gives an awaitable, which the driver runs as the one
task of the conversation while the connection is paused.
"""

from collections.abc import Awaitable
from typing import Any, Protocol

from mailstead.model.envelope import Peer
from mailstead.proto.connection import Connection


class Line(Protocol):
    """The driver, as a session sees it."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end; TLS facts change after `start_tls`."""

    def start_tls(self) -> None:
        """Flush the reply in clear text, then put TLS between socket and connection; input so far is dropped."""

    def start_deflate(self) -> None:
        """Flush the reply, then compress both ways. Spec: RFC 4978."""

    def flush(self) -> None:
        """Send what the connection has gathered, from outside `handle` (a wake-up)."""

    async def drain(self) -> None:
        """Flush, then wait until the peer has taken enough of it (large answers, piece by piece)."""

    def pump(self) -> None:
        """Look for further events, after the session has completed a reply from outside `handle`."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run work from outside `handle` (a wake-up) as a task that ends with the conversation."""

    def close(self) -> None:
        """Flush and close."""

    def abort(self) -> None:
        """Close now; what is not sent is lost."""


class Session(Protocol):
    """One client's conversation, as the driver sees it."""

    @property
    def connection(self) -> Connection[Any]:
        """Grammar and state of the conversation."""

    def started(self, line: Line) -> Awaitable[None] | None:
        """The client is there (implicit TLS done): greet. The session keeps `line`."""

    def handle(self, event: Any) -> Awaitable[None] | None:
        """Answer one event; None when it is done already."""

    def failed(self, error: Exception) -> None:
        """`handle` has raised what no table knows: answer vaguely and temporarily. The driver has logged it."""

    def stopping(self) -> None:
        """The server stops: queue the goodbye (421, BYE) once no reply is under way; the driver then closes."""

    def ended(self) -> None:
        """The conversation is over, whoever ended it; release what the session holds."""
