"""One SASL exchange: a mechanism, and whoever knows the users, brought together the same way for every protocol.

Still sans-IO: what is awaited here is the use case `usecases.accounts.Accounts`, seen through `Users`.

Spec: RFC 4422 §3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from mailstead.model.directory import Verifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.sasl.mechanisms import (
    Challenge,
    Mechanism,
    NeedsVerifier,
    OauthBearer,
    PasswordGiven,
    TokenGiven,
    Xoauth2,
)


class Lookup(Protocol):
    """What is kept of a user for SCRAM, existing or not."""

    @property
    def salt(self) -> bytes:
        """Spec: RFC 5802 §5.1 (``s``)."""

    @property
    def iteration_count(self) -> int:
        """Spec: RFC 5802 §5.1 (``i``)."""

    @property
    def verifiers(self) -> Sequence[Verifier]:
        """One for each password of the user."""


L = TypeVar("L", bound=Lookup)


class Users(Protocol[L]):
    """Who can say whether somebody may come in."""

    async def log_in(self, username: str, secret: Secret, peer: Peer, service: str) -> Actor:
        """Give the actor whose password this is."""

    async def scram_start(self, username: str, peer: Peer, service: str) -> L:
        """Give what SCRAM needs to know."""

    async def scram_finish(self, lookup: L, verifier: Verifier | None, client_key: bytes = b"") -> Actor:
        """Give the actor whose verifier was proven, by that key."""


class Tokens(Protocol):
    """Who can say whose an access token is (`usecases.oauth_tokens`)."""

    @property
    def scope(self) -> str:
        """Scopes that a client should ask the provider for."""

    @property
    def configuration_url(self) -> str:
        """Where the provider says how tokens are had."""

    async def log_in(self, username: str, token: Secret, peer: Peer, service: str) -> Actor:
        """Give the actor whose token this is; `username` empty: whoever it is."""


class Exchange(Generic[L]):
    """An exchange under way, from the mechanism's name to the actor."""

    __slots__ = ("_failure", "_lookup", "_mechanism", "_peer", "_service", "_tokens", "_users")

    def __init__(
        self, mechanism: Mechanism, users: Users[L], peer: Peer, service: str, tokens: Tokens | None = None
    ) -> None:
        self._mechanism = mechanism
        self._users = users
        self._peer = peer
        self._service = service
        self._tokens = tokens
        self._lookup: L | None = None
        self._failure: AuthenticationFailed | None = None
        """What a token was refused for, until the client has taken note."""

    async def take(self, response: bytes | None) -> Challenge | Actor:
        """Take the client's next response, decoded; None stands for a missing initial response.

        Gives what to send back, or who has come in. Whatever is raised, the exchange is over then.
        Errors: SaslSyntaxError; AuthenticationFailed, TooManyFailures, TryAgainLater.
        """
        if self._failure is not None:
            # Whatever the client answers, there is no second try in the same exchange. Spec: RFC 7628 §3.2.3.
            raise self._failure
        step = self._mechanism.step(response)
        if isinstance(step, NeedsVerifier):
            self._lookup = lookup = await self._users.scram_start(step.username, self._peer, self._service)
            return self._mechanism.offer(lookup.salt, lookup.iteration_count, lookup.verifiers)
        if isinstance(step, Challenge):
            return step
        if isinstance(step, PasswordGiven):
            return await self._users.log_in(step.username, step.secret, self._peer, self._service)
        if isinstance(step, TokenGiven):
            return await self._take_token(step)
        if self._lookup is None:
            raise LocalProtocolError("a proof, but nobody was asked for")
        return await self._users.scram_finish(self._lookup, step.verifier, step.client_key)

    async def _take_token(self, given: TokenGiven) -> Challenge | Actor:
        """Give who has come in, or what the client is to know of the refusal. Spec: RFC 7628 §3.2.2."""
        mechanism, tokens = self._mechanism, self._tokens
        if tokens is None or not isinstance(mechanism, OauthBearer | Xoauth2):
            raise LocalProtocolError("a token, but nobody knows tokens")
        try:
            return await tokens.log_in(given.username, given.token, self._peer, self._service)
        except AuthenticationFailed as error:
            self._failure = error
            return mechanism.refusal(tokens.scope, tokens.configuration_url)
