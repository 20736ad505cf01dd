"""One signature field: its tags read, its rules checked, its octets verified. Shared by DKIM and ARC.

Spec: RFC 6376 §3.5, §6.1; RFC 8617 §4.1.2 (ARC-Message-Signature).
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim_record import PublicKey
from mailstead.mailauth.dkim_tags import (
    Refused,
    Tags,
    octets_of,
    without_signature,
    words_of,
)
from mailstead.model.address import normal_domain
from mailstead.model.authentication import Result
from mailstead.model.errors import BadAddress

THREAD_OCTETS: Final = 1 << 18
"""A body above this size is hashed in a thread."""
FUTURE_MAX_S: Final = 86_400
"""More senders have a clock with the wrong time zone than there are signatures made in advance."""
EXPIRY_GRACE_S: Final = 300
_NAME_OCTETS_MAX: Final = 255
_ALGORITHMS: Final = frozenset({b"rsa-sha256", b"ed25519-sha256"})
# RFC 6376 §3.1:  selector = sub-domain *( "." sub-domain ). Underscores appear in real ones.
_SELECTOR: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SECONDS_DIGITS_MAX: Final = 12
_LENGTH_DIGITS_MAX: Final = 76
_FORMS: Final = {
    b"simple": (Form.SIMPLE, Form.SIMPLE),
    b"relaxed": (Form.RELAXED, Form.SIMPLE),
    b"simple/simple": (Form.SIMPLE, Form.SIMPLE),
    b"simple/relaxed": (Form.SIMPLE, Form.RELAXED),
    b"relaxed/simple": (Form.RELAXED, Form.SIMPLE),
    b"relaxed/relaxed": (Form.RELAXED, Form.RELAXED),
}
"""Of header and body; what is not said is simple. Spec: RFC 6376 §3.5."""


class Signer(NamedTuple):
    """Who has signed."""

    domain: str
    selector: str
    key_name: str
    """Where the key is."""


class Signature(NamedTuple):
    """What one signature field says."""

    signer: Signer
    algorithm: bytes
    signature: bytes
    body_hash: bytes
    header_form: Form
    body_form: Form
    names: tuple[bytes, ...]
    """h=, in lower case"""
    length: int | None
    """l="""
    itself: bytes
    """The field itself, as it is signed."""


def signature_of(message: CanonicalMessage, field: tuple[bytes, bytes], tags: Tags, now: datetime) -> Signature:
    """Read a signature field and check all that can be checked without its key.

    Errors: Refused.
    Spec: RFC 6376 §3.5, §6.1.1.
    """
    for name in (b"b", b"bh", b"h"):
        if not tags.get(name):
            raise Refused(Result.PERMERROR, f"the tag {name.decode()}= is missing")
    algorithm = algorithm_of(tags)
    forms = _FORMS.get(tags.get(b"c", b"simple").lower())
    if forms is None:
        raise Refused(Result.PERMERROR, "the canonicalization is unknown")
    names = words_of(tags[b"h"])
    if b"from" not in names:
        raise Refused(Result.PERMERROR, "From is not signed")
    if b"q" in tags and b"dns/txt" not in words_of(tags[b"q"]):
        raise Refused(Result.PERMERROR, "the key cannot be had by an unknown method")
    check_times(tags, now)
    length = tags.get(b"l")
    if length is not None and (not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX):
        raise Refused(Result.PERMERROR, "l= is not a number")
    name, value = field
    itself = message.canonical_field((name, without_signature(value)), forms[0])
    return Signature(
        signer_of(tags),
        algorithm,
        octets_of(tags[b"b"]),
        octets_of(tags[b"bh"]),
        *forms,
        names,
        None if length is None else int(length),
        itself.removesuffix(b"\r\n"),
    )


def signer_of(tags: Tags) -> Signer:
    """Read ``d=`` and ``s=``.

    Errors: Refused (permerror).
    """
    domain, selector = tags.get(b"d", b""), tags.get(b"s", b"")
    if not domain or not selector or len(domain) + len(selector) > _NAME_OCTETS_MAX:
        raise Refused(Result.PERMERROR, "d= or s= is missing or too long")
    signer = _signer(domain, selector)
    if signer is None:
        raise Refused(Result.PERMERROR, "d= or s= is not a domain name")
    return signer


@lru_cache(maxsize=1024)
def _signer(domain: bytes, selector: bytes) -> Signer | None:
    try:
        name, label = normal_domain(domain.decode()), normal_domain(selector.decode())
    except (UnicodeDecodeError, BadAddress):
        return None
    if name.startswith("[") or not _SELECTOR.fullmatch(label):
        return None
    return Signer(name, label, f"{label}._domainkey.{name}")


def algorithm_of(tags: Tags) -> bytes:
    """Read ``a=``.

    Errors: Refused; for SHA-1 too, which proves nothing any more.
    Spec: RFC 8301 §3.1, RFC 8463 §3.
    """
    algorithm = tags.get(b"a", b"").lower()
    if algorithm == b"rsa-sha1":
        raise Refused(Result.POLICY, "rsa-sha1 is not accepted")
    if algorithm not in _ALGORITHMS:
        raise Refused(Result.PERMERROR, "the algorithm is missing or unknown")
    return algorithm


def check_times(tags: Tags, now: datetime) -> None:
    """Check ``t=`` and ``x=``.

    Errors: Refused.
    Spec: RFC 6376 §3.5.
    """
    signed_at, expires_at = _seconds(tags, b"t"), _seconds(tags, b"x")
    if expires_at is None and signed_at is None:
        return
    now_s = now.timestamp()
    if expires_at is not None and signed_at is not None and expires_at <= signed_at:
        raise Refused(Result.PERMERROR, "x= is not behind t=")
    if expires_at is not None and expires_at + EXPIRY_GRACE_S < now_s:
        raise Refused(Result.POLICY, "the signature has expired")
    if signed_at is not None and signed_at - FUTURE_MAX_S > now_s:
        raise Refused(Result.POLICY, "the signature is from the future")


def _seconds(tags: Tags, name: bytes) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if not value.isdigit() or len(value) > _SECONDS_DIGITS_MAX:
        raise Refused(Result.PERMERROR, f"the tag {name.decode()}= is not a time")
    return int(value)


async def check_body(message: CanonicalMessage, signature: Signature) -> None:
    """Check the hash of the body, all of it.

    Errors: Refused (fail; policy if ``l=`` leaves a tail that nobody has signed, attack row 28).
    Spec: RFC 6376 §3.7, §6.1.3, §8.2.
    """
    if message.body_octets <= THREAD_OCTETS:
        _check_body(message, signature)
    else:
        await asyncio.to_thread(_check_body, message, signature)


def _check_body(message: CanonicalMessage, signature: Signature) -> None:
    if signature.length is not None:
        size = message.body_hash(signature.body_form).size
        if signature.length > size:
            raise Refused(Result.PERMERROR, "l= is larger than the body")
        if signature.length < size:
            raise Refused(Result.POLICY, "the signature does not cover the whole body (l=)")
    if not message.has_body_hash(signature.body_hash, signature.body_form):
        raise Refused(Result.FAIL, "the body was changed")


def check_signature(message: CanonicalMessage, signature: Signature, key: PublicKey) -> None:
    """Check the signature over the header.

    Errors: Refused.
    Spec: RFC 6376 §3.7, §6.1.3.
    """
    signed = sha256(message.selected(signature.names, signature.header_form) + signature.itself)
    if not key.verifies(signature.algorithm, signature.signature, signed.digest()):
        raise Refused(Result.FAIL, "the signature does not fit the header")
