"""One ManageSieve conversation: commands of the wire in, one use case each, replies out. Spec: RFC 5804."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any, ClassVar, Final

from mailstead.config.settings import Sieve
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError
from mailstead.model.filtering import SCRIPT_OCTETS_MAX
from mailstead.net.line import Line
from mailstead.proto.managesieve import types, write
from mailstead.proto.managesieve.connection import MECHANISMS, Limits, Offer, ServerConnection
from mailstead.proto.managesieve.types import Code
from mailstead.proto.sasl import (
    TOKEN_MECHANISMS,
    Challenge,
    Exchange,
    SaslError,
    Tokens,
    UnknownMechanism,
    decode_initial_response,
    decode_response,
    encode_challenge,
    mechanism,
)
from mailstead.services.managesieve.errors import reply_to
from mailstead.sieve.script import ALL, NOTIFY_METHODS
from mailstead.telemetry import log, metrics
from mailstead.usecases.accounts import Accounts, ScramLookup
from mailstead.usecases.filters import Filters

_log = log.get("sieve")

SERVICE: Final = "sieve"


@dataclass(frozen=True, slots=True)
class ManageSieveService:
    """What all sessions of the service share."""

    filters: Filters
    accounts: Accounts
    settings: Sieve
    hostname: str = "localhost"
    tokens: Tokens | None = None
    """Who knows access tokens; None: none are taken."""

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Names to advertise, the best first."""
        return MECHANISMS + (TOKEN_MECHANISMS if self.tokens is not None else ())

    def session(self, *, is_tls: bool = False) -> ManageSieveSession:
        """Make the session of a new conversation; `is_tls`: TLS is on already."""
        return ManageSieveSession(self, is_encrypted=is_tls)


class ManageSieveSession:
    """One conversation with one client; implements `net.line.Session`."""

    def __init__(self, service: ManageSieveService, *, is_encrypted: bool) -> None:
        self._scripts = service.filters.scripts
        self._accounts = service.accounts
        self._tokens = service.tokens
        self._mechanisms = service.mechanisms
        settings = service.settings
        self._connection = ServerConnection(
            hostname=service.hostname,
            offer=Offer(sorted(ALL), NOTIFY_METHODS, settings.redirects_max),
            is_encrypted=is_encrypted,
            limits=Limits(
                login_limit_s=settings.login_limit_s,
                idle_limit_s=settings.idle_limit_s,
                script_octets_max=SCRIPT_OCTETS_MAX,
            ),
            mechanisms=self._mechanisms,
        )
        self._line: Line | None = None
        self._exchange: Exchange[ScramLookup] | None = None
        """The SASL exchange under way."""
        self._actor: Actor | None = None
        self._held = ExitStack()
        """What is given back at the end: the watch on the password."""

    # what the driver calls

    @property
    def connection(self) -> ServerConnection:
        """Grammar and state of the conversation."""
        return self._connection

    def started(self, line: Line) -> Awaitable[None] | None:
        """Greet. Spec: RFC 5804 §1.7."""
        self._line = line
        self._connection.greet()
        return None

    def handle(self, event: Any) -> Awaitable[None] | None:
        """Answer one event; None when it is done already."""
        return self._answers[type(event)](self, event)

    def failed(self, error: Exception) -> None:
        """Answer vaguely and temporarily."""
        self._refuse(error)

    def stopping(self) -> None:
        """Say goodbye once no reply is under way."""
        self._connection.stop()

    def ended(self) -> None:
        """Release what the session holds."""
        self._held.close()

    # TLS and log-in

    def _starttls(self, event: types.StartTls) -> None:
        """STARTTLS. Spec: RFC 5804 §2.2."""
        del event
        assert self._line is not None
        self._connection.accept_starttls()
        self._line.start_tls()

    def _authenticate(self, event: types.Authenticate) -> Awaitable[None] | None:
        """AUTHENTICATE. Spec: RFC 5804 §2.1."""
        assert self._line is not None
        try:
            if event.mechanism not in self._mechanisms:
                raise UnknownMechanism
            chosen = mechanism(event.mechanism, token_urlsafe(18), takes_tokens=self._tokens is not None)
            initial = None if event.initial_response is None else decode_initial_response(event.initial_response)
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
            return None
        self._exchange = Exchange(chosen, self._accounts, self._line.peer, SERVICE, self._tokens)
        return self._sasl_step(initial)

    def _auth_response(self, event: types.AuthResponse) -> Awaitable[None] | None:
        """The string behind a challenge; ``*`` cancels. Spec: RFC 5804 §2.1."""
        try:
            response = decode_response(event.line)
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
            return None
        return self._sasl_step(response)

    async def _sasl_step(self, response: bytes | None) -> None:
        """Go one step on with the mechanism. Spec: RFC 5804 §2.1."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        try:
            answer = await exchange.take(response)
            if isinstance(answer, Challenge):
                self._exchange = exchange
                self._connection.auth_challenge(encode_challenge(answer.octets))
            else:
                self._held.enter_context(self._accounts.watch_revocations(answer, self._revoked))
                self._actor = answer
                self._connection.logged_in(str(answer.address))
        except SaslError as error:
            self._refuse_with(str(error), Code.NONE, "sasl-syntax")
        except MailsteadError as error:
            self._refuse(error)

    def _revoked(self) -> None:
        """The password was changed or removed (attack row 64)."""
        self._connection.revoke()
        if self._line is not None:
            self._line.flush()

    def _unauthenticate(self, event: types.Unauthenticate) -> None:
        """UNAUTHENTICATE. Spec: RFC 5804 §2.14.1."""
        del event
        self._held.close()
        self._actor = None
        self._connection.unauthenticated()

    # scripts

    async def _have_space(self, event: types.HaveSpace) -> None:
        """HAVESPACE. Spec: RFC 5804 §2.5."""
        await self._answered_by(self._scripts.check_room(self._present_actor, event.name, event.size_octets))

    async def _put_script(self, event: types.PutScript) -> None:
        """PUTSCRIPT. Spec: RFC 5804 §2.6."""
        await self._answered_by(self._scripts.put(self._present_actor, event.name, event.octets))

    async def _check_script(self, event: types.CheckScript) -> None:
        """CHECKSCRIPT. Spec: RFC 5804 §2.12."""
        await self._answered_by(self._scripts.check(event.octets))

    async def _set_active(self, event: types.SetActive) -> None:
        """SETACTIVE; the empty name deactivates. Spec: RFC 5804 §2.8."""
        await self._answered_by(self._scripts.activate(self._present_actor, event.name or None))

    async def _delete_script(self, event: types.DeleteScript) -> None:
        """DELETESCRIPT. Spec: RFC 5804 §2.10."""
        await self._answered_by(self._scripts.delete(self._present_actor, event.name))

    async def _rename_script(self, event: types.RenameScript) -> None:
        """RENAMESCRIPT. Spec: RFC 5804 §2.11.1."""
        await self._answered_by(self._scripts.rename(self._present_actor, event.name, event.new_name))

    async def _list_scripts(self, event: types.ListScripts) -> None:
        """LISTSCRIPTS. Spec: RFC 5804 §2.7."""
        del event

        async def listed() -> None:
            found = await self._scripts.list(self._present_actor)
            self._connection.send(write.script_list((script.name, script.is_active) for script in found))

        await self._answered_by(listed())

    async def _get_script(self, event: types.GetScript) -> None:
        """GETSCRIPT. Spec: RFC 5804 §2.9."""

        async def given() -> None:
            self._connection.send(write.script(await self._scripts.get(self._present_actor, event.name)))

        await self._answered_by(given())

    @property
    def _present_actor(self) -> Actor:
        assert self._actor is not None
        return self._actor

    # replies and refusals

    async def _answered_by(self, work: Awaitable[None]) -> None:
        """Do the work, and say OK or what went wrong."""
        try:
            await work
        except MailsteadError as error:
            self._refuse(error)
        else:
            self._connection.ok()

    def _refused(self, event: types.Refused) -> None:
        """Count what the connection has refused by itself."""
        self._count(event.reason)

    def _answered(self, event: types.Answered) -> None:
        """Nothing is left to do."""

    def _refuse(self, error: Exception) -> None:
        """Answer what is pending with the reply to an error."""
        if isinstance(error, MailsteadError) and error.log_fields:
            _log.info("refused", **{**error.log_fields, "service": SERVICE, "error": type(error).__name__})
        text, code = reply_to(error)
        self._refuse_with(text, code, type(error).__name__)

    def _refuse_with(self, text: str, code: Code, reason: str) -> None:
        self._exchange = None
        self._count(reason)
        if self._connection.is_pending:
            self._connection.no(text, code)

    def _count(self, reason: str) -> None:
        metrics.refused(SERVICE, "NO", reason)

    _answers: ClassVar[dict[type, Callable[[ManageSieveSession, Any], Awaitable[None] | None]]] = {
        types.StartTls: _starttls,
        types.Authenticate: _authenticate,
        types.AuthResponse: _auth_response,
        types.Unauthenticate: _unauthenticate,
        types.HaveSpace: _have_space,
        types.PutScript: _put_script,
        types.ListScripts: _list_scripts,
        types.SetActive: _set_active,
        types.GetScript: _get_script,
        types.DeleteScript: _delete_script,
        types.RenameScript: _rename_script,
        types.CheckScript: _check_script,
        types.Refused: _refused,
        types.Answered: _answered,
    }
