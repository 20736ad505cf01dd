"""One SMTP conversation: events of the wire in, one use case each, replies out.

The core is `SmtpSession`; what differs between mx and submission is a small `Policy`: how a transaction begins and who
may begin one. The fast path (a known recipient, octets of a message) is answered in the call itself, without a task.

Spec: RFC 5321 §4.3; RFC 6409; RFC 4954.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from secrets import token_urlsafe
from typing import Any, ClassVar, Final, Protocol

from mailstead.model.envelope import Actor, Envelope, Peer
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.net.line import Line
from mailstead.proto.sasl import Challenge, Exchange, SaslError, Tokens, mechanism
from mailstead.proto.smtp.server import ServerConnection
from mailstead.proto.smtp.types import (
    Auth,
    AuthResponse,
    DataChunk,
    DataStart,
    EndOfData,
    Hello,
    MailFrom,
    RcptTo,
    Refused,
    Reply,
    Reset,
    StartTls,
    reply,
)
from mailstead.services.smtp.errors import reason_of, reply_to
from mailstead.telemetry import log, metrics
from mailstead.usecases.accounts import Accounts, ScramLookup
from mailstead.usecases.receptions import Reception, Receptions
from mailstead.usecases.submissions import Submissions

_log = log.get("smtp")

_delivered: Final = cache(metrics.DELIVERED.labels)
"""The counter of a service; looking it up among its labels costs more than counting."""

_SENDER_OK: Final = reply(250, "2.1.0", "Sender OK")
_RECIPIENT_OK: Final = reply(250, "2.1.5", "Recipient OK")


class Policy(Protocol):
    """What makes a conversation one of mx or of submission."""

    @property
    def service(self) -> str:
        """The name in metrics and log."""

    def begin(self, session: SmtpSession, envelope: Envelope) -> Reception | Awaitable[Reception]:
        """Begin a transaction. Errors, when awaited: see `Receptions.check_tls` and `Submissions.begin`."""


@dataclass(frozen=True, slots=True)
class MxPolicy:
    """Mail from others: anybody may bring it, for our own recipients only (attack row 12)."""

    receptions: Receptions
    service: str = "mx"

    def begin(self, session: SmtpSession, envelope: Envelope) -> Reception | Awaitable[Reception]:
        """Begin a reception. Spec: RFC 5321 §3.3; RFC 3207 §4 (530)."""
        check = self.receptions.check_tls(session.peer)
        return self._begin(session, envelope) if check is None else self._begin_checked(check, session, envelope)

    async def _begin_checked(self, check: Awaitable[None], session: SmtpSession, envelope: Envelope) -> Reception:
        await check
        return self._begin(session, envelope)

    def _begin(self, session: SmtpSession, envelope: Envelope) -> Reception:
        return self.receptions.begin(session.peer, session.helo, envelope, is_extended=session.is_extended)


@dataclass(frozen=True, slots=True)
class SubmissionPolicy:
    """Mail from our own, logged in and under TLS."""

    submissions: Submissions
    service: str = "submission"

    async def begin(self, session: SmtpSession, envelope: Envelope) -> Reception:
        """Begin a submission. Spec: RFC 6409 §6.1."""
        if session.actor is None:  # the connection has refused MAIL before log-in already
            raise NotAllowed
        submission = await self.submissions.begin(session.actor, session.peer, session.helo, envelope)
        session.connection.allow_recipients(submission.recipients_max)
        return submission


class SmtpSession:
    """One conversation with one client; implements `net.line.Session`."""

    def __init__(
        self,
        connection: ServerConnection,
        policy: Policy,
        accounts: Accounts | None = None,
        tokens: Tokens | None = None,
        *,
        banner_delay_s: float = 0.0,
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._accounts = accounts
        self._tokens = tokens
        self._banner_delay_s = banner_delay_s
        self._line: Line | None = None
        self._reception: Reception | None = None
        self._exchange: Exchange[ScramLookup] | None = None
        self._revocation: AbstractContextManager[None] | None = None
        self.helo = ""
        self.is_extended = False
        self.actor: Actor | None = None

    @property
    def connection(self) -> ServerConnection:
        """Grammar and state of the conversation."""
        return self._connection

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        assert self._line is not None
        return self._line.peer

    # what the driver calls

    def started(self, line: Line) -> Awaitable[None] | None:
        """Greet, after a delay if one is set. Spec: RFC 5321 §3.1; attack row 11."""
        self._line = line
        if self._banner_delay_s > 0:
            return self._greet_late()
        self._connection.greet()
        return None

    async def _greet_late(self) -> None:
        await asyncio.sleep(self._banner_delay_s)  # the delay is the feature: who talks earlier gives himself away
        self._connection.greet(refuses_early_talkers=True)

    def handle(self, event: Any) -> Awaitable[None] | None:
        """Answer one event; None when it is done already."""
        return self._answers[type(event)](self, event)

    def failed(self, error: Exception) -> None:
        """Answer vaguely and temporarily. Spec: RFC 5321 §4.2.3 (451)."""
        self._refuse(error)

    def stopping(self) -> None:
        """Say 421 once no reply is under way. Spec: RFC 5321 §3.8."""
        self._connection.stop()

    def ended(self) -> None:
        """Drop a message that was not finished. Spec: RFC 5321 §4.1.1.10."""
        self._abandon()
        if self._revocation is not None:
            self._revocation.__exit__(None, None, None)
            self._revocation = None

    # transactions

    def _hello(self, event: Hello) -> None:
        """EHLO, HELO. Spec: RFC 5321 §4.1.4 (as RSET)."""
        self.helo = event.name
        self.is_extended = event.is_extended
        self._abandon()

    def _mail(self, event: MailFrom) -> Awaitable[None] | None:
        """MAIL. Spec: RFC 5321 §4.1.1.2."""
        begun = self._policy.begin(self, event.envelope)
        if isinstance(begun, Reception):
            self._reception = begun
            self._connection.reply(_SENDER_OK)
            return None
        return self._mail_later(begun)

    async def _mail_later(self, begun: Awaitable[Reception]) -> None:
        try:
            self._reception = await begun
        except NotAllowed as error:
            # RFC 4954 §6 and RFC 6409 §6.1 leave the code open; 553 says that it is the sender's name that is wrong.
            self._refuse_with(reply(553, "5.7.1", error.public_text), reason_of(error))
        except MailsteadError as error:
            self._refuse(error)
        else:
            self._connection.reply(_SENDER_OK)

    def _rcpt(self, event: RcptTo) -> Awaitable[None] | None:
        """RCPT, without a task if the directory's answer is in memory. Spec: RFC 5321 §4.1.1.3."""
        assert self._reception is not None
        try:
            more = self._reception.add_recipient(event.recipient)
        except MailsteadError as error:
            self._refuse(error)
            return None
        if more is None:
            self._connection.reply(_RECIPIENT_OK)
            return None
        return self._rcpt_later(more)

    async def _rcpt_later(self, more: Awaitable[None]) -> None:
        try:
            await more
        except MailsteadError as error:
            self._refuse(error)
        else:
            self._connection.reply(_RECIPIENT_OK)

    def _data_start(self, event: DataStart) -> None:
        """DATA, or the first BDAT. Spec: RFC 5321 §4.1.1.4."""
        del event
        self._connection.start_data()

    def _data_chunk(self, event: DataChunk) -> None:
        """Stage octets; a message that grows too large is forgotten at once, and refused behind its end."""
        reception = self._reception
        if reception is None:
            return
        try:
            reception.write(event.octets)
        except MailsteadError as error:
            self._abandon()
            self._count(reply_to(error), reason_of(error))
            self._connection.fail_data(reply_to(error))

    async def _end_of_data(self, event: EndOfData) -> None:
        """Deliver, then answer: with the 250 the message is ours. Spec: RFC 5321 §4.2.5, §6.1."""
        del event
        reception, self._reception = self._reception, None
        assert reception is not None
        try:
            await reception.accept()
        except MailsteadError as error:
            self._refuse(error)
        else:
            _delivered(self._policy.service).inc(reception.account_count)
            self._connection.reply(Reply(250, "2.0.0", (f"Stored as {reception.queue_id}",)))
        finally:
            reception.abandon()

    def _reset(self, event: Reset) -> None:
        """RSET, or a message the connection has given up. Spec: RFC 5321 §4.1.1.5."""
        del event
        self._abandon()

    def _abandon(self) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            reception.abandon()

    # TLS and log-in

    def _starttls(self, event: StartTls) -> None:
        """STARTTLS: all knowledge of the client is forgotten. Spec: RFC 3207 §4.2."""
        del event
        assert self._line is not None
        self.helo, self.is_extended = "", False
        self._abandon()
        self._connection.accept_starttls()
        self._line.start_tls()

    def _auth(self, event: Auth) -> Awaitable[None]:
        """AUTH. Spec: RFC 4954 §4."""
        assert self._accounts is not None
        chosen = mechanism(event.mechanism, token_urlsafe(18), takes_tokens=self._tokens is not None)
        self._exchange = Exchange(chosen, self._accounts, self.peer, "smtp", self._tokens)
        return self._log_in(event.initial_response)

    def _auth_response(self, event: AuthResponse) -> Awaitable[None]:
        """The line behind a 334. Spec: RFC 4954 §4."""
        return self._log_in(event.octets)

    async def _log_in(self, response: bytes | None) -> None:
        """Go one step on with the mechanism. Spec: RFC 4954 §4, §6 (501, 535)."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        assert self._accounts is not None
        try:
            answer = await exchange.take(response)
        except SaslError as error:
            self._refuse_with(reply(501, "5.5.2", str(error)), "sasl-syntax")
        except MailsteadError as error:
            self._refuse(error)
        else:
            if isinstance(answer, Challenge):
                self._exchange = exchange
                self._connection.auth_challenge(answer.octets)
                return
            self.actor = answer
            self._revocation = self._accounts.watch_revocations(answer, self._revoked)
            self._revocation.__enter__()
            self._connection.auth_succeeded()

    def _revoked(self) -> None:
        """The password was changed or removed: the conversation ends within seconds. Spec: attack row 64."""
        assert self._line is not None
        self._connection.stop("4.7.0", "Log in again")
        self._line.flush()

    # refusals

    def _refused(self, event: Refused) -> None:
        """Count what the connection has refused by itself."""
        metrics.refused(self._policy.service, str(event.code), event.reason)

    def _refuse(self, error: Exception) -> None:
        """Answer what is pending with the reply to an error."""
        if isinstance(error, MailsteadError) and error.log_fields:
            facts = {**error.log_fields, "service": self._policy.service, "error": type(error).__name__}
            _log.info("refused", **facts)
        self._refuse_with(reply_to(error), reason_of(error))

    def _refuse_with(self, answer: Reply, reason: str) -> None:
        self._count(answer, reason)
        if self._connection.is_pending:
            self._connection.reply(answer)

    def _count(self, answer: Reply, reason: str) -> None:
        metrics.refused(self._policy.service, str(answer.code), reason)

    _answers: ClassVar[dict[type, Callable[[SmtpSession, Any], Awaitable[None] | None]]] = {
        Hello: _hello,
        StartTls: _starttls,
        Auth: _auth,
        AuthResponse: _auth_response,
        MailFrom: _mail,
        RcptTo: _rcpt,
        DataStart: _data_start,
        DataChunk: _data_chunk,
        EndOfData: _end_of_data,
        Reset: _reset,
        Refused: _refused,
    }
