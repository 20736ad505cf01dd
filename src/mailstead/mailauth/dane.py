"""DANE for SMTP: certificates of mail exchangers named in DNS, under DNSSEC.

Theory of operation. DANE applies to a host only if DNSSEC vouches for all that led to it: the MX records, its
addresses, and the TLSA records themselves. Then the host must show a certificate that one of them names, or gets no
mail. What cannot be looked up (bogus, no answer) is never taken for absence: an attacker could bring that about.

Spec: RFC 7672 (SMTP); RFC 6698 (TLSA); RFC 7671 (operation).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Answer, Resolver, Tlsa

DANE_TA: Final = 2
"""The record names an authority, under which the certificate must verify."""
DANE_EE: Final = 3
"""The record names the certificate itself; its names and dates say nothing then."""
CERTIFICATE: Final = 0
PUBLIC_KEY: Final = 1
FULL: Final = 0
SHA2_256: Final = 1
SHA2_512: Final = 2

_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    TypeError,  # of odd names; found by fuzzing
)
"""What the library says to certificates that are none."""

CHAIN_MAX: Final = 10
RECORDS_MAX: Final = 50

# What private authorities leave out of their certificates does not matter, as the record vouches for them.
_CA_POLICY: Final = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_EE_POLICY: Final = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


@dataclass(frozen=True, slots=True)
class DaneRecords:
    """The TLSA records of a host."""

    records: tuple[Tlsa, ...]
    names: tuple[str, ...]
    """Of which a certificate under a named authority must have one. Spec: RFC 7672 §3.2.2."""
    is_usable: bool
    """False: none can be understood, so TLS is demanded, but nobody can be verified. Spec: RFC 7672 §2.2."""


async def records_for(
    resolver: Resolver, mx_host: str, port: int, *, is_mx_authentic: bool, next_hop: str
) -> DaneRecords | None:
    """Give the TLSA records of a mail exchanger, or None if DANE does not apply to it.

    `is_mx_authentic`: DNSSEC vouches for the name of the host. `next_hop`: the domain whose mail it takes.
    Spec: RFC 7672 §2.1.1, §2.1.3, §2.2.1–§2.2.3.
    Errors: DnsUnavailable: the host must not be used now.
    """
    if not is_mx_authentic:
        return None
    host = mx_host.removesuffix(".").lower()
    addresses = await _addresses(resolver, host)
    canonical = next((answer.canonical_name for answer in addresses if answer.canonical_name), host)
    if all(answer.is_authentic for answer in addresses):
        # RFC 7672 §2.2.2: where the alias leads first, then the alias itself.
        bases = tuple(dict.fromkeys((canonical, host)))
    elif canonical != host:
        # The alias may be secure although its end is not; the AD bit of its own TLSA records tells.
        bases = (host,)
    else:
        # RFC 7672 §2.2.2: no question about TLSA in insecure zones, as some of their servers cannot bear it.
        return None
    for base in bases:
        answer = await resolver.tlsa(f"_{port}._tcp.{base}")
        if answer.is_authentic and answer.records:
            records = answer.records[:RECORDS_MAX]
            names = tuple(dict.fromkeys((base, next_hop.removesuffix(".").lower())))
            return DaneRecords(records, names, any(_is_usable(record) for record in records))
    return None


async def _addresses(resolver: Resolver, host: str) -> list[Answer[str]]:
    """Give the answers that have addresses, or else all that came. Errors: DnsUnavailable, if none came."""
    answers = await asyncio.gather(resolver.a(host), resolver.aaaa(host), return_exceptions=True)
    came: list[Answer[str]] = []
    failure: DnsUnavailable | None = None
    for answer in answers:
        if isinstance(answer, DnsUnavailable):
            failure = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            came.append(answer)
    if failure is not None and not any(answer.records for answer in came):
        raise failure
    return [answer for answer in came if answer.records] or came


def _is_usable(record: Tlsa) -> bool:
    """Spec: RFC 7672 §3.1 (usages 0 and 1 are none for SMTP); RFC 6698 §2.1."""
    if record.usage not in {DANE_TA, DANE_EE} or record.selector not in {CERTIFICATE, PUBLIC_KEY}:
        return False
    match record.matching_type:
        case 0:
            return bool(record.data)
        case 1:
            return len(record.data) == 32
        case 2:
            return len(record.data) == 64
        case _:
            return False


def matches(records: DaneRecords, chain: Sequence[bytes], now: datetime | None = None) -> bool:
    """Whether one of the records names what a host has shown.

    Shapes: `chain` is DER, the host's own certificate first.
    Spec: RFC 7672 §3.1.1 (DANE-EE: names and dates are not looked at), §3.1.2, §3.2 (DANE-TA: the chain up to the named
    authority, and the name of the host); RFC 7671 §9 (of several digests the strongest counts).
    """
    certificates = [certificate for der in chain[:CHAIN_MAX] if (certificate := _certificate(der)) is not None]
    if not certificates:
        return False
    usable = [record for record in records.records if _is_usable(record)]
    counting = [record for record in usable if not _is_outdone(record, usable)]
    leaf, *above = certificates
    if any(record.usage == DANE_EE and _names(record, leaf) for record in counting):
        return True
    authorities = [record for record in counting if record.usage == DANE_TA]
    anchors = [each for each in above if any(_names(record, each) for record in authorities)]
    # RFC 7671 §5.2.3: a record that holds a whole certificate stands for it even if the host does not show it.
    whole = [record for record in authorities if (record.selector, record.matching_type) == (CERTIFICATE, FULL)]
    anchors += [certificate for record in whole if (certificate := _certificate(record.data)) is not None]
    return bool(anchors) and _verifies(leaf, above, anchors, records.names, now or datetime.now(UTC))


def _certificate(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE:
        return None


def _is_outdone(record: Tlsa, records: Sequence[Tlsa]) -> bool:
    """Whether a stronger digest of the same kind is published, so that a weak one cannot be made use of."""
    kind = (record.usage, record.selector)
    return record.matching_type == SHA2_256 and any(
        other.matching_type == SHA2_512 and (other.usage, other.selector) == kind for other in records
    )


def _names(record: Tlsa, certificate: x509.Certificate) -> bool:
    """Spec: RFC 6698 §2.1.2, §2.1.3."""
    try:
        if record.selector == CERTIFICATE:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        return False
    match record.matching_type:
        case 1:
            octets = sha256(octets).digest()
        case 2:
            octets = sha512(octets).digest()
    return octets == record.data


def _verifies(
    leaf: x509.Certificate,
    above: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    names: Sequence[str],
    now: datetime,
) -> bool:
    """Whether there is a chain of signatures, dates and rights from a named authority to the leaf, which has a name."""
    builder = PolicyBuilder().store(Store(list(anchors))).time(now.astimezone(UTC).replace(tzinfo=None))
    builder = builder.extension_policies(ca_policy=_CA_POLICY, ee_policy=_EE_POLICY)
    for name in names:
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(leaf, list(above))
        except (VerificationError, *_UNREADABLE):
            continue
        return True
    return False
