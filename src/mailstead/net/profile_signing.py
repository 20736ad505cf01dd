"""Signs set-up profiles with the house's certificate, so that devices can say who they come from.

Spec: RFC 5652 §5 (signed data), with the content inside.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from mailstead.telemetry import log

_log = log.get("net")


class ProfileSigner:
    """Reads the pair each time: it may have been renewed."""

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file

    async def sign(self, octets: bytes) -> bytes | None:
        """Give the signed profile (DER).

        None where a signature would say nothing to a device: a certificate that is self-signed or has run out, or a
        kind of key that CMS readers do not know.
        """
        return await asyncio.to_thread(self._sign, octets)

    def _sign(self, octets: bytes) -> bytes | None:
        try:
            chain = x509.load_pem_x509_certificates(self._certificate_file.read_bytes())
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            _log.warning("a profile is not signed", cause=repr(error))
            return None
        leaf, *others = chain
        is_valid = leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc
        if (
            leaf.issuer == leaf.subject
            or not is_valid
            or not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
        ):
            return None
        builder = pkcs7.PKCS7SignatureBuilder().set_data(octets).add_signer(leaf, key, hashes.SHA256())
        for certificate in others:
            builder = builder.add_certificate(certificate)
        return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
