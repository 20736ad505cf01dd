"""Idempotency-Key: a POST that is sent again gets the answer that it got.

Of answers that hold a secret nothing is kept but that there was one: sent again, such a request is refused in words,
and not done twice. Errors are not kept: nothing was done, so the key may be used again.

Spec: draft-ietf-httpapi-idempotency-key-header-06.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mailstead.model.envelope import Actor
from mailstead.services.api.endpoints import Auth, Endpoint
from mailstead.services.api.errors import Refusal
from mailstead.usecases.idempotency import Idempotency

HEADER: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"
ANSWER_OCTETS_MAX: Final = 256 * 1024
"""Of a larger answer only is kept that there was one."""
_NOT_KEPT: Final = {"content-length", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}


class _Kept(msgspec.Struct, array_like=True):
    """An answer as it lies in the store."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes | None
    """None: it was not kept."""


class Once:
    """One request's key; `key` empty: it has none."""

    def __init__(self, idempotency: Idempotency, endpoint: Endpoint, actor: Actor, request: Request) -> None:
        """Errors: Refusal, for a key where nobody is known whose it would be."""
        self._idempotency = idempotency
        self._actor = actor
        self._endpoint = endpoint
        self.key: Final = request.headers.get(HEADER, "") if endpoint.method == "POST" else ""
        if self.key and endpoint.auth is Auth.NONE:
            raise Refusal(400, "Idempotency keys are for those who are logged in")

    async def begin(self, request: Request, octets: bytes) -> Response | None:
        """Give the answer that was given before; None: go on. Errors: as `Idempotency.begin`; Refusal."""
        if not self.key:
            return None
        parts = (request.method, request.url.path, request.url.query, request.headers.get("content-type", ""))
        asked = sha256("\0".join(parts).encode() + b"\0" + octets).digest()
        octets = await self._idempotency.begin(self._actor, self.key, asked)
        if not octets:
            return None
        kept = msgspec.msgpack.decode(octets, type=_Kept)
        if kept.body is None:
            raise Refusal(409, "That was done before; its answer is not kept, as it holds a secret or is large")
        return Response(kept.body, kept.status, {**dict(kept.headers), REPLAYED: "true"})

    async def keep(self, response: Response) -> None:
        """Keep the answer of a request that went well."""
        if not self.key:
            return
        octets = getattr(response, "body", None)
        is_kept = self._endpoint.is_idempotent and isinstance(octets, bytes) and len(octets) <= ANSWER_OCTETS_MAX
        headers = [(name, value) for name, value in response.headers.items() if name not in _NOT_KEPT]
        kept = _Kept(response.status_code, headers if is_kept else [], octets if is_kept else None)
        await self._idempotency.keep(self._actor, self.key, msgspec.msgpack.encode(kept))

    async def give_up(self) -> None:
        """Let the key go, after an error."""
        if self.key:
            await self._idempotency.give_up(self._actor, self.key)
