"""One POP3 conversation: commands of the wire in, one use case each, replies out.

There is no lock on the mailbox: several POP3 and IMAP sessions may work on it at once. What a session sees is numbered
at log-in; a message that another session has removed meanwhile is answered with -ERR. Messages are removed at QUIT and
nowhere else, so a connection that breaks removes nothing (attack row 56). Flags are left alone: a download is no sign
that somebody has read.

Spec: RFC 1939.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from secrets import token_urlsafe
from typing import Any, ClassVar, Final

from mailstead.config.settings import Pop3
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import BlobId
from mailstead.model.message import OctetRange
from mailstead.net.line import Line
from mailstead.proto.pop3 import types, write
from mailstead.proto.pop3.connection import Limits, ServerConnection
from mailstead.proto.pop3.types import Code
from mailstead.proto.sasl import (
    MECHANISMS,
    TOKEN_MECHANISMS,
    Challenge,
    Exchange,
    SaslError,
    Tokens,
    decode_initial_response,
    decode_response,
    encode_challenge,
    mechanism,
)
from mailstead.services.pop3.errors import reply_to
from mailstead.services.pop3.maildrop import Maildrop
from mailstead.telemetry import log, metrics
from mailstead.usecases.accounts import Accounts, ScramLookup
from mailstead.usecases.mailboxes import Mailboxes

_log = log.get("pop3")

SERVICE: Final = "pop3"
PIECE_OCTETS: Final = 256 * 1024
"""How much of a message is in memory at once."""
LISTINGS_PER_PIECE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Pop3Service:
    """What all sessions of the service share."""

    mailboxes: Mailboxes
    accounts: Accounts
    settings: Pop3
    hostname: str = "localhost"
    tokens: Tokens | None = None
    """Who knows access tokens; None: none are taken."""

    def session(self, *, is_tls: bool = False) -> Pop3Session:
        """Make the session of a new conversation; `is_tls`: TLS is on already."""
        return Pop3Session(self, is_encrypted=is_tls)


class Pop3Session:
    """One conversation with one client; implements `net.line.Session`."""

    def __init__(self, service: Pop3Service, *, is_encrypted: bool) -> None:
        self._mailboxes = service.mailboxes
        self._accounts = service.accounts
        self._tokens = service.tokens
        self._messages_max = service.settings.messages_max
        self._connection = ServerConnection(
            hostname=service.hostname,
            is_encrypted=is_encrypted,
            limits=Limits(login_limit_s=service.settings.login_limit_s, idle_limit_s=service.settings.idle_limit_s),
            mechanisms=MECHANISMS + (TOKEN_MECHANISMS if service.tokens is not None else ()),
        )
        self._line: Line | None = None
        self._exchange: Exchange[ScramLookup] | None = None
        """The SASL exchange under way."""
        self._actor: Actor | None = None
        self._maildrop: Maildrop | None = None
        self._held = ExitStack()
        """What is given back at the end: the place among the account's sessions, the watch on its password."""
        self._is_inside_lines = False

    # what the driver calls

    @property
    def connection(self) -> ServerConnection:
        """Grammar and state of the conversation."""
        return self._connection

    def started(self, line: Line) -> Awaitable[None] | None:
        """Greet. Spec: RFC 1939 §4."""
        self._line = line
        self._connection.greet()
        return None

    def handle(self, event: Any) -> Awaitable[None] | None:
        """Answer one event; None when it is done already."""
        try:
            return self._answers[type(event)](self, event)
        except MailsteadError as error:
            self._refuse(error)
            return None

    def failed(self, error: Exception) -> None:
        """Answer vaguely and temporarily; inside a multi-line reply there is no way but to close."""
        if self._is_inside_lines and self._line is not None:
            self._line.abort()
        else:
            self._refuse(error)

    def stopping(self) -> None:
        """Say goodbye once no reply is under way; nothing is removed."""
        self._connection.stop()

    def ended(self) -> None:
        """Release what the session holds."""
        self._held.close()
        self._maildrop = None

    # TLS and log-in

    def _stls(self, event: types.Stls) -> None:
        """STLS. Spec: RFC 2595 §4."""
        del event
        assert self._line is not None
        self._connection.accept_stls()
        self._line.start_tls()

    async def _log_in(self, event: types.LogIn) -> None:
        """USER and PASS. Spec: RFC 1939 §7."""
        assert self._line is not None
        try:
            await self._open(await self._accounts.log_in(event.username, event.secret, self._line.peer, SERVICE))
        except MailsteadError as error:
            self._refuse(error)

    def _auth(self, event: types.Auth) -> Awaitable[None] | None:
        """AUTH. Spec: RFC 5034 §4."""
        assert self._line is not None
        try:
            chosen = mechanism(event.mechanism, token_urlsafe(18), takes_tokens=self._tokens is not None)
            initial = None if event.initial_response is None else decode_initial_response(event.initial_response)
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
            return None
        self._exchange = Exchange(chosen, self._accounts, self._line.peer, SERVICE, self._tokens)
        return self._sasl_step(initial)

    def _auth_response(self, event: types.AuthResponse) -> Awaitable[None] | None:
        """The line behind a challenge; ``*`` cancels. Spec: RFC 5034 §4."""
        try:
            response = decode_response(event.line)
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
            return None
        return self._sasl_step(response)

    async def _sasl_step(self, response: bytes | None) -> None:
        """Go one step on with the mechanism. Spec: RFC 5034 §4."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        try:
            answer = await exchange.take(response)
            if isinstance(answer, Challenge):
                self._exchange = exchange
                self._connection.auth_challenge(encode_challenge(answer.octets))
            else:
                await self._open(answer)
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
        except MailsteadError as error:
            self._refuse(error)

    async def _open(self, actor: Actor) -> None:
        """The log-in is right: number the messages and enter TRANSACTION. Spec: RFC 1939 §4.

        Errors: TooManyConnections; of the store.
        """
        with ExitStack() as held:
            held.callback(self._mailboxes.admit(actor))
            held.enter_context(self._accounts.watch_revocations(actor, self._revoked))
            self._maildrop = await Maildrop.open(self._mailboxes.of(actor), self._messages_max)
            self._held = held.pop_all()
        self._actor = actor
        self._connection.logged_in(f"{self._maildrop.message_count} messages ({self._maildrop.size_octets} octets)")

    def _revoked(self) -> None:
        """The password was changed or removed (attack row 64); marked messages stay, as there was no QUIT."""
        assert self._line is not None
        self._connection.revoke()
        self._line.flush()

    # the maildrop

    @property
    def _drop(self) -> Maildrop:
        assert self._maildrop is not None, "the state table lets nobody in before log-in"
        return self._maildrop

    def _stat(self, event: types.Stat) -> None:
        """STAT. Spec: RFC 1939 §5."""
        del event
        self._connection.ok(f"{self._drop.message_count} {self._drop.size_octets}")

    def _list(self, event: types.List) -> Awaitable[None] | None:
        """LIST. Spec: RFC 1939 §5."""
        if event.number is None:
            return self._send_listings(self._drop.scan_listings())
        self._connection.ok(self._drop.scan_listing(event.number))
        return None

    def _uidl(self, event: types.Uidl) -> Awaitable[None] | None:
        """UIDL. Spec: RFC 1939 §7."""
        if event.number is None:
            return self._send_listings(self._drop.unique_id_listings())
        self._connection.ok(self._drop.unique_id_listing(event.number))
        return None

    async def _send_listings(self, listings: Iterator[str]) -> None:
        """Send a listing in pieces, at the pace of the client (attack row 56)."""
        assert self._line is not None
        self._begin_lines(f"{self._drop.message_count} messages ({self._drop.size_octets} octets)")
        while piece := list(islice(listings, LISTINGS_PER_PIECE)):
            self._connection.send_piece(write.lines(piece))
            await self._line.drain()
        self._end_lines(write.END)

    async def _retr(self, event: types.Retr) -> None:
        """RETR. Spec: RFC 1939 §5."""
        try:
            blob_id, size, _ = self._drop.octets_of(event.number)
            await self._send_message(blob_id, size, f"{size} octets", None)
        except MailsteadError as error:
            self._refuse(error)

    async def _top(self, event: types.Top) -> None:
        """TOP: the header and some lines of the body. Spec: RFC 1939 §7; attack row 56 (a huge count costs no more)."""
        try:
            blob_id, size, header_size = self._drop.octets_of(event.number)
            await self._send_message(blob_id, size, "Top of message", (header_size, event.line_count))
        except MailsteadError as error:
            self._refuse(error)

    async def _send_message(self, blob_id: BlobId, size: int, text: str, top: tuple[int, int] | None) -> None:
        """Send a message, or its top (header octets, body lines), piece by piece; the store is not held meanwhile.

        The first piece is read before +OK is said, so that a message that is gone gets its -ERR.
        quirk_utf8_as_stored: a message with 8-bit header fields goes out as it is, also to a client that has not said
        UTF8. RFC 6856 would have -ERR [UTF8]; clients do not react to it, and the mail would stay unread for good.
        """
        assert self._line is not None
        store = self._mailboxes.of(self._present_actor)
        stuffer = write.DotStuffer()
        position = 0
        lines_left = -1 if top is None else top[1]
        stop_at = top[0] if top is not None and lines_left == 0 else size
        has_begun = False
        while position < stop_at or not has_begun:
            end = min(position + PIECE_OCTETS, stop_at)
            (piece,) = await store.read_octets([OctetRange(blob_id, position, end)])
            if not has_begun:
                self._begin_lines(text)
                has_begun = True
            if top is not None and end > top[0]:
                body_start = max(top[0] - position, 0)
                cut, lines_left = _lines_cut(piece, body_start, lines_left)
                piece = piece[:cut]
            self._connection.send_piece(stuffer.stuff(piece))
            await self._line.drain()
            position = end
            if lines_left == 0:
                break
        self._end_lines(stuffer.end())

    def _dele(self, event: types.Dele) -> None:
        """DELE: a mark only. Spec: RFC 1939 §5."""
        self._drop.mark_deleted(event.number)
        self._connection.ok(f"Message {event.number} goes at QUIT")

    def _rset(self, event: types.Rset) -> None:
        """RSET. Spec: RFC 1939 §5."""
        del event
        self._drop.unmark_all()
        self._connection.ok(f"{self._drop.message_count} messages ({self._drop.size_octets} octets)")

    async def _quit(self, event: types.Quit) -> None:
        """QUIT: remove what is marked, in one unit of work, then say so. Spec: RFC 1939 §6."""
        del event
        uids = self._drop.deleted_uids
        try:
            if uids:
                store = self._mailboxes.of(self._present_actor)
                await store.expunge(self._drop.mailbox_id, uids, only_deleted=False)
        except MailsteadError as error:
            self._count(type(error).__name__)
            self._connection.quit("Some deleted messages were not removed", is_error=True)
        else:
            self._connection.quit(f"Goodbye; {len(uids)} removed")

    @property
    def _present_actor(self) -> Actor:
        assert self._actor is not None
        return self._actor

    # replies and refusals

    def _begin_lines(self, text: str) -> None:
        self._connection.begin_lines(text)
        self._is_inside_lines = True

    def _end_lines(self, end: bytes) -> None:
        self._connection.end_lines(end)
        self._is_inside_lines = False

    def _refused(self, event: types.Refused) -> None:
        """Count what the connection has refused by itself."""
        self._count(event.reason)

    def _answered(self, event: types.Answered) -> None:
        """Nothing is left to do."""

    def _refuse(self, error: Exception) -> None:
        """Answer what is pending with the reply to an error."""
        if self._is_inside_lines:
            # A message that ends early would look complete: only a broken connection tells the truth.
            assert self._line is not None
            _log.warning("broke off inside a message", service=SERVICE, error=type(error).__name__)
            self._line.abort()
            return
        if isinstance(error, MailsteadError) and error.log_fields:
            _log.info("refused", **{**error.log_fields, "service": SERVICE, "error": type(error).__name__})
        text, code = reply_to(error)
        self._refuse_with(text, code, type(error).__name__)

    def _refuse_with(self, text: str, code: Code, reason: str) -> None:
        self._exchange = None
        self._count(reason)
        if self._connection.is_pending:
            self._connection.err(text, code)

    def _count(self, reason: str) -> None:
        metrics.refused(SERVICE, "-ERR", reason)

    _answers: ClassVar[dict[type, Callable[[Pop3Session, Any], Awaitable[None] | None]]] = {
        types.Stls: _stls,
        types.LogIn: _log_in,
        types.Auth: _auth,
        types.AuthResponse: _auth_response,
        types.Stat: _stat,
        types.List: _list,
        types.Uidl: _uidl,
        types.Retr: _retr,
        types.Top: _top,
        types.Dele: _dele,
        types.Rset: _rset,
        types.Quit: _quit,
        types.Refused: _refused,
        types.Answered: _answered,
    }


def _lines_cut(piece: bytes, start: int, lines_left: int) -> tuple[int, int]:
    """Give where the wanted lines of a piece end, and how many are wanted after it."""
    count = piece.count(b"\n", start)
    if count < lines_left:
        return len(piece), lines_left - count
    position = start
    for _ in range(lines_left):
        position = piece.index(b"\n", position) + 1
    return position, 0
