"""The OpenID Connect provider: what it says of itself, its keys, and the tokens that it has signed.

Theory of operation. Where things are is read from the provider's configuration, under the issuer's own name, and is
believed only if it names that issuer. Keys come from the set that is named there, and from nowhere else: what a token
itself says of keys (``jwk``, ``jku``, ``x5u``) is not looked at, and its ``kid`` only chooses among the set (attack row
63). Both are kept for an hour; a ``kid`` that is not known makes us look again, once a minute at most, so that nobody
can make us ask the provider by inventing names. A provider that does not answer leaves us with what we know for a day.

Spec: OpenID Connect Discovery 1.0 §4; RFC 7517 §5; RFC 8725 §3; RFC 9700 §2, §4.
"""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from mailstead.model.errors import AuthenticationFailed, BadSettings, TryAgainLater, WebFailed, WebRefused
from mailstead.model.secret import Secret
from mailstead.policy import oidc
from mailstead.policy.oidc import Identity
from mailstead.ports.clock import Clock
from mailstead.ports.web import WebClient, WebResponse
from mailstead.telemetry import log

KEPT_S: Final = 3600.0
STALE_S: Final = 86400.0
LOOK_AGAIN_S: Final = 60.0
RETRY_S: Final = 10.0
"""Between two tries with a provider that does not answer: who comes meanwhile does not wait for it."""
LIMIT_S: Final = 10.0
ANSWER_OCTETS_MAX: Final = 256 * 1024
TOKEN_CHARACTERS_MAX: Final = 16_384
KEYS_MAX: Final = 64
RSA_BITS_MIN: Final = 2048
"""Spec: RFC 7518 §3.3."""
ASKED_MAX: Final = 10_000
ASKED_KEPT_S: Final = 300.0
"""How long the provider's word on a token is good, as it may take it back."""
WELL_KNOWN: Final = "/.well-known/openid-configuration"
_FORM: Final = "application/x-www-form-urlencoded"

_log = log.get("accounts")

# The header of a token may have what others have agreed on; what is critical in it is refused below.
_REGISTRY: Final = jws.JWSRegistry(algorithms=list(oidc.ALGORITHMS), strict_check_header=False)

Key = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """Who the provider is, and who we are there."""

    issuer: str
    client_id: str
    client_secret: Secret = Secret("")
    scopes: tuple[str, ...] = ("openid", "email")
    audiences: tuple[str, ...] = ()
    introspects: bool = False
    allows_clear_text: bool = False

    @property
    def takes_access_tokens(self) -> bool:
        """Whether mail programs may come with tokens."""
        return self.introspects or bool(self.audiences)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the provider says of itself. Spec: OpenID Connect Discovery 1.0 §3; RFC 8414 §2."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    introspection_endpoint: str = ""
    names_issuer: bool = False
    """It names itself in each answer to a browser. Spec: RFC 9207 §3."""
    posts_secret: bool = False
    """It wants our secret in the form, not in the header. Spec: RFC 6749 §2.3.1."""


class OidcProvider:
    """One provider. Nothing is asked before it is needed."""

    def __init__(self, terms: ProviderTerms, web: WebClient, clock: Clock) -> None:
        """Errors: BadSettings, where the terms cannot be."""
        self.terms: Final = terms
        self._web = web
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys_lock = asyncio.Lock()
        self._configuration: Configuration | None = None
        self._configured_s = float("-inf")
        self._failed_s = float("-inf")
        """When the provider last did not answer."""
        self._keys: tuple[Key, ...] = ()
        self._keys_s = float("-inf")
        self._asked_keys_s = float("-inf")
        self._asked: OrderedDict[bytes, tuple[float, Mapping[str, object]]] = OrderedDict()
        if not terms.client_id:
            raise BadSettings("oidc.client_id: it is missing, though there is an oidc.issuer")
        if "openid" not in terms.scopes:
            raise BadSettings("oidc.scopes: openid must be among them, or the provider does not say who it is")
        if not self._is_good_url(terms.issuer) or terms.issuer.endswith("/.well-known"):
            raise BadSettings("oidc.issuer: it begins with https:// and has neither ? nor #")

    @property
    def configuration_url(self) -> str:
        """Where the provider says how tokens are had. Spec: OpenID Connect Discovery 1.0 §4.1."""
        return self.terms.issuer.rstrip("/") + WELL_KNOWN

    # what the provider says of itself

    async def configuration(self) -> Configuration:
        """Give what it says of itself, an hour old at most, where it answers. Errors: TryAgainLater."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._configuration is not None and now_s - self._configured_s < KEPT_S:
                return self._configuration
            try:
                if now_s - self._failed_s < RETRY_S:
                    raise TryAgainLater("The provider of log-ins does not answer")
                self._configuration = self._read_configuration(await self._get(self.configuration_url))
                self._configured_s = self._clock.monotonic_s()
            except TryAgainLater:
                if now_s - self._failed_s >= RETRY_S:
                    self._failed_s = self._clock.monotonic_s()
                if self._configuration is None or now_s - self._configured_s > STALE_S:
                    raise
            return self._configuration

    def _read_configuration(self, told: Mapping[str, Any]) -> Configuration:
        """Errors: TryAgainLater, where it is another's (attack row 94, mix-up), or lacks what is needed."""
        if told.get("issuer") != self.terms.issuer:
            _log.warning("the provider calls itself otherwise", issuer=self.terms.issuer, named=str(told.get("issuer")))
            raise TryAgainLater("The provider is not set up as it should be")
        methods = told.get("token_endpoint_auth_methods_supported")
        names_issuer = told.get("authorization_response_iss_parameter_supported")
        return Configuration(
            self._endpoint(told, "authorization_endpoint"),
            self._endpoint(told, "token_endpoint"),
            self._endpoint(told, "jwks_uri"),
            self._endpoint(told, "introspection_endpoint") if self.terms.introspects else "",
            names_issuer=names_issuer is True,
            posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods,
        )

    def _endpoint(self, told: Mapping[str, Any], name: str) -> str:
        url = told.get(name)
        if not isinstance(url, str) or not self._is_good_url(url, allows_query=True):
            _log.warning("the provider lacks something", issuer=self.terms.issuer, name=name)
            raise TryAgainLater("The provider is not set up as it should be")
        return url

    def _is_good_url(self, url: str, *, allows_query: bool = False) -> bool:
        schemes = {"https", "http"} if self.terms.allows_clear_text else {"https"}
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        is_plain = url.isascii() and url.isprintable() and " " not in url and "#" not in url
        return is_plain and parts.scheme in schemes and bool(parts.hostname) and (allows_query or "?" not in url)

    # the log-in on the web

    async def authorization_url(self, *, state: str, nonce: str, challenge: str, redirect_url: str) -> str:
        """Give where a browser is sent. Spec: OpenID Connect Core §3.1.2.1; RFC 7636 §4.3. Errors: TryAgainLater."""
        configuration = await self.configuration()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.terms.client_id,
                "redirect_uri": redirect_url,
                "scope": " ".join(self.terms.scopes),
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
            quote_via=quote,
        )
        joint = "&" if "?" in configuration.authorization_endpoint else "?"
        return f"{configuration.authorization_endpoint}{joint}{query}"

    async def redeem(self, code: str, *, verifier: str, nonce: str, redirect_url: str) -> Identity:
        """Turn the code that a browser has brought into who it is.

        Spec: OpenID Connect Core §3.1.3; RFC 7636 §4.5.
        Errors: AuthenticationFailed; TryAgainLater.
        """
        configuration = await self.configuration()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        answer = await self._post(configuration.token_endpoint, fields, configuration)
        if answer.status in {400, 401, 403}:
            _log.info("the provider refuses a code", issuer=self.terms.issuer, status=answer.status)
            raise AuthenticationFailed(reason="code")
        told = _json(answer)
        id_token = told.get("id_token")
        if not isinstance(id_token, str):
            raise TryAgainLater("The provider has sent no ID token")
        claims, _ = await self._verified(id_token)
        reason = oidc.refusal_of_id_token(
            claims,
            issuer=self.terms.issuer,
            client_id=self.terms.client_id,
            nonce=nonce,
            now_s=self._clock.now().timestamp(),
        )
        return self._identity(claims, reason)

    # access tokens of mail programs

    async def identity_of(self, token: Secret) -> Identity:
        """Give whose access token this is. Spec: RFC 9068 §4; RFC 7662. Errors: AuthenticationFailed; TryAgainLater."""
        text = token.reveal()
        if not text or len(text) > TOKEN_CHARACTERS_MAX or not text.isascii():
            raise AuthenticationFailed(reason="no token")
        now_s = self._clock.now().timestamp()
        if self.terms.introspects:
            told = await self._introspected(text)
            reason = oidc.refusal_of_introspection(
                told, issuer=self.terms.issuer, audiences=self.terms.audiences, now_s=now_s
            )
            return self._identity(told, reason)
        claims, header = await self._verified(text)
        reason = oidc.refusal_of_access_token(
            claims,
            header_type=header.get("typ"),
            issuer=self.terms.issuer,
            client_id=self.terms.client_id,
            audiences=self.terms.audiences,
            now_s=now_s,
        )
        return self._identity(claims, reason)

    async def _introspected(self, token: str) -> Mapping[str, object]:
        """Give the provider's word on a token, asked once in some minutes. Spec: RFC 7662 §2.1."""
        key = sha256(token.encode()).digest()
        now_s = self._clock.monotonic_s()
        kept = self._asked.get(key)
        if kept is not None and now_s < kept[0]:
            return kept[1]
        configuration = await self.configuration()
        fields = {"token": token, "token_type_hint": "access_token"}
        told = _json(await self._post(configuration.introspection_endpoint, fields, configuration))
        if told.get("active") is True:  # only what is good: others could fill the memory
            self._asked[key] = (now_s + ASKED_KEPT_S, told)
            self._asked.move_to_end(key)
            if len(self._asked) > ASKED_MAX:
                self._asked.popitem(last=False)
        return told

    def _identity(self, claims: Mapping[str, object], reason: str) -> Identity:
        if reason:
            _log.info("a token of the provider is refused", issuer=self.terms.issuer, reason=reason)
            raise AuthenticationFailed(reason=reason)
        return Identity(self.terms.issuer, oidc.subject_of(claims), claims)

    # signatures

    async def _verified(self, token: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """Give claims and header of a token that a key of the provider has signed.

        Spec: RFC 7515 §5.2; RFC 8725 §3.1.
        Errors: AuthenticationFailed; TryAgainLater, where the keys cannot be read.
        """
        try:
            signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
        except (JoseError, ValueError) as error:
            raise AuthenticationFailed(reason="no JWT", error=type(error).__name__) from None
        header = signed.headers()
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in oidc.ALGORITHMS or "crit" in header or (kid is not None and not isinstance(kid, str)):
            raise AuthenticationFailed(reason="algorithm")
        key = await self._key(algorithm, kid)
        if key is None:
            raise AuthenticationFailed(reason="unknown key")
        try:
            with warnings.catch_warnings():
                # The name EdDSA is old (RFC 9864), and what providers say.
                warnings.simplefilter("ignore", SecurityWarning)
                claims = json.loads(jws.deserialize_compact(token, key, registry=_REGISTRY).payload)
        except (JoseError, ValueError, RecursionError) as error:
            raise AuthenticationFailed(reason="signature", error=type(error).__name__) from None
        if not isinstance(claims, dict):
            raise AuthenticationFailed(reason="claims")
        return claims, header

    async def _key(self, algorithm: str, kid: str | None) -> Key | None:
        """Give the key of the set; None: there is none, or it is not said which. Errors: TryAgainLater."""
        now_s = self._clock.monotonic_s()
        found = _chosen(self._keys, algorithm, kid)
        if found is not None and now_s - self._keys_s < KEPT_S:
            return found
        if now_s - self._asked_keys_s >= LOOK_AGAIN_S:
            await self._read_keys()
            found = _chosen(self._keys, algorithm, kid)
        if not self._keys or self._clock.monotonic_s() - self._keys_s > STALE_S:
            raise TryAgainLater("The provider's keys cannot be read")
        return found

    async def _read_keys(self) -> None:
        """Look once; where the provider does not answer, what is known stays."""
        async with self._keys_lock:
            if self._clock.monotonic_s() - self._asked_keys_s < LOOK_AGAIN_S:
                return  # somebody else has just looked
            self._asked_keys_s = self._clock.monotonic_s()
            try:
                told = await self._get((await self.configuration()).jwks_uri)
            except TryAgainLater:
                if not self._keys:
                    self._asked_keys_s = self._clock.monotonic_s() - LOOK_AGAIN_S + RETRY_S
                return
            listed = told.get("keys")
            found = [_key_of(each) for each in listed[:KEYS_MAX]] if isinstance(listed, list) else []
            self._keys = tuple(key for key in found if key is not None)
            self._keys_s = self._clock.monotonic_s()

    # asking

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            return _json(await self._web.get(url, octets_max=ANSWER_OCTETS_MAX, limit_s=LIMIT_S))
        except (WebRefused, WebFailed) as error:
            raise self._unreachable(error) from None

    async def _post(self, url: str, fields: Mapping[str, str], configuration: Configuration) -> WebResponse:
        """Post a form, as ourselves. Spec: RFC 6749 §2.3.1."""
        headers = {"Content-Type": _FORM, "Accept": "application/json"}
        client_id, secret = self.terms.client_id, self.terms.client_secret.reveal()
        if not secret or configuration.posts_secret:
            fields = {**fields, "client_id": client_id, **({"client_secret": secret} if secret else {})}
        else:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            return await self._web.post(
                url, urlencode(fields).encode(), headers, octets_max=ANSWER_OCTETS_MAX, limit_s=LIMIT_S
            )
        except (WebRefused, WebFailed) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: WebRefused | WebFailed) -> TryAgainLater:
        _log.warning("the provider cannot be asked", issuer=self.terms.issuer, error=error.public_text)
        return TryAgainLater("The provider of log-ins does not answer")


def _json(answer: WebResponse) -> Mapping[str, Any]:
    """Errors: TryAgainLater."""
    try:
        told = json.loads(answer.octets) if answer.status == 200 else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise TryAgainLater("The provider of log-ins does not answer as it should")
    return told


def _key_of(told: object) -> Key | None:
    """Read a public key for signatures; None for all others: symmetric ones, weak ones, those for encryption."""
    if not isinstance(told, dict) or told.get("use", "sig") != "sig":
        return None
    operations = told.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    # What is not needed for checking is left out: a private half that slipped in, certificates.
    parts = {name: told[name] for name in ("kty", "kid", "alg", "crv", "n", "e", "x", "y") if name in told}
    try:
        match told.get("kty"), told.get("crv"):
            case "RSA", _:
                rsa = RSAKey.import_key(parts)
                return rsa if rsa.public_key.key_size >= RSA_BITS_MIN else None
            case "EC", "P-256":
                return ECKey.import_key(parts)
            case "OKP", "Ed25519":
                return OKPKey.import_key(parts)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _chosen(keys: tuple[Key, ...], algorithm: str, kid: str | None) -> Key | None:
    """Give the key that the name chooses; without name the only one there is. Spec: RFC 7515 §4.1.4."""
    fitting = [
        key
        for key in keys
        if key.key_type == oidc.KEY_TYPES[algorithm]
        and key.get("alg") in {None, algorithm}
        and (kid is None or key.get("kid") == kid)
    ]
    return fitting[0] if len(fitting) == 1 else None
