"""DKIM: signatures of domains over messages, verified and made.

Spec: RFC 6376; RFC 8301 (no SHA-1, key sizes); RFC 8463 (Ed25519); RFC 8616 (internationalised domains).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim_keys import SigningKey, imported_key, load_key, new_keys, public_record
from mailstead.mailauth.dkim_record import fetch
from mailstead.mailauth.dkim_signature import check_body, check_signature, signature_of, signer_of
from mailstead.mailauth.dkim_tags import Refused, Tags, tags_of, without_spaces
from mailstead.model.authentication import DkimResult, Result
from mailstead.model.errors import DnsUnavailable
from mailstead.model.message import Octets
from mailstead.ports.resolver import Resolver

__all__ = ["SigningKey", "imported_key", "load_key", "new_keys", "public_record", "sign", "verify"]

SIGNATURES_MAX: Final = 10
"""So many signatures of a message are looked at, from the top (attack row 29)."""

SIGNATURE_VALID_S: Final = 7 * 86_400
"""Five days in queues and two to spare; what is sent to the world again later, passes no more (attack row 27)."""

_FIELD: Final = b"DKIM-Signature"
OVERSIGNED: Final = (
    b"From",
    b"To",
    b"Cc",
    b"Reply-To",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"In-Reply-To",
    b"References",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
    b"Autocrypt",
)
"""Signed once more than they are there, so that none can be added (attack row 28), and no key (row 103).

Spec: RFC 6376 §5.4.2, §8.15; Autocrypt 1.1 §2.1 (a second field makes readers ignore both).
"""
_LIST_PREFIX: Final = b"list-"
"""Fields of mailing lists are oversigned where there are some; where there are none, a list may add its own."""
_LINE_OCTETS: Final = 72


async def verify(
    octets: Octets, resolver: Resolver, now: datetime, *, message: CanonicalMessage | None = None
) -> tuple[DkimResult, ...]:
    """Verify the signatures of a message, all at the same time.

    Spec: RFC 6376 §6.1; RFC 8601 §2.7.1 (results).
    Shapes: one result per signature, in their order; empty if there are none. `message` is of the same octets, for
    callers that verify more than DKIM.
    """
    if message is None:
        message = CanonicalMessage(octets)
    fields = message.fields(b"dkim-signature")[:SIGNATURES_MAX]
    if len(fields) == 1:
        return (await _result(message, fields[0], resolver, now),)
    return tuple(await asyncio.gather(*(_result(message, field, resolver, now) for field in fields)))


async def _result(
    message: CanonicalMessage, field: tuple[bytes, bytes], resolver: Resolver, now: datetime
) -> DkimResult:
    tags: Tags = {}
    is_testing = False
    try:
        tags = tags_of(field[1])
        if tags.get(b"v") != b"1":
            raise Refused(Result.PERMERROR, "the version is missing or unknown")
        signature = signature_of(message, field, tags, now)
        identity = _identity_domain(tags, signature.signer.domain)
        await check_body(message, signature)
        key = await fetch(resolver, signature.signer.key_name)
        is_testing = key.is_testing
        if key.is_strict and identity != signature.signer.domain:
            raise Refused(Result.PERMERROR, "the key does not allow subdomains in i=")
        check_signature(message, signature, key)
    except Refused as refused:
        return _told(tags, refused.result, refused.reason, is_testing=is_testing)
    except DnsUnavailable:
        return _told(tags, Result.TEMPERROR, "the key cannot be fetched now")
    return _told(tags, Result.PASS, is_testing=is_testing)


def _identity_domain(tags: Tags, domain: str) -> str:
    """Give the domain of ``i=``, which is ``d=`` or below it. Spec: RFC 6376 §3.5, §6.1.1."""
    if b"i" not in tags:
        return domain
    _, at, identity = tags[b"i"].decode("utf-8", "replace").lower().rpartition("@")
    if not at or not f".{identity}".endswith(f".{domain}"):
        raise Refused(Result.PERMERROR, "i= is not in the domain of d=")
    return identity


def _told(tags: Tags, result: Result, reason: str = "", *, is_testing: bool = False) -> DkimResult:
    start = without_spaces(tags.get(b"b", b"")[:16])[:8].decode("ascii", "replace")
    return DkimResult(
        result,
        _domain(tags),
        _text(tags, b"s"),
        _text(tags, b"i"),
        _text(tags, b"a").lower(),
        start,
        reason,
        is_testing=is_testing,
    )


def _domain(tags: Tags) -> str:
    """Give ``d=`` in A-labels, as whoever compares domains needs it; what is no domain stays as it is written."""
    try:
        return signer_of(tags).domain
    except Refused:
        return _text(tags, b"d").lower()


def _text(tags: Tags, name: bytes) -> str:
    return tags[name].decode("utf-8", "replace") if name in tags else ""


def sign(octets: Octets, keys: Sequence[SigningKey], now: datetime, *, valid_s: int = SIGNATURE_VALID_S) -> bytes:
    """Sign a message with each key; give the DKIM-Signature fields that are to stand before it.

    Spec: RFC 6376 §5; RFC 8463 §3.
    Units: `valid_s` counts from now; give more for a message that is to be held first.
    """
    if not keys:
        return b""
    message = CanonicalMessage(octets)
    names = names_to_sign(message, OVERSIGNED)
    signed = sha256(message.selected(tuple(name.lower() for name in names), Form.RELAXED))
    body_hash = b64encode(message.body_hash(Form.RELAXED).digest)
    signed_at = int(now.timestamp())
    common = b"; t=%d; x=%d;\r\n\th=%b;\r\n\tbh=%b;\r\n\tb=" % (
        signed_at,
        signed_at + valid_s,
        folded_names(names),
        body_hash,
    )
    start = b"v=1; c=relaxed/relaxed;\r\n\t"
    return b"".join(key.signed_field(_FIELD, start + key.tags + common, signed) for key in keys)


def names_to_sign(message: CanonicalMessage, oversigned: Iterable[bytes]) -> list[bytes]:
    """Give the list for ``h=``: each name once for every field of it and once more."""
    names: list[bytes] = []
    for name in oversigned:
        names += [name] * (message.count(name.lower()) + 1)
    for name in message.names():
        if name.startswith(_LIST_PREFIX):
            names += [name] * (message.count(name) + 1)
    return names


def folded_names(names: Iterable[bytes]) -> bytes:
    """Join names for ``h=`` in lines of a readable length."""
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE_OCTETS:
            lines.append(b"")
        lines[-1] += name + b":"
    return b"\r\n\t".join(lines)[:-1]
