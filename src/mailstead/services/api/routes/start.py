"""Whether the API is there, and what it can. Spec: reference forwardemail 4.2."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

from mailstead.services.api import openapi
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Right, Shown

_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(openapi.STYLE.encode()).digest()).decode()}'"
)
"""Spec: W3C CSP Level 3 §2.3.1 (hashes)."""


class Start(Shown):
    """What stands at the door."""

    name: str
    documentation: str


async def start(call: Call) -> Answer:
    """Say that somebody is here, and where it is written what he does."""
    return Answer(Start(name="Mailstead", documentation=f"{call.house.terms.base_url}/v1/docs"))


async def document(call: Call) -> Answer:
    """Give the OpenAPI document."""
    return Answer(await asyncio.to_thread(openapi.document_of, call.house.terms.base_url))


async def page(call: Call) -> Answer:
    """Give it for people."""
    text = await asyncio.to_thread(openapi.page, call.house.terms.base_url)
    return Answer(text, headers={"content-security-policy": _POLICY})


def _endpoint(path: str, name: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    return Endpoint("GET", path, name, summary, "start", Auth.NONE, Right.ANYBODY, handler, **more)


ENDPOINTS: Final = (
    _endpoint("/v1", "show-start", "Whether the API is there", start, shows=Start),
    _endpoint("/v1/openapi.json", "show-openapi", "This API as an OpenAPI document", document, shows=dict[str, Any]),
    _endpoint("/v1/docs", "show-docs", "This API as a page for people", page, media_type="text/html; charset=utf-8"),
)
