"""Messages of OAUTHBEARER and XOAUTH2: an access token in place of a password.

Spec: RFC 7628 §3; RFC 6750 §2.1 (tokens). XOAUTH2 is Google's forerunner of it, which has no RFC: mail programs know it
better than the standard.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from mailstead.model.secret import Secret
from mailstead.proto.sasl import scram
from mailstead.proto.sasl.framing import SaslSyntaxError

KVSEP: Final = "\x01"
"""Also the whole of what a client of OAUTHBEARER says to a refusal. Spec: RFC 7628 §3.2.3."""

# RFC 7628 §3.1:
#   kvsep     = %x01
#   key       = 1*(ALPHA)
#   value     = *(VCHAR / SP / HTAB / CR / LF )
#   kvpair    = key "=" value kvsep
#   client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
# Since the values may have CR and LF, they are kept out of nothing but the two that are read here.
_KVPAIR: Final = re.compile(r"([A-Za-z]+)=([\x20-\x7e\t\r\n]*)")
# RFC 5801 §4: gs2-header = [gs2-nonstd-flag ","] gs2-cb-flag "," [gs2-authzid] ","
_GS2: Final = re.compile(r"(?P<flag>p=[A-Za-z0-9.-]+|n|y),(?:a=(?P<authzid>[^,\x00]+))?,")
# RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a client has sent."""

    username: str
    """Empty: whoever the token is of."""
    token: Secret
    """Empty: the client asks where tokens are had. Spec: RFC 7628 §4.3."""


def parse_oauthbearer(message: bytes) -> Bearer:
    """Read the one message of OAUTHBEARER.

    Spec: RFC 7628 §3.1.
    Errors: SaslSyntaxError.
    """
    header, separator, rest = _text(message).partition(KVSEP)
    found = _GS2.fullmatch(header)
    if not found or not separator or not rest.endswith(KVSEP):
        raise SaslSyntaxError("OAUTHBEARER: expected a GS2 header and pairs of key and value")
    if found["flag"].startswith("p"):
        raise SaslSyntaxError("OAUTHBEARER: channel binding is not supported")
    username = "" if found["authzid"] is None else scram.saslname(found["authzid"])
    return Bearer(username, _token(_pairs(rest)))


def parse_xoauth2(message: bytes) -> Bearer:
    """Read the one message of XOAUTH2: ``user=`` {address} ^A ``auth=Bearer `` {token} ^A ^A.

    Errors: SaslSyntaxError.
    """
    text = _text(message)
    user, separator, rest = text.partition(KVSEP)
    if not user.startswith("user=") or not separator or not rest.endswith(KVSEP):
        raise SaslSyntaxError("XOAUTH2: expected user and auth")
    return Bearer(user.removeprefix("user="), _token(_pairs(rest)))


def write_refusal(scope: str, configuration_url: str) -> bytes:
    """Give what OAUTHBEARER says to a token that is not good. Spec: RFC 7628 §3.2.2."""
    told = {"status": "invalid_token", "scope": scope, "openid-configuration": configuration_url}
    return json.dumps({name: value for name, value in told.items() if value}).encode()


def write_xoauth2_refusal(scope: str) -> bytes:
    """Give what XOAUTH2 says to a token that is not good."""
    return json.dumps({"status": "401", "schemes": "bearer", "scope": scope}).encode()


def _pairs(text: str) -> dict[str, str]:
    """Read ``*kvpair kvsep``; a key that comes twice could be read in two ways (attack row 63)."""
    pairs: dict[str, str] = {}
    for each in text[:-1].split(KVSEP)[:-1]:
        found = _KVPAIR.fullmatch(each)
        if not found or found[1].lower() in pairs:
            raise SaslSyntaxError("Expected pairs of key and value, each key once")
        pairs[found[1].lower()] = found[2]
    if text[:-1] and not text[:-1].endswith(KVSEP):
        raise SaslSyntaxError("The last pair has no end")
    return pairs


def _token(pairs: dict[str, str]) -> Secret:
    if "auth" not in pairs:
        raise SaslSyntaxError("There is no auth")
    if not pairs["auth"].strip():
        return Secret("")
    found = _BEARER.fullmatch(pairs["auth"])
    if not found:
        raise SaslSyntaxError("Only Bearer tokens are taken")
    return Secret(found[1])


def _text(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise SaslSyntaxError("The message is not UTF-8") from None
