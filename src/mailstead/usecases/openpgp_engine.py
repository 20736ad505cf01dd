"""What is done with OpenPGP keys and messages: the one place that knows the library, which is loaded at first use.

The library's own policy refuses what EFAIL lived on: data without integrity protection, and data that was changed
(nothing of it is given out). Revoked and expired keys it would still encrypt to, so that is asked here.

Spec: RFC 9580; attack rows 88, 103. See docs/adr/0040.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Final

from mailstead.mime.openpgp import Flaw
from mailstead.mime.openpgp_keys import KEY_OCTETS_MAX
from mailstead.model.errors import PolicyRefused

if TYPE_CHECKING:
    from pysequoia import Cert, PyDecryptor, PySigner, Tsk

MESSAGE_OCTETS_MAX: Final = 64 << 20
"""Of what is decrypted, before and behind."""
KEYS_AT_ONCE_MAX: Final = 20
"""Taken of one text."""
_ADDRESS: Final = re.compile(r"<([^<>]{1,320})>\s*$")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a public key says of itself."""

    fingerprint: str
    user_ids: tuple[str, ...]
    octets: bytes = field(repr=False)
    is_revoked: bool = False
    expires_at: datetime | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those of its user ids, in lower case. Spec: RFC 9580 §5.11."""
        found = (_ADDRESS.search(each) for each in self.user_ids)
        named = [
            (match[1] if match else each).strip().lower() for match, each in zip(found, self.user_ids, strict=True)
        ]
        return tuple(dict.fromkeys(each for each in named if "@" in each))

    def can_be_used(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return not self.is_revoked and (self.expires_at is None or self.expires_at > now)


def addresses_of(user_ids: Sequence[str]) -> tuple[str, ...]:
    """Give the addresses of user ids, in lower case. Spec: RFC 9580 §5.11."""
    found = [(_ADDRESS.search(each), each) for each in user_ids]
    named = [(match[1] if match else each).strip().lower() for match, each in found]
    return tuple(dict.fromkeys(each for each in named if "@" in each))


class Checked(Enum):
    """What the mathematics of a signature say."""

    NONE = "none"
    GOOD = "good"
    UNKNOWN_KEY = "unknown key"
    BAD = "bad"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in an OpenPGP message."""

    octets: bytes = field(repr=False)
    checked: Checked = Checked.NONE
    signer: str = ""
    """Fingerprint of the key that has signed, where that is good."""


class SecretKey:
    """A secret key that is unlocked; lives in memory only. `repr` shows its fingerprint alone."""

    __slots__ = ("_certifier", "_decryptor", "_signer", "fingerprint", "public")

    def __init__(self, tsk: Tsk, password: str | None) -> None:
        """Errors: RuntimeError of the library, where the password is another one, or a key for it is missing."""
        cert = tsk.extract_certificate()
        self.fingerprint: Final = cert.fingerprint
        self.public: Final = bytes(cert)
        self._decryptor: Final[PyDecryptor] = tsk.decryptor(password)
        self._signer: Final[PySigner] = tsk.signer(password)
        try:
            self._certifier: PySigner | None = tsk.certifier(password)
        except RuntimeError:  # the primary key may be kept elsewhere
            self._certifier = None

    def __repr__(self) -> str:
        return f"SecretKey({self.fingerprint})"

    def revoked(self) -> bytes:
        """Give the public key with its own revocation. Errors: PolicyRefused, without the primary secret key."""
        from pysequoia import Cert

        if self._certifier is None:
            raise PolicyRefused("The part of the key that could revoke it is not here")
        cert = Cert.from_bytes(self.public)
        return bytes(Cert.from_bytes(self.public + bytes(cert.revoke(self._certifier))))

    def decrypt(self, octets: bytes, known: Sequence[bytes] = ()) -> Opened:
        """Decrypt a message, and look at its signature by the keys that are known.

        Errors: Flaw, in words for the reader: not for this key, changed on the way, without integrity protection.
        """
        from pysequoia import decrypt

        if len(octets) > MESSAGE_OCTETS_MAX:
            raise Flaw("it is too large to be decrypted here")
        asked: list[str] = []
        certs = _certs(known)

        def store(ids: list[str]) -> list[Cert]:
            asked.extend(ids)
            return certs

        # First without signatures: a message is readable whatever they are. The same refusals apply to both.
        try:
            plain = decrypt(octets, decryptor=self._decryptor).bytes or b""
        except RuntimeError as error:
            raise Flaw(_reason(error)) from None
        if len(plain) > MESSAGE_OCTETS_MAX:
            raise Flaw("it is too large to be decrypted here")
        try:
            found = decrypt(octets, decryptor=self._decryptor, store=store)
        except RuntimeError as error:
            if not asked:
                return Opened(plain)
            if "structure" in _first_line(error):  # signed below a compression, which the library does not look into
                return Opened(plain, Checked.UNCHECKED)
            return Opened(plain, Checked.BAD if _is_known(asked, certs) else Checked.UNKNOWN_KEY)
        if not found.valid_sigs:
            return Opened(plain)
        return Opened(plain, Checked.GOOD, found.valid_sigs[0].certificate)

    def sign(self, octets: bytes) -> bytes:
        """Give a detached signature, armored."""
        from pysequoia import SignatureMode, sign

        return sign(self._signer, octets, mode=SignatureMode.DETACHED)

    def encrypt(self, octets: bytes, recipients: Sequence[bytes], *, signs: bool) -> bytes:
        """Encrypt, and sign within. Errors: as `encrypted`."""
        return encrypted(octets, recipients, self._signer if signs else None)


def encrypted(octets: bytes, recipients: Sequence[bytes], signer: PySigner | None = None) -> bytes:
    """Encrypt for keys that were asked `can_be_used`, armored.

    Errors: PolicyRefused, for one that has no encryption key.
    """
    from pysequoia import encrypt

    try:
        return encrypt(octets, recipients=_certs(recipients), signer=signer)
    except RuntimeError:
        raise PolicyRefused("A recipient's key cannot be used to encrypt") from None


def merged(before: bytes, now: bytes) -> bytes:
    """Give one key of two copies: what either says, a revocation above all."""
    from pysequoia import Cert

    return bytes(Cert.from_bytes(before).merge(Cert.from_bytes(now)))


def make_secret(user_id: str) -> bytes:
    """Make a secret key: Ed25519 and X25519 in the form of RFC 4880, which every program of today reads."""
    from pysequoia import Profile, Tsk

    return bytes(Tsk.generate(user_id, profile=Profile.RFC4880))


def unlocked(secret: bytes, password: str) -> SecretKey:
    """Unlock a secret key, with or without a password of its own.

    Errors: Flaw, for what is no secret key, and for a wrong password.
    """
    from pysequoia import Tsk

    try:
        tsk = Tsk.from_bytes(secret)
    except RuntimeError:
        raise Flaw("that is no secret key (BEGIN PGP PRIVATE KEY BLOCK)") from None
    for candidate in (None, password):
        try:
            return SecretKey(tsk, candidate)
        except RuntimeError:
            continue
    raise Flaw("the passphrase is another one, or the key cannot both sign and decrypt")


def secret_octets(text: str) -> bytes:
    """Give an armored secret key in binary. Errors: Flaw."""
    from pysequoia import Tsk

    if len(text) > KEY_OCTETS_MAX * 2:
        raise Flaw("the key is too large")
    try:
        return bytes(Tsk.from_bytes(text.encode("utf-8", "replace")))
    except RuntimeError:
        raise Flaw("that is no secret key (BEGIN PGP PRIVATE KEY BLOCK)") from None


def public_keys(octets: bytes) -> list[PublicKey]:
    """Read public keys, armored or not; each made small (attack row 103). Errors: Flaw."""
    from pysequoia import Cert
    from pysequoia.packet import PacketPile, Tag

    if len(octets) > KEY_OCTETS_MAX * 2:
        raise Flaw("the key is too large")
    try:
        certs = Cert.split_bytes(octets)
    except RuntimeError:
        certs = []
    if not certs:
        raise Flaw("that is no public key (BEGIN PGP PUBLIC KEY BLOCK)")
    if len(certs) > KEYS_AT_ONCE_MAX:
        raise Flaw(f"at most {KEYS_AT_ONCE_MAX} keys are taken at once")
    if any(each.tag in (Tag.SecretKey, Tag.SecretSubkey) for each in PacketPile.from_bytes(octets)):
        raise Flaw("that is a secret key; take the public one, and the secret one for known to others")
    found = []
    for each in certs:
        cert = _small(each)
        user_ids = tuple(str(user_id)[:500] for user_id in cert.user_ids[:50])
        found.append(PublicKey(cert.fingerprint, user_ids, bytes(cert), cert.is_revoked, _moment(cert.expiration)))
    return found


def _small(cert: Cert) -> Cert:
    """Give a key without what others have said of it, and without pictures (attack row 103, CVE-2019-13050)."""
    from pysequoia import Cert
    from pysequoia.packet import PacketPile, Tag

    kept, is_kept = [], True
    for each in PacketPile.from_bytes(bytes(cert)):
        if each.tag == Tag.Signature:
            issuer = each.issuer_fingerprint or each.issuer_key_id or ""
            if not is_kept or not issuer or not cert.fingerprint.endswith(issuer.lower()):
                continue
        else:
            is_kept = each.tag != Tag.UserAttribute
            if not is_kept:
                continue
        kept.append(each)
    return Cert.from_packets(kept)


def armored(octets: bytes) -> str:
    """Give a public key as people pass it on."""
    from pysequoia import ArmorKind, armor

    return armor(octets, ArmorKind.PublicKey)


def armored_secret(octets: bytes) -> str:
    """Give a secret key as people pass it on."""
    from pysequoia import ArmorKind, armor

    return armor(octets, ArmorKind.SecretKey)


def checked_detached(octets: bytes, signature: bytes, known: Sequence[bytes]) -> tuple[Checked, str]:
    """Check a detached signature; gives the signer's fingerprint where it is good. Spec: RFC 3156 §5."""
    from pysequoia import Sig, verify

    certs = _certs(known)
    try:
        sig = Sig.from_bytes(signature)
    except RuntimeError:
        return Checked.BAD, ""
    issuer = [each for each in (sig.issuer_fingerprint, sig.issuer_key_id) if each]
    try:
        found = verify(bytes=octets, store=lambda _ids: certs, signature=sig)
    except RuntimeError:
        return Checked.BAD if _is_known(issuer, certs) else Checked.UNKNOWN_KEY, ""
    if not found.valid_sigs:
        return Checked.UNKNOWN_KEY, ""
    return Checked.GOOD, found.valid_sigs[0].certificate


def checked_inline(octets: bytes, known: Sequence[bytes]) -> tuple[Opened | None, Checked]:
    """Check text that is signed within itself; gives what is covered, where that is good. Spec: RFC 9580 §7."""
    from pysequoia import verify

    asked: list[str] = []
    certs = _certs(known)

    def store(ids: list[str]) -> list[Cert]:
        asked.extend(ids)
        return certs

    try:
        found = verify(bytes=octets, store=store)
    except RuntimeError:
        return None, Checked.BAD if _is_known(asked, certs) or not asked else Checked.UNKNOWN_KEY
    if not found.valid_sigs:
        return None, Checked.BAD
    return Opened(found.bytes or b"", Checked.GOOD, found.valid_sigs[0].certificate), Checked.GOOD


def _certs(octets: Sequence[bytes]) -> list[Cert]:
    from pysequoia import Cert

    return [Cert.from_bytes(each) for each in octets]


def _is_known(ids: Sequence[str], certs: Sequence[Cert]) -> bool:
    """Whether a key with one of these ids, a subkey's or not, is among those that are known."""
    from pysequoia.packet import PacketPile

    known = {
        each.fingerprint.lower()
        for cert in certs
        for each in PacketPile.from_bytes(bytes(cert))
        if each.fingerprint is not None
    }
    return any(each.endswith(wanted.lower()) or each.startswith(wanted.lower()) for wanted in ids for each in known)


def _moment(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


def _first_line(error: RuntimeError) -> str:
    return str(error).partition("\n")[0]


def _reason(error: RuntimeError) -> str:
    """Say why nothing is shown. The library's texts may change; what is not known is told as the worst."""
    text = _first_line(error)
    if "No key to decrypt" in text or "no key" in text.lower():
        return "it is not encrypted for the key that is here"
    if "Policy rejected" in text:
        return "it is not protected against changes, so nothing of it is shown"
    return "it was changed on the way, or is broken; nothing of it is shown"
