"""An authority as an ACME client sees it: account, order, proofs, certificate.

The account is not remembered: whoever asks for a new one with a key that is known gets the old one.

Spec: RFC 8555 §7.1.1 (directory), §7.3 (account), §7.4 (order, finalize, certificate), §7.5 (authorizations).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailstead.net.acme.challenges import key_authorization
from mailstead.net.acme.jws import AccountKey, SignedRequests, base64url
from mailstead.net.acme.problems import AcmeFailed, problem, retry_after_s
from mailstead.ports.clock import Clock
from mailstead.ports.web import WebClient, WebResponse
from mailstead.telemetry import log

_log = log.get("net")

POLL_FIRST_S: Final = 1.0
POLL_MAX_S: Final = 30.0
"""Between two looks, whatever the authority asks for: an order is not worth waiting for by the hour."""
POLL_LIMIT_S: Final = 300.0
"""All waits for one thing together."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Prover(Protocol):
    """Shows an authority that a name is ours. `kind` is the challenge's type."""

    kind: str

    async def prove(self, name: str, token: str, authorization: str) -> None:
        """Put up what the authority will look for. Errors: AcmeFailed."""

    async def settle(self) -> None:
        """Wait until what is up can be seen from everywhere, or for so long as that may take."""

    async def clear(self, name: str, token: str, authorization: str) -> None:
        """Take it away. Errors: AcmeFailed."""


class _Directory(NamedTuple):
    new_account: str
    new_order: str


class _Proof(NamedTuple):
    url: str
    """Of the authorization."""
    challenge_url: str
    name: str
    token: str
    authorization: str


class AcmeClient:
    """One account at one authority. Errors of its verbs: AcmeFailed."""

    def __init__(
        self,
        web: WebClient,
        key: AccountKey,
        clock: Clock,
        *,
        directory_url: str,
        email: str = "",
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`pause` waits so many seconds."""
        self._requests = SignedRequests(web, key, clock)
        self._key = key
        self._clock = clock
        self._directory_url = directory_url
        self._contact = [f"mailto:{email}"] if email else []
        self._pause = pause

    async def obtain(self, names: Sequence[str], key: PrivateKey, prover: Prover) -> bytes:
        """Order a certificate for the names with our `key`; give the chain as PEM, the leaf first."""
        try:
            directory = await self._directory()
            await self._log_in(directory)
            return await self._order(directory, names, key, prover)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise AcmeFailed(
                f"The certificate authority does not speak ACME as it should ({error!r}); is acme.directory_url right?"
            ) from None

    async def _directory(self) -> _Directory:
        """Spec: RFC 8555 §7.1.1."""
        found = json.loads((await self._requests.get(self._directory_url)).octets)
        self._requests.new_nonce_url = found["newNonce"]
        return _Directory(found["newAccount"], found["newOrder"])

    async def _log_in(self, directory: _Directory) -> None:
        """Find or make the account, and let it have our address. Spec: RFC 8555 §7.3, §7.3.2."""
        contact = {"contact": self._contact} if self._contact else {}
        answer = await self._requests.post(directory.new_account, {"termsOfServiceAgreed": True, **contact})
        self._requests.account_url = answer.headers["location"]
        # Authorities that no longer keep addresses show none, and are not asked again.
        if answer.status == 200 and json.loads(answer.octets).get("contact", self._contact) != self._contact:
            await self._requests.post(self._requests.account_url, {"contact": self._contact})

    async def _order(self, directory: _Directory, names: Sequence[str], key: PrivateKey, prover: Prover) -> bytes:
        """Spec: RFC 8555 §7.4."""
        identifiers = [{"type": "dns", "value": name} for name in names]
        answer = await self._requests.post(directory.new_order, {"identifiers": identifiers})
        url, order = answer.headers["location"], json.loads(answer.octets)
        await self._authorize(order["authorizations"], prover)
        order = await self._polled(url, {"ready", "valid"}, {"pending"})
        if order["status"] == "ready":
            await self._requests.post(order["finalize"], {"csr": base64url(_request(names, key))})
            order = await self._polled(url, {"valid"}, {"ready", "processing"})
        return (await self._requests.post(order["certificate"], None)).octets

    async def _authorize(self, urls: Sequence[str], prover: Prover) -> None:
        """Prove all names, save those that the authority still remembers. Spec: RFC 8555 §7.5, §7.5.1.

        All proofs are up before the first is looked at: those of a name and of its wildcard are records of one name,
        which resolvers keep.
        """
        proofs: list[_Proof] = []
        try:
            for url in urls:
                authorization = json.loads((await self._requests.post(url, None)).octets)
                if authorization["status"] == "valid":
                    continue
                proof = self._proof(url, authorization, prover.kind)
                proofs.append(proof)
                await prover.prove(proof.name, proof.token, proof.authorization)
            await prover.settle()
            for proof in proofs:
                await self._requests.post(proof.challenge_url, {})
                await self._polled(proof.url, {"valid"}, {"pending"}, proof.name)
        finally:
            for proof in proofs:
                await _cleared(prover, proof)

    def _proof(self, url: str, authorization: dict[str, Any], kind: str) -> _Proof:
        """Choose the challenge that we can answer. Errors: AcmeFailed."""
        name = authorization["identifier"]["value"]
        offered = {each["type"]: each for each in authorization["challenges"]}
        challenge = offered.get(kind)
        if challenge is None:
            raise AcmeFailed(
                f"The certificate authority does not take {kind} for {name}; "
                f"set acme.challenge to one of: {', '.join(sorted(offered))}"
            )
        token = challenge["token"]
        return _Proof(url, challenge["url"], name, token, key_authorization(token, self._key.thumbprint))

    async def _polled(self, url: str, wanted: set[str], passing: set[str], name: str = "") -> dict[str, Any]:
        """Look again until the status is one that is wanted, at the pace that the authority asks for.

        Errors: AcmeFailed where it can become none. Spec: RFC 8555 §7.1.6 (status), §7.5.1 (Retry-After).
        """
        waited_s, wait_s = 0.0, POLL_FIRST_S
        while True:
            answer = await self._requests.post(url, None)
            found: dict[str, Any] = json.loads(answer.octets)
            if found["status"] in wanted:
                return found
            if found["status"] not in passing:
                raise _refusal(found, name)
            if waited_s >= POLL_LIMIT_S:
                raise AcmeFailed(f"The certificate authority does not get on{' with ' + name if name else ''} in time")
            await self._pause(pause_s := self._pause_s(answer, wait_s))
            waited_s += pause_s
            wait_s *= 1.5

    def _pause_s(self, answer: WebResponse, wait_s: float) -> float:
        asked_s = retry_after_s(answer.headers, self._clock.now())
        return min(max(wait_s if asked_s is None else asked_s, POLL_FIRST_S), POLL_MAX_S)


async def _cleared(prover: Prover, proof: _Proof) -> None:
    """Take a proof away; what is left behind harms nobody, and must not hide how the order went."""
    try:
        await prover.clear(proof.name, proof.token, proof.authorization)
    except (AcmeFailed, OSError) as error:
        _log.warning("the proof for a certificate could not be taken away", name=proof.name, reason=str(error))


def _refusal(found: dict[str, Any], name: str) -> AcmeFailed:
    """Give the error of an order or authorization that has failed. Spec: RFC 8555 §7.1.3, §8 (error)."""
    errors = [found["error"]] if "error" in found else []
    errors += [each["error"] for each in found.get("challenges", ()) if "error" in each]
    if errors:
        return problem(errors[0], name)
    return AcmeFailed(f"The certificate authority has given up{' ' + name if name else ''}: {found['status']}")


def _request(names: Sequence[str], key: PrivateKey) -> bytes:
    """Give a CSR. Spec: RFC 8555 §7.4 (all names in it); RFC 2986."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
