"""ARC: the chain of those who have handled a message, verified, and extended by us.

Each of them adds one *set* of three fields: the results it found, a signature over the message as it left, and a seal
over all sets so far. A chain that passes says only that its sets are what the sealers wrote; whether they are to be
believed is for policy to say (attack row 30).

Spec: RFC 8617.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim import OVERSIGNED, folded_names, names_to_sign
from mailstead.mailauth.dkim_keys import SigningKey
from mailstead.mailauth.dkim_record import PublicKey, fetch
from mailstead.mailauth.dkim_signature import (
    Signature,
    Signer,
    algorithm_of,
    check_body,
    check_signature,
    signature_of,
    signer_of,
)
from mailstead.mailauth.dkim_tags import Refused, Tags, octets_of, tags_of, without_signature
from mailstead.model.authentication import ArcResult, Result
from mailstead.model.errors import DnsUnavailable
from mailstead.model.message import Octets
from mailstead.ports.resolver import Resolver

SETS_MAX: Final = 50
"""Spec: RFC 8617 §4.2.1."""

_RESULTS: Final = b"arc-authentication-results"
_MESSAGE_SIGNATURE: Final = b"arc-message-signature"
_SEAL: Final = b"arc-seal"
_NAMES: Final = (_RESULTS, _MESSAGE_SIGNATURE, _SEAL)
"""In the order in which a seal covers them. Spec: RFC 8617 §5.1.1."""

# RFC 8617 §4.1.1, §4.2.1:
#   arc-info = instance [CFWS] ";" authres-payload ; instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position
#   position = 1*2DIGIT ; 1 - 50
_INSTANCE: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*(\d{1,2})[ \t\r\n]*;")
_POSITION: Final = re.compile(rb"\d{1,2}")
_CHAIN_VALUES: Final = {Result.NONE: b"none", Result.PASS: b"pass", Result.FAIL: b"fail"}

RawField = tuple[bytes, bytes]


class _Set(NamedTuple):
    """The fields of one instance."""

    results: RawField
    signature: RawField
    signature_tags: Tags
    seal: RawField
    seal_tags: Tags

    @property
    def chain_value(self) -> bytes:
        return self.seal_tags.get(b"cv", b"").lower()


class _Seal(NamedTuple):
    """What one seal says, and the hash of all that it covers."""

    signer: Signer
    algorithm: bytes
    signature: bytes
    digest: bytes


async def verify(
    octets: Octets, resolver: Resolver, now: datetime, *, message: CanonicalMessage | None = None
) -> ArcResult:
    """Validate the chain of a message.

    Spec: RFC 8617 §5.2.
    Shapes: `message` is of the same octets, for callers that verify more than ARC.
    """
    if message is None:
        message = CanonicalMessage(octets)
    if not any(message.count(name) for name in _NAMES):
        return ArcResult(Result.NONE)
    sealers: tuple[str, ...] = ()
    try:
        chain = _chain(message)
        seals = _seals(message, chain)
        sealers = tuple(seal.signer.domain for seal in seals)
        signature = _newest_signature(message, chain[-1], now)
        await check_body(message, signature)
        keys = await _keys(resolver, [signature.signer, *(seal.signer for seal in seals)])
        check_signature(message, signature, _had(keys, signature.signer))
        for number in range(len(seals), 0, -1):
            seal = seals[number - 1]
            if not _had(keys, seal.signer).verifies(seal.algorithm, seal.signature, seal.digest):
                raise Refused(Result.FAIL, f"the seal of instance {number} does not fit")
    except Refused as refused:
        return ArcResult(Result.FAIL, sealers, reason=refused.reason)
    except DnsUnavailable:
        return ArcResult(Result.TEMPERROR, sealers, reason="a key cannot be fetched now")
    value = chain[-1].results[1]
    found = _INSTANCE.match(value)
    assert found is not None  # or it would be of no instance
    return ArcResult(Result.PASS, sealers, b" ".join(value[found.end() :].split()).decode("utf-8", "replace"))


def _chain(message: CanonicalMessage) -> list[_Set]:
    """Sort the fields into sets and check the structure.

    Errors: Refused (fail).
    Spec: RFC 8617 §5.2, steps 1 to 3.
    """
    if any(message.count(name) > SETS_MAX for name in _NAMES):
        raise Refused(Result.FAIL, f"the chain has more than {SETS_MAX} sets")
    results = _by_instance((_results_instance(field), field, {}) for field in message.fields(_RESULTS))
    signatures = _by_instance(_tagged(field) for field in message.fields(_MESSAGE_SIGNATURE))
    seals = _by_instance(_tagged(field) for field in message.fields(_SEAL))
    instances = range(1, len(seals) + 1)
    if not set(instances) == results.keys() == signatures.keys() == seals.keys():
        raise Refused(Result.FAIL, "the sets are not complete")
    chain = [_Set(results[i][0], *signatures[i], *seals[i]) for i in instances]
    if chain[-1].chain_value == b"fail":
        raise Refused(Result.FAIL, "the chain was found broken before")
    for number, each in enumerate(chain, 1):
        if each.chain_value != (b"none" if number == 1 else b"pass"):
            raise Refused(Result.FAIL, f"cv= of instance {number} is wrong")
        if b"h" in each.seal_tags:
            raise Refused(Result.FAIL, f"the seal of instance {number} has h=")
    return chain


def _by_instance(fields: Iterable[tuple[int, RawField, Tags]]) -> dict[int, tuple[RawField, Tags]]:
    found: dict[int, tuple[RawField, Tags]] = {}
    for instance, field, tags in fields:
        if instance in found:
            raise Refused(Result.FAIL, f"instance {instance} stands twice")
        found[instance] = (field, tags)
    return found


def _tagged(field: RawField) -> tuple[int, RawField, Tags]:
    tags = tags_of(field[1])
    position = tags.get(b"i", b"")
    if not _POSITION.fullmatch(position):
        raise Refused(Result.FAIL, "a field has no instance")
    return int(position), field, tags


def _results_instance(field: RawField) -> int:
    found = _INSTANCE.match(field[1])
    if found is None:
        raise Refused(Result.FAIL, "a field has no instance")
    return int(found[1])


def _newest_signature(message: CanonicalMessage, newest: _Set, now: datetime) -> Signature:
    """Read the signature that must fit the message as it is now.

    Errors: Refused.
    Spec: RFC 8617 §4.1.2, §5.2 step 4. The older ones need not fit any more. Covering results and signatures is
    forbidden, but older drafts did, and it harms nobody; covering seals cannot work.
    """
    signature = signature_of(message, newest.signature, newest.signature_tags, now)
    if _SEAL in signature.names:
        raise Refused(Result.FAIL, "the message signature covers seals")
    return signature


def _seals(message: CanonicalMessage, chain: Sequence[_Set]) -> list[_Seal]:
    """Read all seals; what each covers is hashed on from what the one before it did.

    Errors: Refused.
    Spec: RFC 8617 §4.1.3, §5.1.1.
    """
    seals: list[_Seal] = []
    covered = sha256()
    for each in chain:
        covered.update(message.canonical_field(each.results, Form.RELAXED))
        covered.update(message.canonical_field(each.signature, Form.RELAXED))
        name, value = each.seal
        itself = covered.copy()
        itself.update(
            message.canonical_field((name, without_signature(value)), Form.RELAXED).removesuffix(b"\r\n"),
        )
        tags = each.seal_tags
        seals.append(_Seal(signer_of(tags), algorithm_of(tags), octets_of(tags.get(b"b", b"")), itself.digest()))
        covered.update(message.canonical_field(each.seal, Form.RELAXED))
    return seals


async def _keys(resolver: Resolver, signers: Sequence[Signer]) -> dict[str, PublicKey | BaseException]:
    """Fetch all keys at the same time, each once; what goes wrong is kept until the key is needed."""
    names = list(dict.fromkeys(signer.key_name for signer in signers))
    found = await asyncio.gather(*(fetch(resolver, name) for name in names), return_exceptions=True)
    return dict(zip(names, found, strict=True))


def _had(keys: dict[str, PublicKey | BaseException], signer: Signer) -> PublicKey:
    key = keys[signer.key_name]
    if isinstance(key, BaseException):
        raise key
    return key


def seal(
    octets: Octets, key: SigningKey, authserv_id: str, results_text: str, chain: ArcResult, now: datetime
) -> bytes:
    """Add a set to the chain of a message that goes on; give its three fields, to stand before the message.

    Spec: RFC 8617 §5.1.
    Shapes: `results_text` is what stands behind ``authserv-id;`` in Authentication-Results. Empty if the chain must not
    be extended: it has ended with cv=fail, is full, or was not validated (for want of DNS, or at all).
    """
    message = CanonicalMessage(octets)
    has_chain = any(message.count(name) for name in _NAMES)
    if chain.result not in _CHAIN_VALUES or has_chain == (chain.result is Result.NONE):
        return b""
    # RFC 8617 §5.1.1: a broken chain is sealed as if the new set were the only one.
    covered = sha256()
    instance = 1
    if chain.result is Result.PASS:
        try:
            sets = _chain(message)
        except Refused:
            return b""  # not the message that was validated
        instance = len(sets) + 1
        for each in sets:
            for field in (each.results, each.signature, each.seal):
                covered.update(message.canonical_field(field, Form.RELAXED))
    elif chain.result is Result.FAIL:
        newest = _newest_seal(message)
        if newest.get(b"cv", b"").lower() == b"fail":
            return b""
        instance = _highest_instance(message) + 1
    if instance > SETS_MAX:
        return b""
    # RFC 8601 §2.2 (no-result): a line with white space only would end the header for some.
    results = f"i={instance}; {authserv_id};\r\n\t{results_text.strip() or 'none'}".encode()
    signature = _message_signature(message, key, instance, now)
    covered.update(message.canonical_field((_RESULTS, results), Form.RELAXED))
    name, _, value = signature.partition(b":")
    covered.update(message.canonical_field((name, value.removesuffix(b"\r\n")), Form.RELAXED))
    tags = b"i=%d; cv=%b;\r\n\t%b; t=%d;\r\n\tb=" % (
        instance,
        _CHAIN_VALUES[chain.result],
        key.tags,
        int(now.timestamp()),
    )
    return b"%b%bARC-Authentication-Results: %b\r\n" % (
        key.signed_field(b"ARC-Seal", tags, covered),
        signature,
        results,
    )


def _message_signature(message: CanonicalMessage, key: SigningKey, instance: int, now: datetime) -> bytes:
    """Sign the message as it goes on, with the DKIM signatures that it has.

    Spec: RFC 8617 §4.1.2.
    """
    names = names_to_sign(message, OVERSIGNED) + [b"DKIM-Signature"] * message.count(b"dkim-signature")
    signed = sha256(message.selected(tuple(name.lower() for name in names), Form.RELAXED))
    tags = b"i=%d; c=relaxed/relaxed;\r\n\t%b; t=%d;\r\n\th=%b;\r\n\tbh=%b;\r\n\tb=" % (
        instance,
        key.tags,
        int(now.timestamp()),
        folded_names(names),
        b64encode(message.body_hash(Form.RELAXED).digest),
    )
    return key.signed_field(b"ARC-Message-Signature", tags, signed)


def _highest_instance(message: CanonicalMessage) -> int:
    """Give the highest instance that can be read anywhere in a broken chain; 0 if there is none."""
    return max(_instances(message, _NAMES), default=0)


def _instances(message: CanonicalMessage, names: Iterable[bytes]) -> Iterable[int]:
    for name in names:
        for field in message.fields(name):
            try:
                yield _results_instance(field) if name == _RESULTS else _tagged(field)[0]
            except Refused:
                continue


def _newest_seal(message: CanonicalMessage) -> Tags:
    """Give the tags of the seal with the highest instance in a broken chain."""
    newest: tuple[int, Tags] = (0, {})
    for field in message.fields(_SEAL):
        try:
            instance, _, tags = _tagged(field)
        except Refused:
            continue
        newest = max(newest, (instance, tags), key=lambda each: each[0])
    return newest[1]
