"""Requests to an authority: each is signed with the account's key and carries a nonce that serves once.

Spec: RFC 8555 §6.2 (authentication), §6.3 (POST-as-GET), §6.5 (nonces); RFC 7515 §7.2.2 (flattened JSON); RFC 7518
§3.4 (ES256); RFC 7638 (thumbprint).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mailstead.model.errors import BadSettings, WebFailed, WebRefused
from mailstead.net.acme.problems import AcmeFailed, failure
from mailstead.net.certificates import write_whole
from mailstead.ports.clock import Clock
from mailstead.ports.web import WebClient, WebResponse

ANSWER_OCTETS_MAX: Final = 256 * 1024
TRIES_MAX: Final = 8
"""With a new nonce each: an authority of several machines may not know its own nonces for a while."""

_COORDINATE_OCTETS: Final = 32


def base64url(octets: bytes) -> str:
    """Give octets in the form of JOSE, without padding. Spec: RFC 7515 §2."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


class AccountKey:
    """The P-256 key that the account is known by."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        numbers = key.public_key().public_numbers()
        self.jwk: Final = {
            "crv": "P-256",
            "kty": "EC",
            "x": base64url(numbers.x.to_bytes(_COORDINATE_OCTETS)),
            "y": base64url(numbers.y.to_bytes(_COORDINATE_OCTETS)),
        }

    @classmethod
    def open(cls, file: Path) -> AccountKey:
        """Read the key, or make it where there is none (0600). Errors: BadSettings for a file without such a key."""
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except FileNotFoundError:
            key = ec.generate_private_key(ec.SECP256R1())
            write_whole(file, pem_of(key), 0o600)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise BadSettings(
                f"{file} cannot be read as a P-256 key; put the right one back, or remove it for a new account"
            )
        return cls(key)

    @property
    def thumbprint(self) -> str:
        """What names the key in answers to challenges. Spec: RFC 7638 §3."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return base64url(hashlib.sha256(canonical.encode()).digest())

    def signed(self, protected: Mapping[str, Any], payload: Mapping[str, Any] | None) -> bytes:
        """Give a request's body; without payload it only reads. Spec: RFC 7515 §7.2.2; RFC 7518 §3.4."""
        head = base64url(json.dumps({"alg": "ES256", **protected}).encode())
        body = "" if payload is None else base64url(json.dumps(payload).encode())
        one, other = decode_dss_signature(self._key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256())))
        signature = one.to_bytes(_COORDINATE_OCTETS) + other.to_bytes(_COORDINATE_OCTETS)
        return json.dumps({"protected": head, "payload": body, "signature": base64url(signature)}).encode()


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a private key as a file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class SignedRequests:
    """Asks one authority. Errors of its verbs: AcmeFailed."""

    def __init__(self, web: WebClient, key: AccountKey, clock: Clock) -> None:
        self._web = web
        self._key = key
        self._clock = clock
        self._nonce = ""
        self.new_nonce_url = ""
        """From the directory, before the first `post`."""
        self.account_url = ""
        """Empty until the account is known; requests carry the whole key as long."""

    async def get(self, url: str) -> WebResponse:
        """Ask for what everybody may read: the directory, a nonce."""
        try:
            response = await self._web.get(url, octets_max=ANSWER_OCTETS_MAX)
        except (WebFailed, WebRefused) as error:
            raise _unreachable(error) from None
        return self._checked(response)

    async def post(self, url: str, payload: Mapping[str, Any] | None) -> WebResponse:
        """Send a signed request; None as payload only reads. A nonce that is refused is replaced."""
        for attempt in range(1, TRIES_MAX + 1):
            if not self._nonce:
                await self.get(self.new_nonce_url)
            if not self._nonce:
                raise AcmeFailed("The certificate authority gives no nonce; is acme.directory_url right?")
            signer: dict[str, Any] = {"kid": self.account_url} if self.account_url else {"jwk": self._key.jwk}
            nonce, self._nonce = self._nonce, ""
            body = self._key.signed({**signer, "nonce": nonce, "url": url}, payload)
            try:
                response = await self._web.post(
                    url, body, {"Content-Type": "application/jose+json"}, octets_max=ANSWER_OCTETS_MAX
                )
            except (WebFailed, WebRefused) as error:
                raise _unreachable(error) from None
            try:
                return self._checked(response)
            except AcmeFailed as error:
                if error.kind != "badNonce" or attempt == TRIES_MAX:
                    raise
        raise AssertionError  # the last try has returned or raised

    def _checked(self, response: WebResponse) -> WebResponse:
        self._nonce = response.headers.get("replay-nonce", "")
        if not 200 <= response.status < 300:
            raise failure(response, self._clock.now())
        return response


def _unreachable(error: WebFailed | WebRefused) -> AcmeFailed:
    return AcmeFailed(f"The certificate authority cannot be asked: {error.public_text}; see acme.directory_url")
