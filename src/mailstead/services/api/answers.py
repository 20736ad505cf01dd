"""From what a handler gives to what is sent. Spec: RFC 9110; attack row 97."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mailstead.services.api import errors, paging
from mailstead.services.api.endpoints import Answer, Call
from mailstead.services.api.errors import Refusal
from mailstead.services.api.values import Moment, text_of_moment

HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Of every answer that does not say otherwise."""
TEXT: Final = "text/plain; charset=utf-8"


def response_of(answer: Answer, call: Call) -> Response:
    """Give the response to a call that went well."""
    endpoint = call.endpoint
    status = answer.status or endpoint.status
    headers = dict(answer.headers)
    if answer.page is not None:
        url = call.house.terms.base_url + call.request.url.path
        asked = list(call.request.query_params.multi_items())
        headers |= paging.headers_of(answer.page, call.query.page, call.query.limit, url, asked)
    if answer.content is None:
        return Response(None, status, headers)
    if isinstance(answer.content, AsyncIterator):
        return StreamingResponse(answer.content, status, headers, endpoint.media_type)
    octets, media_type = _octets_of(answer.content, endpoint.media_type)
    return Response(octets, status, headers, media_type)


def refused(refusal: Refusal, *, is_ours: bool) -> Response:
    """Give the response to a call that went wrong."""
    octets, media_type = errors.body_of(refusal, is_ours=is_ours)
    return Response(octets, refusal.status, errors.headers_of(refusal), media_type)


def cors_headers(request: Request, origins: frozenset[str], *, methods: Mapping[str, Any] | None) -> dict[str, str]:
    """Give what tells a browser that pages of an allowed origin may ask; `methods`: those of the path, for OPTIONS.

    Spec: Fetch Standard, CORS protocol.
    """
    origin = request.headers.get("origin")
    if not origins:
        return {}
    if origin not in origins:
        return {"vary": "Origin"}
    made = {"vary": "Origin", "access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED}
    if methods is not None:
        made |= {
            "access-control-allow-methods": ", ".join(methods),
            "access-control-allow-headers": _ALLOWED,
            "access-control-max-age": "600",
        }
    return made


_EXPOSED: Final = (
    "Content-Disposition, ETag, Idempotency-Replayed, Link, Location, Retry-After, X-Item-Count, X-Page-Count, "
    "X-Page-Current, X-Page-Size, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
)
_ALLOWED: Final = "Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match"


def _octets_of(content: Any, media_type: str) -> tuple[bytes, str]:
    if isinstance(content, bytes):
        return content, media_type
    if isinstance(content, str):
        return content.encode(), TEXT if media_type == errors.JSON else media_type
    return written(content), media_type


def written(content: Any) -> bytes:
    """Write models, lists of them and plain values as JSON. Errors: TypeError."""
    return _ENCODER.encode(content)


def _opened(shown: Any) -> dict[str, Any]:
    """Give what a model shows. Errors: TypeError."""
    if not isinstance(shown, BaseModel):
        raise TypeError(f"{type(shown).__name__} has no form in JSON")
    moments, renamed = odd_fields(type(shown))
    if not moments and not renamed:
        return shown.__dict__
    opened = dict(shown.__dict__)
    for name in moments:
        if opened[name] is not None:
            opened[name] = text_of_moment(opened[name])
    for name, alias in renamed:
        opened[alias] = opened.pop(name)
    return opened


@cache
def odd_fields(model: type[BaseModel]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Give the fields of a model that are moments, or none, and those that have another name outside.

    msgspec writes moments in another form than the reference, and knows no aliases.
    Errors: TypeError, where moments lie deeper.
    """
    moments, renamed = [], []
    for name, described in model.model_fields.items():
        if _holds_moments(described.annotation):
            is_optional = get_origin(described.annotation) in {Union, UnionType}
            kinds = get_args(described.annotation) if is_optional else (described.annotation,)
            if not set(kinds) <= {datetime, Moment, NoneType}:
                raise TypeError(f"{model.__name__}.{name}: a moment is a field, or None")
            moments.append(name)
        if described.serialization_alias is not None:
            renamed.append((name, described.serialization_alias))
    return tuple(moments), tuple(renamed)


def _holds_moments(annotation: Any) -> bool:
    return annotation is datetime or any(map(_holds_moments, get_args(annotation)))


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_opened)
"""Twice as fast as pydantic's where octets go as lists of numbers."""
