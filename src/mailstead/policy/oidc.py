"""What the claims of a provider's tokens must say, and whom of ours a claim may name. Signatures are checked before.

Every reason is for the log; whoever came with the token hears only that it is not good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from mailstead.model.address import Address
from mailstead.model.errors import BadAddress

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
"""Signatures that are taken; never ``none``, nor one made with a secret. Spec: RFC 8725 §3.1, RFC 9068 §2.1."""
KEY_TYPES: Final = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
"""An algorithm is good for keys of its type only (attack row 63)."""
LEEWAY_S: Final = 60
"""How far clocks may be apart."""
SUBJECT_CHARACTERS_MAX: Final = 255
"""Spec: OpenID Connect Core §2 (sub)."""
ACCESS_TOKEN_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_ID_TOKEN_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
_OTHER_TYPES: Final = frozenset({"id", "refresh", "logout", "offline"})
"""What Keycloak writes into the claim ``typ`` of tokens that are no access tokens."""
_FINGERPRINT_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody of the provider."""

    issuer: str
    subject: str
    claims: Mapping[str, object] = field(default_factory=dict, repr=False)


def link_fingerprint(issuer: str, subject: str) -> bytes:
    """Give what tells this link from any other, for sessions that end with it (`usecases.revocations`)."""
    return sha256(f"oidc\0{issuer}\0{subject}".encode()).digest()[:_FINGERPRINT_OCTETS]


def subject_of(claims: Mapping[str, object]) -> str:
    """Give who it is at the provider; empty: the claim is missing, or cannot be."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or len(subject) > SUBJECT_CHARACTERS_MAX or not subject.isprintable():
        return ""
    return subject


def refusal_of_times(claims: Mapping[str, object], now_s: float) -> str:
    """Give why a token is not good at this moment; empty: it is. Spec: RFC 7519 §4.1.4 to §4.1.6."""
    end_s, not_before_s, issued_s = (_moment(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if end_s is None:
        return "no end"
    if end_s <= now_s - LEEWAY_S:
        return "over"
    for name, moment_s in (("nbf", not_before_s), ("iat", issued_s)):
        if name in claims and (moment_s is None or moment_s > now_s + LEEWAY_S):
            return f"{name} in the future"
    return ""


def refusal_of_id_token(claims: Mapping[str, object], *, issuer: str, client_id: str, nonce: str, now_s: float) -> str:
    """Give why an ID token is not good; empty: it is. Spec: OpenID Connect Core §3.1.3.7; attack row 94."""
    audiences = audiences_of(claims)
    if claims.get("iss") != issuer:
        return "issuer"
    if client_id not in audiences:
        return "audience"
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        return "authorized party"
    if not nonce or claims.get("nonce") != nonce:
        return "nonce"
    if "iat" not in claims:
        return "no iat"
    if not subject_of(claims):
        return "subject"
    return refusal_of_times(claims, now_s)


def refusal_of_access_token(
    claims: Mapping[str, object],
    *,
    header_type: object,
    issuer: str,
    client_id: str,
    audiences: Collection[str],
    now_s: float,
) -> str:
    """Give why an access token is not good; empty: it is.

    A provider that gives its access tokens no type of their own might let an ID token pass for one: what has the marks
    of an ID token, or is for the web log-in, is refused then. A token that is bound to a key of the client (DPoP, mTLS)
    is not one for whoever brings it, and SASL cannot show the key.

    Spec: RFC 9068 §4, RFC 8725 §3.12, RFC 7800 §3.1; attack row 63.
    """
    if claims.get("iss") != issuer:
        return "issuer"
    given = audiences_of(claims)
    if not given & frozenset(audiences):
        return "audience"
    if not (isinstance(header_type, str) and header_type.lower() in ACCESS_TOKEN_TYPES):
        if header_type is not None and not (isinstance(header_type, str) and header_type.upper() == "JWT"):
            return "type"
        kind = claims.get("typ")
        if isinstance(kind, str) and kind.lower() in _OTHER_TYPES:
            return "type"
        if claims.keys() & _ID_TOKEN_CLAIMS or given == {client_id}:
            return "an ID token"
    if "cnf" in claims:
        return "bound to a key"
    if not subject_of(claims):
        return "subject"
    return refusal_of_times(claims, now_s)


def refusal_of_introspection(
    told: Mapping[str, object], *, issuer: str, audiences: Collection[str], now_s: float
) -> str:
    """Give why a token that the provider was asked about is not good; empty: it is. Spec: RFC 7662 §2.2."""
    if told.get("active") is not True:
        return "not active"
    if "iss" in told and told["iss"] != issuer:
        return "issuer"
    if audiences and not audiences_of(told) & frozenset(audiences):
        return "audience"
    kind = told.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() not in {"bearer", "access_token"}:
        return "type"
    if "cnf" in told:
        return "bound to a key"
    if not subject_of(told):
        return "subject"
    return refusal_of_times({"exp": now_s + 1, **told}, now_s)  # the end is optional here


def audiences_of(claims: Mapping[str, object]) -> frozenset[str]:
    """Give for whom a token is; nothing where the claim cannot be."""
    audience = claims.get("aud")
    if isinstance(audience, str):
        return frozenset((audience,))
    if isinstance(audience, list) and all(isinstance(each, str) for each in audience):
        return frozenset(audience)
    return frozenset()


def claimed_address(claims: Mapping[str, object], claim: str, domains: Collection[str]) -> Address | None:
    """Give the address that a provider vouches for, of the domains that are its own; None: it vouches for none.

    A provider that lets people write any address into their profile vouches for nothing, so its word must be that it is
    verified, and its domains must be in the settings (attack row 94).
    """
    text = claims.get(claim)
    if claims.get("email_verified") is not True or not isinstance(text, str):
        return None
    try:
        address = Address.parse(text)
    except BadAddress:
        return None
    return address if address.domain in domains else None


def _moment(value: object) -> float | None:
    """Read a NumericDate; JSON's true is none. Spec: RFC 7519 §2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e11 else None
