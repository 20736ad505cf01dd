"""Certificate and key: made at first start, watched, replaced without dropping a connection. Spec: attack row 39.

A context is never changed. A new pair that passes all checks gets a new context, which serves the handshakes from then
on; open connections keep theirs. A pair that fails a check is refused with a log line and a metric, and the old one
stays.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailstead.model.errors import BadSettings
from mailstead.net.tls import server_context
from mailstead.telemetry import log, metrics

_log = log.get("net")

SELF_SIGNED_DAYS: Final = 825
"""The longest that common clients accept of a certificate somebody has installed by hand."""

SELF_SIGNED_RENEW_DAYS: Final = 30

RSA_BITS_MIN: Final = 2048

Fingerprint = tuple[tuple[int, int, int], tuple[int, int, int]]
"""What tells a changed file: inode, size and time of change, of both files."""


class BadCertificate(Exception):  # a fact, in the manner of model.errors
    """A pair of files cannot serve; the text says why."""


class Certificates:
    """The pair in use. `context` is for the next handshake."""

    def __init__(self, certificate_file: Path, key_file: Path, watch_s: float = 5.0) -> None:
        """Load the pair. Errors: BadSettings, saying what to do."""
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._watch_s = watch_s
        try:
            self._seen = self._fingerprint()
            self._context = _checked_context(certificate_file, key_file, is_expired_allowed=True)
        except (OSError, BadCertificate) as error:
            raise BadSettings(
                f"The TLS certificate cannot be used: {error}. "
                "Correct tls.certificate_file and tls.key_file, or leave both empty for a self-signed one"
            ) from None

    def context(self) -> ssl.SSLContext:
        """Give the context for a new handshake."""
        return self._context

    async def watch(self) -> None:
        """Look at the files now and then, for ever."""
        while True:
            await asyncio.sleep(self._watch_s)  # polled (tls.watch_s): works on every file system and with renames
            await asyncio.to_thread(self.look)

    def look(self) -> bool:
        """Take over a new pair if there is one and it is good; whether it was taken."""
        try:
            seen = self._fingerprint()
            if seen == self._seen:
                return False
            self._seen = seen  # judged once: a broken pair is reported once, not every few seconds
            context = _checked_context(self._certificate_file, self._key_file, is_expired_allowed=False)
            if self._fingerprint() != seen:
                self._seen = seen
                raise BadCertificate("the files changed while they were read")
        except (OSError, BadCertificate) as error:
            metrics.CERTIFICATE_RELOADS.labels("refused").inc()
            _log.error(
                "new certificate refused, the old one stays", reason=str(error), file=str(self._certificate_file)
            )
            return False
        self._context = context
        metrics.CERTIFICATE_RELOADS.labels("taken").inc()
        _log.info("new certificate in use", file=str(self._certificate_file))
        return True

    def _fingerprint(self) -> Fingerprint:
        certificate, key = self._certificate_file.stat(), self._key_file.stat()
        return (
            (certificate.st_ino, certificate.st_size, certificate.st_mtime_ns),
            (key.st_ino, key.st_size, key.st_mtime_ns),
        )


def open_certificates(
    certificate_file: str,
    key_file: str,
    data_dir: Path,
    hostname: str,
    watch_s: float = 5.0,
    *,
    is_ordered: bool = False,
) -> Certificates:
    """Give the pair that the settings name, or the one of the data folder, which is self-signed at first.

    `is_ordered`: the one that is ordered from an authority. Errors: BadSettings.
    """
    if bool(certificate_file) != bool(key_file):
        raise BadSettings("Set both tls.certificate_file and tls.key_file, or neither")
    if certificate_file:
        return Certificates(Path(certificate_file), Path(key_file), watch_s)
    certificate = certificate_place("", data_dir, is_ordered=is_ordered)
    folder, key = certificate.parent, certificate.with_name("key.pem")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open_lock(folder / ".lock") as lock:
        # Several workers start at once; without the lock one's key could end up beside the other's certificate.
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Of those that are ordered an expired one is kept, too: ordering replaces it.
        if not (_is_pair if is_ordered else _is_good_for_a_while)(certificate, key):
            make_self_signed(certificate, key, hostname)
    return Certificates(certificate, key, watch_s)


def certificate_place(certificate_file: str, data_dir: Path, *, is_ordered: bool = False) -> Path:
    """Give where the chain is: as the setting says, or the place of the one that is ordered or self-signed."""
    if certificate_file:
        return Path(certificate_file)
    return (data_dir / "tls" / "acme" if is_ordered else data_dir / "tls") / "certificate.pem"


def make_self_signed(certificate_file: Path, key_file: Path, hostname: str, now: datetime | None = None) -> None:
    """Make an ECDSA P-256 key, for its owner only (0600), and a certificate for `hostname` and the loopback names."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(key_file, key_pem, 0o600)
    write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def open_lock(path: Path) -> IO[bytes]:
    """Open a file that processes lock against each other; for its owner only."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write beside and rename, so that nobody ever sees half a file; the mode is right from the first moment."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except BaseException:
        beside.unlink(missing_ok=True)  # on a full disk half a file would only take room
        raise


def _is_good_for_a_while(certificate_file: Path, key_file: Path) -> bool:
    """Whether our own self-signed pair exists and need not be renewed."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (OSError, ValueError):
        return False
    renew_at = certificate.not_valid_after_utc - timedelta(days=SELF_SIGNED_RENEW_DAYS)
    return key_file.exists() and datetime.now(UTC) < renew_at


def _is_pair(certificate_file: Path, key_file: Path) -> bool:
    """Whether both files are there and belong together, whatever the day."""
    try:
        _checked_context(certificate_file, key_file, is_expired_allowed=True)
    except (OSError, BadCertificate) as error:
        if certificate_file.exists():
            _log.error("the ordered certificate cannot be used, a self-signed one takes its place", reason=str(error))
        return False
    return True


def _checked_context(certificate_file: Path, key_file: Path, *, is_expired_allowed: bool) -> ssl.SSLContext:
    """Read, judge and load a pair. Errors: BadCertificate, OSError.

    At start an expired certificate is better than no service at all; it never replaces a pair in use.
    """
    try:
        leaf = x509.load_pem_x509_certificates(certificate_file.read_bytes())[0]
    except ValueError:
        raise BadCertificate(f"{certificate_file} is not a PEM certificate chain") from None
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadCertificate(f"{key_file} is not a PEM private key without passphrase") from None
    if isinstance(key, dsa.DSAPrivateKey):
        raise BadCertificate("DSA keys do not serve in TLS 1.3")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_BITS_MIN:
        raise BadCertificate(f"the RSA key has {key.key_size} bits; at least {RSA_BITS_MIN} are needed")
    try:
        if leaf.public_key() != key.public_key():
            raise BadCertificate("the key does not belong to the first certificate of the chain")
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate("the certificate's key is of a kind that is not known") from None
    now = datetime.now(UTC)
    if leaf.not_valid_after_utc <= now:
        if not is_expired_allowed:
            raise BadCertificate(f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}")
        _log.warning("the certificate has expired", expired=f"{leaf.not_valid_after_utc:%Y-%m-%d}")
    if leaf.not_valid_before_utc > now + timedelta(days=1):
        raise BadCertificate(f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}")
    try:
        return server_context(certificate_file, key_file)
    except ssl.SSLError as error:
        raise BadCertificate(f"OpenSSL refuses the pair ({error.reason})") from None
