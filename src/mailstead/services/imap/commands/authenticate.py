"""LOGIN and AUTHENTICATE: who is it? How mechanisms and use case play together is told in `proto.sasl`."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING

from mailstead.proto.imap.types.commands import Authenticate, Login
from mailstead.proto.imap.types.events import Result
from mailstead.proto.sasl import Challenge, Exchange, SaslError, UnknownMechanism, mechanism
from mailstead.services.imap.errors import Refused, Reply

if TYPE_CHECKING:
    from mailstead.model.envelope import Actor
    from mailstead.services.imap.session import ImapSession

SERVICE = "imap"


async def login(session: ImapSession, command: Login) -> Reply:
    """Answer LOGIN. Spec: RFC 9051 §6.2.3."""
    actor = await session.service.accounts.log_in(command.user, command.password, session.line.peer, SERVICE)
    return await _come_in(session, actor)


async def authenticate(session: ImapSession, command: Authenticate) -> Reply | None:
    """Begin a SASL exchange, with an initial response perhaps. Spec: RFC 9051 §6.2.2, RFC 4959 §3."""
    try:
        tokens = session.service.tokens
        chosen = mechanism(command.mechanism, token_urlsafe(18), takes_tokens=tokens is not None)
    except UnknownMechanism:
        raise Refused("That mechanism is not offered here", b"CANNOT") from None
    session.exchange = Exchange(chosen, session.service.accounts, session.line.peer, SERVICE, tokens)
    return await go_on(session, command.initial_response)


async def go_on(session: ImapSession, response: bytes | None) -> Reply | None:
    """Take the client's next response. Spec: RFC 9051 §6.2.2.

    Errors: AuthenticationFailed, TooManyFailures, TryAgainLater; whatever it is, the exchange is over then.
    """
    exchange, session.exchange = session.exchange, None
    assert exchange is not None
    try:
        answer = await exchange.take(response)
    except SaslError as error:
        raise Refused(str(error), b"CLIENTBUG", Result.BAD) from None
    if isinstance(answer, Challenge):
        session.exchange = exchange
        session.connection.challenge(answer.octets)
        return None
    return await _come_in(session, answer)


async def _come_in(session: ImapSession, actor: Actor) -> Reply:
    announcements = session.service.announcements
    session.log_in(actor, is_chatmail=announcements is not None and await announcements.is_chatmail(actor))
    return Reply(Result.OK, "You are logged in")
