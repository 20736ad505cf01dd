"""SASL, server side, sans-IO: PLAIN, LOGIN, SCRAM-SHA-256. Spec: RFC 4422, RFC 4616, RFC 5802, RFC 7677.

May import: model and `proto.connection`. Start reading at `mechanisms`; `framing` has the base64 lines of AUTH and
AUTHENTICATE, `scram` the arithmetic and messages of SCRAM, `client` the other side, for tests and tools.

How a session logs somebody in. The wire's connection hands over the mechanism's name and each base64 line; the
mechanism turns octets into steps; the use case `Accounts` answers what only the store can answer::

    def begin(self, name: str, initial: bytes | None) -> Awaitable[None] | None:
        # raises SaslError (UnknownMechanism) before anything is started
        self._mechanism = mechanism(name, nonce=token_urlsafe(18))
        return self._take(None if initial is None else decode_initial_response(initial))

    def line_came(self, line: bytes) -> Awaitable[None] | None:
        return self._take(decode_response(line))  # raises SaslCancelled for "*", SaslSyntaxError

    async def _take(self, response: bytes | None) -> None:
        peer = self._line.peer
        step = self._mechanism.step(response)  # raises SaslSyntaxError, AuthenticationFailed
        if isinstance(step, NeedsVerifier):  # SCRAM only, after the client's first message
            self._lookup = await self._accounts.scram_start(step.username, peer, "imap")
            step = self._mechanism.offer(
                self._lookup.salt, self._lookup.iteration_count, self._lookup.verifiers
            )
        match step:
            case Challenge(octets):  # "+ " / "334 " + base64; wait for the client's next line
                return self.connection.send_challenge(encode_challenge(octets))
            case PasswordGiven(username, secret):
                actor = await self._accounts.log_in(username, secret, peer, "imap")
            case ProofGiven(verifier):
                actor = await self._accounts.scram_finish(self._lookup, verifier)
        ...  # logged in; AuthenticationFailed, TooManyFailures, TryAgainLater go through the error table

LOGIN of IMAP and USER/PASS of POP3 need no mechanism: they call `Accounts.log_in` directly.
The service words are ``imap``, ``smtp`` and ``pop3``.

Errors: `SaslError` is a `RemoteProtocolError`: answer BAD (IMAP), 501 5.5.2, or 501 5.7.0 for a cancel (SMTP,
RFC 4954 §4), -ERR (POP3), 504 5.5.4 for `UnknownMechanism`; the conversation goes on. Whether a mechanism may be
offered at all (only under TLS) is the wire's own rule.
"""

from mailstead.proto.sasl.framing import (
    SaslCancelled,
    SaslError,
    SaslSyntaxError,
    UnknownMechanism,
    decode_initial_response,
    decode_response,
    encode_challenge,
)
from mailstead.proto.sasl.mechanisms import (
    MECHANISMS,
    Challenge,
    Login,
    Mechanism,
    NeedsVerifier,
    PasswordGiven,
    Plain,
    ProofGiven,
    ScramSha256,
    Step,
    mechanism,
)

__all__ = [
    "MECHANISMS",
    "Challenge",
    "Login",
    "Mechanism",
    "NeedsVerifier",
    "PasswordGiven",
    "Plain",
    "ProofGiven",
    "SaslCancelled",
    "SaslError",
    "SaslSyntaxError",
    "ScramSha256",
    "Step",
    "UnknownMechanism",
    "decode_initial_response",
    "decode_response",
    "encode_challenge",
    "mechanism",
]
