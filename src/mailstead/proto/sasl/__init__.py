"""SASL, server side, sans-IO: PLAIN, LOGIN, SCRAM-SHA-256; where a provider is set up, OAUTHBEARER and XOAUTH2.

Spec: RFC 4422, RFC 4616, RFC 5802, RFC 7677, RFC 7628.

May import: model and `proto.connection`. Start reading at `mechanisms`; `exchange` brings them together with the users;
`framing` has the base64 lines of AUTH and AUTHENTICATE, `scram` the arithmetic and messages of SCRAM, `oauth` the
messages with tokens, `client` the other side, for tests and tools.

How a session logs somebody in. The wire's connection hands over the mechanism's name and each base64 line; `Exchange`
gives the octets to the mechanism and asks the use case `Accounts` what only the store can answer::

    exchange = Exchange(mechanism(name, nonce=token_urlsafe(18)), accounts, line.peer, "imap")  # UnknownMechanism
    answer = await exchange.take(response)  # SaslSyntaxError; AuthenticationFailed and the like: the error table
    if isinstance(answer, Challenge):
        ...  # "+ " / "334 " + base64; wait for the client's next line
    else:
        ...  # the actor: logged in

LOGIN of IMAP and USER/PASS of POP3 need no mechanism: they call `Accounts.log_in` directly.
The service words are ``imap``, ``smtp`` and ``pop3``.

Errors: `SaslError` is a `RemoteProtocolError`: answer BAD (IMAP), 501 5.5.2, or 501 5.7.0 for a cancel (SMTP,
RFC 4954 §4), -ERR (POP3), 504 5.5.4 for `UnknownMechanism`; the conversation goes on. Whether a mechanism may be
offered at all (only under TLS) is the wire's own rule.
"""

from mailstead.proto.sasl.exchange import Exchange, Tokens
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
    TOKEN_MECHANISMS,
    Challenge,
    Login,
    Mechanism,
    NeedsVerifier,
    OauthBearer,
    PasswordGiven,
    Plain,
    ProofGiven,
    ScramSha256,
    Step,
    TokenGiven,
    Xoauth2,
    mechanism,
)

__all__ = [
    "MECHANISMS",
    "TOKEN_MECHANISMS",
    "Challenge",
    "Exchange",
    "Login",
    "Mechanism",
    "NeedsVerifier",
    "OauthBearer",
    "PasswordGiven",
    "Plain",
    "ProofGiven",
    "SaslCancelled",
    "SaslError",
    "SaslSyntaxError",
    "ScramSha256",
    "Step",
    "TokenGiven",
    "Tokens",
    "UnknownMechanism",
    "Xoauth2",
    "decode_initial_response",
    "decode_response",
    "encode_challenge",
    "mechanism",
]
