"""Entity tags of what the API shows, and which state of it a caller wants to change.

Spec: RFC 9110 §8.8.3 (ETag), §13.1.1 (If-Match); reference forwardemail 4.3 (etag precondition).
"""

from __future__ import annotations

from starlette.requests import Request

from mailstead.services.api.errors import Refusal


def etag_field(etag: str) -> str:
    """Give the value of the ETag field."""
    return f'"{etag}"'


def wanted_etag(request: Request, named: str = "") -> str:
    """Give the tag, without quotes, that must still hold: of If-Match, else of the body; empty: any.

    One strong tag is understood, as it came from us. Errors: Refusal.
    """
    field = request.headers.get("if-match", "").strip() or named.strip()
    if field in {"", "*"}:
        return ""
    tag = field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field
    if '"' in tag or "," in tag:
        raise Refusal(400, "If-Match is to name one entity tag, as the ETag field had it")
    return tag
