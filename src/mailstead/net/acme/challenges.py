"""What proves that a name is ours, and the folder where proofs lie while an authority looks for them.

Proofs are files, so that every worker answers, and a server answers for the command line that orders beside it.

Spec: RFC 8555 §8.1 (key authorization), §8.3 (http-01), §8.4 (dns-01); RFC 8737 (tls-alpn-01).
"""

from __future__ import annotations

import hashlib
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress
from mailstead.net.acme.jws import base64url, pem_of
from mailstead.net.acme.problems import AcmeFailed
from mailstead.net.certificates import write_whole
from mailstead.net.tls import bare_server_context

ACME_TLS: Final = "acme-tls/1"
"""The protocol that an authority offers when it looks. Spec: RFC 8737 §6.2."""

_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""Spec: RFC 8737 §6.1."""
_OCTET_STRING: Final = 0x04
_LIFE: Final = timedelta(days=2)

#   token: the base64url alphabet, no padding (RFC 8555 §8.3); nothing else becomes a file name.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")


def key_authorization(token: str, thumbprint: str) -> str:
    """Give what ties a token to our account. Spec: RFC 8555 §8.1."""
    return f"{token}.{thumbprint}"


def dns_value(authorization: str) -> str:
    """Give the text of the TXT record. Spec: RFC 8555 §8.4."""
    return base64url(hashlib.sha256(authorization.encode()).digest())


def alpn_pair(name: str, authorization: str, now: datetime) -> bytes:
    """Give key and self-signed certificate that prove `name`, as one PEM file. Spec: RFC 8737 §3."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    digest = hashlib.sha256(authorization.encode()).digest()
    identifier = x509.UnrecognizedExtension(_ACME_IDENTIFIER, bytes((_OCTET_STRING, len(digest))) + digest)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)  # clocks differ
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)  # as the subject is empty
        .add_extension(identifier, critical=True)
        .sign(key, hashes.SHA256())
    )
    return pem_of(key) + certificate.public_bytes(serialization.Encoding.PEM)


class ChallengeFiles:
    """The proofs that are up just now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def http_answer(self, token: str) -> str | None:
        """Give what is answered at ``/.well-known/acme-challenge/`` and the token; None: no such proof is up."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            return self._of_token(token).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None

    def alpn_context(self) -> ssl.SSLContext:
        """Give what serves an authority's handshake; for names without a proof it fails.

        Spec: RFC 8737 §3 (only this protocol; the name decides), RFC 6066 §3 (unrecognized_name).
        """
        outer = bare_server_context()
        outer.set_alpn_protocols([ACME_TLS])

        def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _first: ssl.SSLContext) -> int | None:
            chosen = bare_server_context()
            chosen.set_alpn_protocols([ACME_TLS])
            try:
                chosen.load_cert_chain(self._of_name(name or ""))
            except (OSError, BadAddress):  # ssl.SSLError is an OSError
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            connection.context = chosen
            return None

        outer.sni_callback = choose
        return outer

    def put_token(self, token: str, authorization: str) -> None:
        """Errors: AcmeFailed for a token that can be none; OSError."""
        if not _TOKEN.fullmatch(token):
            raise AcmeFailed("The certificate authority gives a token that can be none")
        self._make_folder()
        write_whole(self._of_token(token), authorization.encode("ascii"), 0o600)

    def put_pair(self, name: str, pair: bytes) -> None:
        """Errors: OSError, BadAddress."""
        self._make_folder()
        write_whole(self._of_name(name), pair, 0o600)

    def remove_token(self, token: str) -> None:
        """Errors: OSError."""
        if _TOKEN.fullmatch(token):
            self._of_token(token).unlink(missing_ok=True)

    def remove_pair(self, name: str) -> None:
        """Errors: OSError."""
        with suppress(BadAddress):
            self._of_name(name).unlink(missing_ok=True)

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _of_token(self, token: str) -> Path:
        return self._folder / f"{token}.txt"

    def _of_name(self, name: str) -> Path:
        return self._folder / f"{normal_domain(name)}.pem"


class HttpProver:
    """Proves by a file that our web service shows. Spec: RFC 8555 §8.3."""

    kind: str = "http-01"

    def __init__(self, files: ChallengeFiles) -> None:
        self._files = files

    async def prove(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # the token is enough
        """See `Prover`."""
        self._files.put_token(token, authorization)

    async def settle(self) -> None:
        """See `Prover`: nobody but us shows the proofs."""

    async def clear(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # the token is enough
        """See `Prover`."""
        self._files.remove_token(token)


class AlpnProver:
    """Proves by a certificate that our shared port shows. Spec: RFC 8737 §3."""

    kind: str = "tls-alpn-01"

    def __init__(self, files: ChallengeFiles) -> None:
        self._files = files

    async def prove(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # the name is enough
        """See `Prover`."""
        try:
            self._files.put_pair(name, alpn_pair(name, authorization, datetime.now(UTC)))
        except BadAddress:
            raise AcmeFailed(f"{name} is no name that tls-alpn-01 can prove; see acme.names") from None

    async def settle(self) -> None:
        """See `Prover`: nobody but us shows the proofs."""

    async def clear(self, name: str, token: str, authorization: str) -> None:  # noqa: ARG002  # the name is enough
        """See `Prover`."""
        self._files.remove_pair(name)
