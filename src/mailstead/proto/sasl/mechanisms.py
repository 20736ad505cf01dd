"""Server side of the mechanisms: octets in, steps out.

A mechanism is used once. `step` takes the client's next response (None: the client gave no initial response) and gives
the next `Step`; for the flow around it see the package docstring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final, Protocol

from mailstead.model.directory import Verifier
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.saslprep import NotPreparable, saslprep
from mailstead.model.secret import Secret
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.sasl import oauth, scram
from mailstead.proto.sasl.framing import SaslSyntaxError, UnknownMechanism, encode_challenge

TEXT_OCTETS_MAX: Final = 1024
"""Longest user name or password; RFC 4616 §2 wants at least 255."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this (base64 by `encode_challenge`) and give the client's answer to `step`."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class NeedsVerifier:
    """SCRAM wants to know what is kept of this user: ask `Accounts.scram_start`, answer with `ScramSha256.offer`."""

    username: str


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """The client has said its password: ask `Accounts.log_in`."""

    username: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class ProofGiven:
    """The client's proof fits this verifier, or none: ask `Accounts.scram_finish`."""

    verifier: Verifier | None
    client_key: bytes = field(default=b"", repr=False)
    """What was proven, which opens a sealed account. Spec: RFC 5802 §3."""


@dataclass(frozen=True, slots=True)
class TokenGiven:
    """The client has an access token of the provider: ask whoever knows it."""

    username: str
    """Empty: whoever the token is of."""
    token: Secret
    """Empty: the client asks where tokens are had; refused as a wrong one, but none was guessed."""


Step = Challenge | NeedsVerifier | PasswordGiven | ProofGiven | TokenGiven


class Mechanism(Protocol):
    """What every mechanism gives its session."""

    def step(self, response: bytes | None) -> Step:
        """Take the client's next response, decoded; None stands for a missing initial response.

        Errors: SaslSyntaxError; AuthenticationFailed, when the client wants to act as somebody else.
        """

    def offer(self, salt: bytes, iteration_count: int, verifiers: Sequence[Verifier]) -> Challenge:
        """Answer `NeedsVerifier`. Errors: LocalProtocolError when nothing was asked."""


class _WithoutVerifier:
    """What PLAIN and LOGIN share: the password itself is sent, so they never ask for a verifier."""

    def offer(
        self,
        salt: bytes,  # noqa: ARG002  the protocol's signature
        iteration_count: int,  # noqa: ARG002
        verifiers: Sequence[Verifier],  # noqa: ARG002
    ) -> Challenge:
        """Refuse: only SCRAM asks."""
        raise LocalProtocolError("this mechanism has not asked for a verifier")


class Plain(_WithoutVerifier):
    """PLAIN. Spec: RFC 4616 §2."""

    def step(self, response: bytes | None) -> Step:
        """Take the one message there is. Spec: RFC 4616 §2.

        Errors: SaslSyntaxError; AuthenticationFailed for an authorization identity that is not the user.
        """
        if response is None:
            return Challenge(b"")
        # message = [authzid] UTF8NUL authcid UTF8NUL passwd
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise SaslSyntaxError("PLAIN: expected [authzid] NUL authcid NUL passwd")
        authzid, authcid, password = (_utf8(part) for part in parts)
        _refuse_other(authzid or None, authcid)
        return PasswordGiven(authcid, Secret(password))


class Login(_WithoutVerifier):
    """LOGIN, never standardised and still asked for by Outlook and devices. Spec: draft-murchison-sasl-login §2."""

    def __init__(self) -> None:
        self._username: str | None = None

    def step(self, response: bytes | None) -> Step:
        """Take the user name (also as initial response), then the password. Spec: draft-murchison-sasl-login §2.

        Errors: SaslSyntaxError.
        """
        if response is None:
            return Challenge(b"Username:")
        if not response:
            raise SaslSyntaxError("LOGIN: user name and password cannot be empty")
        if self._username is None:
            self._username = _utf8(response)
            return Challenge(b"Password:")
        return PasswordGiven(self._username, Secret(_utf8(response)))


class ScramSha256:
    """SCRAM-SHA-256 without channel binding. Spec: RFC 5802 §5, RFC 7677.

    `nonce` is the server's part, printable without comma, made anew for each exchange by whoever has chance to give.
    The order: client-first → `NeedsVerifier` → `offer` → server-first → client-final → server-final (`Challenge`)
    → empty response → `ProofGiven`. A wrong proof is `ProofGiven(None)` at once.
    """

    def __init__(self, nonce: str) -> None:
        self._server_nonce = nonce
        self._first: scram.ClientFirst | None = None
        self._server_first: str | None = None
        self._nonce = ""
        self._verifiers: Sequence[Verifier] = ()
        self._proven: Verifier | None = None
        self._client_key = b""

    def step(self, response: bytes | None) -> Step:
        """Take client-first, client-final, or the empty response to server-final. Spec: RFC 5802 §5.

        Errors: SaslSyntaxError; AuthenticationFailed for an authorization identity that is not the user.
        """
        if response is None:
            return Challenge(b"")
        if self._first is None:
            return self._take_first(response)
        if self._server_first is None:
            raise LocalProtocolError("SCRAM asked for a verifier and got a response")
        if self._proven is None:
            return self._take_final(self._first, self._server_first, response)
        if response:
            raise SaslSyntaxError("SCRAM: expected an empty response to server-final-message")
        return ProofGiven(self._proven, self._client_key)

    def offer(self, salt: bytes, iteration_count: int, verifiers: Sequence[Verifier]) -> Challenge:
        """Give server-first-message; the proof may fit any of the verifiers (main and app passwords share the salt).

        Spec: RFC 5802 §5.1.
        """
        if self._first is None or self._server_first is not None:
            raise LocalProtocolError("SCRAM has not asked for a verifier")
        self._verifiers = verifiers
        self._nonce = self._first.nonce + self._server_nonce
        self._server_first = scram.write_server_first(self._nonce, salt, iteration_count)
        return Challenge(self._server_first.encode())

    def _take_first(self, response: bytes) -> NeedsVerifier:
        first = scram.parse_client_first(response)
        _refuse_other(first.authzid, first.username)
        try:
            username = saslprep(first.username)  # RFC 5802 §5.1: the server prepares it too
        except NotPreparable as error:
            raise SaslSyntaxError(f"SCRAM: user name has a {error}") from None
        self._first = first
        return NeedsVerifier(username)

    def _take_final(self, first: scram.ClientFirst, server_first: str, response: bytes) -> Step:
        final = scram.parse_client_final(response)
        # RFC 5802 §5.1: "c" repeats the GS2 header, so that nobody on the way can have changed it
        if final.gs2_header != first.gs2_header.encode() or not compare_digest(
            final.nonce.encode(), self._nonce.encode()
        ):
            return ProofGiven(None)
        auth_message = f"{first.bare},{server_first},{final.without_proof}".encode()
        proven: Verifier | None = None
        for verifier in self._verifiers:  # all of them: time shall not tell which one it was
            if len(final.proof) == len(verifier.scram_stored_key):
                client_key = scram.client_key_of_proof(final.proof, verifier.scram_stored_key, auth_message)
                if compare_digest(scram.stored_key_of(client_key), verifier.scram_stored_key):
                    proven, self._client_key = verifier, client_key
        if proven is None:
            return ProofGiven(None)
        self._proven = proven
        signature = scram.server_signature(proven.scram_server_key, auth_message)
        return Challenge(b"v=" + encode_challenge(signature))


class OauthBearer(_WithoutVerifier):
    """OAUTHBEARER: an access token. Spec: RFC 7628."""

    def step(self, response: bytes | None) -> Step:
        """Take the one message there is. Spec: RFC 7628 §3.1. Errors: SaslSyntaxError."""
        if response is None:
            return Challenge(b"")
        bearer = oauth.parse_oauthbearer(response)
        return TokenGiven(bearer.username, bearer.token)

    def refusal(self, scope: str, configuration_url: str) -> Challenge:
        """Say that the token is not good; whatever the client answers, it is over. Spec: RFC 7628 §3.2.2, §3.2.3."""
        return Challenge(oauth.write_refusal(scope, configuration_url))


class Xoauth2(_WithoutVerifier):
    """XOAUTH2, Google's, which most mail programs speak."""

    def step(self, response: bytes | None) -> Step:
        """Take the one message there is. Errors: SaslSyntaxError."""
        if response is None:
            return Challenge(b"")
        bearer = oauth.parse_xoauth2(response)
        return TokenGiven(bearer.username, bearer.token)

    def refusal(self, scope: str, configuration_url: str) -> Challenge:  # noqa: ARG002  the other's signature
        """Say that the token is not good; the client answers with an empty line."""
        return Challenge(oauth.write_xoauth2_refusal(scope))


MECHANISMS: Final = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
"""Names to advertise, the best first."""
TOKEN_MECHANISMS: Final = ("OAUTHBEARER", "XOAUTH2")
"""Names to advertise beside them, where a provider is set up."""


def mechanism(name: str, nonce: str, *, takes_tokens: bool = False) -> Mechanism:
    """Start a mechanism by its name in any case; `nonce` is fresh chance of 18 octets or more, printable, no comma.

    `takes_tokens`: whether a provider is set up.

    Spec: RFC 4422 §3.1.
    Errors: UnknownMechanism.
    """
    match name.upper():
        case "OAUTHBEARER" if takes_tokens:
            return OauthBearer()
        case "XOAUTH2" if takes_tokens:
            return Xoauth2()
        case "PLAIN":
            return Plain()
        case "LOGIN":
            return Login()
        case "SCRAM-SHA-256":
            return ScramSha256(nonce)
        case _:
            raise UnknownMechanism


def _utf8(octets: bytes) -> str:
    if len(octets) > TEXT_OCTETS_MAX:
        raise SaslSyntaxError("User name or password too long")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise SaslSyntaxError("User name and password must be UTF-8") from None


def _refuse_other(authzid: str | None, username: str) -> None:
    """Nobody may act as somebody else; naming oneself is fine. Spec: RFC 4422 §3.4.1."""
    if authzid is not None and authzid.casefold() != username.casefold():
        raise AuthenticationFailed(authorization="other identity")
