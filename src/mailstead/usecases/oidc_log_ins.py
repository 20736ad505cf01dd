"""Log-in on the web by the provider: the authorization code flow, and the first time, whose account it is.

Theory of operation. A log-in is bound to the browser that began it by a secret in a cookie. State, nonce and the secret
of PKCE are made of it with a key of the house, each by another word, so nothing is kept while a browser is away, and
whoever lacks the cookie can show no state. The secret is good for minutes, and once.

Whoever comes back is known by issuer and subject. Somebody who is linked to no account yet shows an account's password
(and second factor), once; what the provider has said is kept until then in a signed text that is good only together
with the same browser's secret.

Spec: OpenID Connect Core §3.1; RFC 7636; RFC 9207; RFC 9700 §2.1, §4.4 (mix-up), §4.7 (state); attack row 94.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from mailstead.model.envelope import Peer
from mailstead.model.errors import AuthenticationFailed, Conflict, PolicyRefused
from mailstead.model.secret import Secret
from mailstead.policy.oidc import Identity
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.oidc_links import OidcLinks
from mailstead.usecases.oidc_provider import OidcProvider
from mailstead.usecases.web_sessions import Begun, FactorAsked, WebSessions

LIFE: Final = timedelta(minutes=10)
SECRET_CHARACTERS_MAX: Final = 100
LINK_CHARACTERS_MAX: Final = 1200
PARAMETER_CHARACTERS_MAX: Final = 4096
TOO_LATE: Final = "This log-in was not begun in this browser, or it took too long; please begin again"

_SECRET: Final = struct.Struct("!I32s")
_MAC_OCTETS: Final = 32
_USED: Final = "oidc log-in"

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class Sent:
    """A browser is sent to the provider."""

    url: str
    secret: Secret
    """For its cookie."""


@dataclass(frozen=True, slots=True)
class LinkAsked:
    """The provider knows who it is, and we do not yet: an account's password links the two."""

    token: Secret
    """Goes back with the password, within minutes."""
    address: str
    """What the provider calls the address, to fill the form; nothing follows from it."""


class OidcLogIns:
    """Begins and finishes log-ins. `key` is the house's own, for nothing else."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        provider: OidcProvider,
        links: OidcLinks,
        web_sessions: WebSessions,
        key: bytes,
        redirect_url: str,
        name: str,
    ) -> None:
        self._memory = storage.memory
        self._clock = clock
        self._provider = provider
        self._links = links
        self._web_sessions = web_sessions
        self._key = key
        self._redirect_url = redirect_url
        self.name: Final = name
        """How people know the provider."""

    async def begin(self) -> Sent:
        """Give where the browser is sent. Errors: TryAgainLater."""
        end = int((self._clock.now() + LIFE).timestamp())
        secret = _encoded(_SECRET.pack(end, secrets.token_bytes(32)))
        url = await self._provider.authorization_url(
            state=self._made("state", secret),
            nonce=self._made("nonce", secret),
            challenge=_encoded(sha256(self._made("verifier", secret).encode()).digest()),
            redirect_url=self._redirect_url,
        )
        return Sent(url, Secret(secret))

    async def finish(
        self, secret: Secret, answer: Mapping[str, str], peer: Peer, program: str
    ) -> Begun | FactorAsked | LinkAsked:
        """Take what the browser has brought back: the parameters of the query.

        Errors: PolicyRefused, with what people should know; AuthenticationFailed, where the provider's word is not good
        or the account is disabled; TryAgainLater.
        """
        text = await self._used(secret, answer.get("state", ""))
        await self._check_issuer(answer.get("iss"))
        if "error" in answer:
            _log.info("the provider has let nobody in", error=answer["error"][:100])
            raise PolicyRefused(f"{self.name} has not let you in")
        code = answer.get("code", "")
        if not code or len(code) > PARAMETER_CHARACTERS_MAX:
            raise PolicyRefused(f"{self.name} has sent you back without an answer")
        try:
            identity = await self._provider.redeem(
                code,
                verifier=self._made("verifier", text),
                nonce=self._made("nonce", text),
                redirect_url=self._redirect_url,
            )
        except AuthenticationFailed:
            metrics.LOG_INS.labels("web", "failed").inc()
            raise
        owner = await self._links.owner(identity)
        if owner is not None:
            return await self._web_sessions.start_for(owner, peer, program)
        claimed = identity.claims.get("email")
        return LinkAsked(self._link_token(identity, text), claimed if isinstance(claimed, str) else "")

    async def link(
        self, secret: Secret, token: Secret, address: str, password: Secret, peer: Peer, program: str
    ) -> Begun | FactorAsked:
        """Link the account whose password is shown; where it has a second factor, that is asked for first.

        Errors: PolicyRefused, when it took too long; Conflict; AuthenticationFailed; TooManyFailures.
        """
        identity = self._identity(secret, token)
        begun = await self._web_sessions.start(address, password, peer, program)
        return begun if isinstance(begun, FactorAsked) else await self._confirmed(identity, begun)

    async def factor(
        self, secret: Secret, link_token: Secret | None, pending: Secret, code: Secret, peer: Peer, program: str
    ) -> Begun:
        """Take the second factor that `finish` or `link` has asked for; `link_token`: what was to be linked, too.

        Errors: as `link`, and NoSuchSession.
        """
        identity = None if link_token is None else self._identity(secret, link_token)
        begun = await self._web_sessions.finish(pending, code, peer, program)
        return begun if identity is None else await self._confirmed(identity, begun)

    async def _confirmed(self, identity: Identity, begun: Begun) -> Begun:
        try:
            await self._links.confirm(identity, begun.actor)
        except Conflict:
            await self._web_sessions.end(begun.token)
            raise
        return begun

    # inside

    async def _used(self, secret: Secret, state: str) -> str:
        """Use a browser's secret up; give it. Errors: PolicyRefused."""
        text = self._alive(secret)
        if not compare_digest(self._made("state", text).encode(), state.encode("utf-8", "replace")):
            raise PolicyRefused(TOO_LATE)
        now = self._clock.now()
        key = sha256(text.encode()).hexdigest()
        if await self._memory.remember_first(_USED, key, b"1", now, now + LIFE) is not None:
            raise PolicyRefused(TOO_LATE)
        return text

    def _alive(self, secret: Secret) -> str:
        """Give a browser's secret, if it can be one of ours still. Errors: PolicyRefused."""
        text = secret.reveal()
        try:
            end, _ = _SECRET.unpack(_decoded(text) if len(text) <= SECRET_CHARACTERS_MAX else b"")
        except (binascii.Error, struct.error, ValueError):
            raise PolicyRefused(TOO_LATE) from None
        # Its end is covered by all that is made of it.
        if self._clock.now() > datetime.fromtimestamp(end, UTC):
            raise PolicyRefused(TOO_LATE)
        return text

    async def _check_issuer(self, issuer: str | None) -> None:
        """Refuse another provider's answer, before its code is sent anywhere. Spec: RFC 9207 §2.4.

        Errors: PolicyRefused.
        """
        is_named = issuer is not None or (await self._provider.configuration()).names_issuer
        if is_named and issuer != self._provider.terms.issuer:
            _log.warning("an answer of another provider", issuer=self._provider.terms.issuer, named=str(issuer)[:255])
            raise PolicyRefused("That answer is not of the provider that was asked; please begin again")

    def _made(self, word: str, secret: str) -> str:
        return _encoded(digest(self._key, f"{word}\0{secret}".encode(), "sha256"))

    def _link_token(self, identity: Identity, secret: str) -> Secret:
        end = int((self._clock.now() + LIFE).timestamp())
        body = json.dumps([end, identity.issuer, identity.subject]).encode()
        return Secret(_encoded(self._link_mac(body, secret) + body))

    def _link_mac(self, body: bytes, secret: str) -> bytes:
        return digest(self._key, b"link\0" + secret.encode() + b"\0" + body, "sha256")

    def _identity(self, secret: Secret, token: Secret) -> Identity:
        """Give who had come back with this browser. Errors: PolicyRefused."""
        text, browser = token.reveal(), secret.reveal()
        try:
            octets = _decoded(text) if len(text) <= LINK_CHARACTERS_MAX else b""
            mac, body = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
            if not compare_digest(mac, self._link_mac(body, browser)):
                raise PolicyRefused(TOO_LATE)
            end, issuer, subject = json.loads(body)
        except (binascii.Error, ValueError):
            raise PolicyRefused(TOO_LATE) from None
        if self._clock.now().timestamp() > end or issuer != self._provider.terms.issuer:
            raise PolicyRefused(TOO_LATE)
        return Identity(issuer, subject)


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
