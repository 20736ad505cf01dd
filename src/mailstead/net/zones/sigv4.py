"""Requests signed for Amazon's APIs. Pure: the time is an argument.

Spec: AWS Signature Version 4 (canonical request, string to sign, signing key).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


class SigningKey(NamedTuple):
    """An access key, and what its signatures are good for."""

    access_key_id: str
    secret: str
    region: str
    service: str


def query_text(query: Sequence[tuple[str, str]]) -> str:
    """Write a query in the one form that is signed: sorted, with all but unreserved letters escaped."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(method: str, url: str, octets: bytes, key: SigningKey, now: datetime) -> dict[str, str]:
    """Give the header fields that sign a request; `url` has its path escaped and its query as of `query_text`.

    The host must go as the URL has it.
    """
    parts = urlsplit(url)
    moment = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{key.region}/{key.service}/aws4_request"
    request = "\n".join(
        (
            method,
            parts.path or "/",
            parts.query,
            f"host:{parts.netloc}\nx-amz-date:{moment}\n",
            "host;x-amz-date",
            hashlib.sha256(octets).hexdigest(),
        )
    )
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    derived = b"AWS4" + key.secret.encode()
    for part in scope.split("/"):
        derived = hmac.digest(derived, part.encode(), hashlib.sha256)
    signature = hmac.digest(derived, text.encode(), hashlib.sha256).hex()
    credential = f"Credential={key.access_key_id}/{scope}"
    return {
        "X-Amz-Date": moment,
        "Authorization": f"{_ALGORITHM} {credential}, SignedHeaders=host;x-amz-date, Signature={signature}",
    }
