"""Messages and arithmetic of SCRAM-SHA-256. Spec: RFC 5802 §3, §5, §7; RFC 7677.

No channel binding is offered: Python's TLS gives only tls-unique, which TLS 1.3 has not, and a proxy that ends TLS in
front of us would break it. A client that says ``y`` (it could, but believes we cannot) is right; one that demands it
(``p=``) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import Final

from mailstead.proto.sasl.framing import SaslSyntaxError, decode_response, encode_challenge

MESSAGE_OCTETS_MAX: Final = 4096

# RFC 5802 §7:
#   gs2-cbind-flag            = ("p=" cb-name) / "n" / "y"
#   gs2-header                = gs2-cbind-flag "," [ authzid ] ","
#   authzid                   = "a=" saslname
#   client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
#   username                  = "n=" saslname
#   nonce                     = "r=" c-nonce [s-nonce]
_CLIENT_FIRST: Final = re.compile(
    r"(?P<gs2>(?P<flag>p=[A-Za-z0-9.-]+|n|y),(?:a=(?P<authzid>[^,\x00]+))?,)"
    r"(?P<bare>n=(?P<username>[^,\x00]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{1,512})(?:,[A-Za-z]=[^,\x00]*)*)"
)
#   saslname                  = 1*(value-safe-char / "=2C" / "=3D")
_SASLNAME_ESCAPE: Final = re.compile(r"=(2C|3D)?")
#   client-final-message      = channel-binding "," nonce ["," extensions] "," proof
_CLIENT_FINAL: Final = re.compile(
    r"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/]+={0,2}),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]{1,1024})(?:,[A-Za-z]=[^,\x00]*)*)"
    r",p=(?P<proof>[A-Za-z0-9+/]+={0,2})"
)


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """What client-first-message says."""

    gs2_header: str
    authzid: str | None
    username: str
    nonce: str
    bare: str


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """What client-final-message says."""

    gs2_header: bytes
    nonce: str
    proof: bytes
    without_proof: str


def parse_client_first(message: bytes) -> ClientFirst:
    """Read client-first-message.

    Spec: RFC 5802 §7.
    Errors: SaslSyntaxError, also for a demanded channel binding and a mandatory extension (``m=``, §5.1).
    """
    found = _CLIENT_FIRST.fullmatch(_text(message))
    if not found:
        raise SaslSyntaxError("SCRAM: not a client-first-message")
    if found["flag"].startswith("p"):
        raise SaslSyntaxError("SCRAM: channel binding is not supported")
    authzid = found["authzid"]
    return ClientFirst(
        found["gs2"],
        None if authzid is None else saslname(authzid),
        saslname(found["username"]),
        found["nonce"],
        found["bare"],
    )


def parse_client_final(message: bytes) -> ClientFinal:
    """Read client-final-message.

    Spec: RFC 5802 §7.
    Errors: SaslSyntaxError.
    """
    found = _CLIENT_FINAL.fullmatch(_text(message))
    if not found:
        raise SaslSyntaxError("SCRAM: not a client-final-message")
    return ClientFinal(
        decode_response(found["binding"].encode()),
        found["nonce"],
        decode_response(found["proof"].encode()),
        found["without_proof"],
    )


def write_server_first(nonce: str, salt: bytes, iteration_count: int) -> str:
    """Write server-first-message. Spec: RFC 5802 §7."""
    return f"r={nonce},s={encode_challenge(salt).decode()},i={iteration_count}"


def client_key_of_proof(proof: bytes, stored_key: bytes, auth_message: bytes) -> bytes:
    """Give ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage). Spec: RFC 5802 §3."""
    return xor(proof, digest(stored_key, auth_message, "sha256"))


def stored_key_of(client_key: bytes) -> bytes:
    """Give StoredKey := H(ClientKey). Spec: RFC 5802 §3."""
    return sha256(client_key).digest()


def server_signature(server_key: bytes, auth_message: bytes) -> bytes:
    """Give ServerSignature := HMAC(ServerKey, AuthMessage). Spec: RFC 5802 §3."""
    return digest(server_key, auth_message, "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    """Combine two equally long byte strings by exclusive or."""
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(right))


def _text(message: bytes) -> str:
    if len(message) > MESSAGE_OCTETS_MAX:
        raise SaslSyntaxError("SCRAM: message too long")
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SaslSyntaxError("SCRAM: message is not UTF-8") from None


def saslname(text: str) -> str:
    """Undo the escapes of a name.

    Spec: RFC 5802 §5.1.
    Errors: SaslSyntaxError for any other ``=``.
    """

    def plain(escape: re.Match[str]) -> str:
        if not escape[1]:
            raise SaslSyntaxError("SCRAM: bad escape in user name")
        return "," if escape[1] == "2C" else "="

    return _SASLNAME_ESCAPE.sub(plain, text)
