"""Client side of SCRAM-SHA-256 and PLAIN, sans-IO: for tests, tools and later the relay.

Spec: RFC 5802 §5, RFC 7677, RFC 4616 §2.
"""

from __future__ import annotations

from hashlib import pbkdf2_hmac
from hmac import compare_digest, digest

from mailstead.model.saslprep import saslprep
from mailstead.model.secret import Secret
from mailstead.proto.sasl import scram
from mailstead.proto.sasl.framing import SaslSyntaxError, decode_response, encode_challenge

ITERATIONS_MAX = 1_000_000
"""A server that asks for more only wants to keep us busy."""


def plain_response(username: str, secret: Secret) -> bytes:
    """Give PLAIN's one message. Spec: RFC 4616 §2."""
    return b"\0".join((b"", username.encode(), secret.reveal().encode()))


def oauthbearer_response(username: str, token: Secret) -> bytes:
    """Give OAUTHBEARER's one message. Spec: RFC 7628 §3.1."""
    authzid = username.replace("=", "=3D").replace(",", "=2C")
    return f"n,{f'a={authzid}' if authzid else ''},\x01auth=Bearer {token.reveal()}\x01\x01".encode()


def xoauth2_response(username: str, token: Secret) -> bytes:
    """Give XOAUTH2's one message."""
    return f"user={username}\x01auth=Bearer {token.reveal()}\x01\x01".encode()


class ScramSha256Client:
    """One exchange: `first`, `final(server_first)`, `check(server_final)`. Spec: RFC 5802 §5."""

    def __init__(self, username: str, secret: Secret, nonce: str) -> None:
        escaped = saslprep(username).replace("=", "=3D").replace(",", "=2C")
        self._secret = secret
        self._nonce = nonce
        self._bare = f"n={escaped},r={nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """Give client-first-message. Spec: RFC 5802 §7."""
        return f"n,,{self._bare}".encode()

    def final(self, server_first: bytes) -> bytes:
        """Give client-final-message. Spec: RFC 5802 §7.

        Errors: SaslSyntaxError.
        """
        text = server_first.decode()
        try:
            fields = dict(field.split("=", 1) for field in text.split(","))
            nonce, salt, iteration_count = fields["r"], decode_response(fields["s"].encode()), int(fields["i"])
        except (ValueError, KeyError):
            raise SaslSyntaxError("SCRAM: not a server-first-message") from None
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise SaslSyntaxError("SCRAM: the server has not kept our nonce")
        if not 1 <= iteration_count <= ITERATIONS_MAX:
            raise SaslSyntaxError("SCRAM: iteration count out of bounds")
        password = saslprep(self._secret.reveal()).encode()
        salted = pbkdf2_hmac("sha256", password, salt, iteration_count)
        client_key = digest(salted, b"Client Key", "sha256")
        without_proof = f"c={encode_challenge(b'n,,').decode()},r={nonce}"
        auth_message = f"{self._bare},{text},{without_proof}".encode()
        self._server_signature = digest(digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        proof = scram.xor(client_key, digest(scram.stored_key_of(client_key), auth_message, "sha256"))
        return f"{without_proof},p={encode_challenge(proof).decode()}".encode()

    def check(self, server_final: bytes) -> bool:
        """Whether the server has shown that it knows the password too. Spec: RFC 5802 §5."""
        return compare_digest(server_final, b"v=" + encode_challenge(self._server_signature))
