"""What an authority says when it refuses, as a text that says what to do.

Spec: RFC 8555 §6.7 (problem documents, error types), §6.6 (Retry-After); RFC 9457.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mailstead.model.errors import TryAgainLater
from mailstead.ports.web import WebResponse

TEXT_LENGTH_MAX: Final = 500
"""Of what the authority says in its own words; the rest is left out."""
SUBPROBLEMS_MAX: Final = 10

_PREFIX: Final = "urn:ietf:params:acme:error:"

_ADVICE: Final = {
    "accountDoesNotExist": "remove account-key.pem in tls/acme of the data folder; a new account is made then",
    "badCSR": "the authority does not take such names or keys together; see acme.names",
    "badNonce": "try again later",
    "badPublicKey": "the authority does not take our key; remove key.pem in tls/acme of the data folder",
    "caa": "the CAA records of the domain do not allow this authority; add one that does, or remove them",
    "connection": "the authority cannot connect to this server; the name must lead here, and port 80 (http-01) or 443 "
    "(tls-alpn-01) must be open from everywhere",
    "dns": "the authority cannot look the name up; publish an A or AAAA record (for dns-01: see that all name servers "
    "of the zone answer), or leave the name out of acme.names",
    "externalAccountRequired": "this authority wants accounts made on its own site, which is not supported; choose "
    "another acme.directory_url",
    "incorrectResponse": "another server answers for the name; it must lead here",
    "invalidContact": "acme.email is not an address that the authority takes",
    "malformed": "the authority does not understand the request; is acme.directory_url right?",
    "rateLimited": "too many certificates or failures of late; wait, and order from the authority's staging directory "
    "while trying out",
    "rejectedIdentifier": "the authority gives no certificates for this name; see acme.names and server.hostname",
    "serverInternal": "the authority has a fault of its own; try again later",
    "tls": "the authority reaches a server whose TLS does not answer it; port 443 of the name must lead to "
    "web.listen_shared of this server",
    "unauthorized": "another server answers for the name, or an old DNS record; the name must lead here",
    "unsupportedContact": "acme.email is not an address that the authority takes",
    "unsupportedIdentifier": "the authority gives no certificates for such names; see acme.names",
    "userActionRequired": "the authority wants its new terms agreed to; see the address it names",
}


class AcmeFailed(TryAgainLater):
    """No certificate was had; the text says why, and what to do."""

    default_text = "No certificate could be ordered"

    def __init__(self, public_text: str, *, kind: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(public_text)
        self.kind = kind
        """Of the error, without prefix, such as ``rateLimited``; empty where the authority named none."""
        self.retry_after_s = retry_after_s
        """How long the authority wants to be left alone."""


def failure(response: WebResponse, now: datetime) -> AcmeFailed:
    """Give the error for an answer that is none of success."""
    document = _document(response.octets)
    wait_s = retry_after_s(response.headers, now)
    if document is None:
        return AcmeFailed(
            f"The certificate authority answers with status {response.status}; is acme.directory_url right?",
            retry_after_s=wait_s,
        )
    failed = problem(document)
    return AcmeFailed(failed.public_text, kind=failed.kind, retry_after_s=wait_s)


def problem(document: Mapping[str, Any], name: str = "") -> AcmeFailed:
    """Give the error for a problem document about `name`, with those about single names that it holds.

    Spec: RFC 8555 §6.7.1.
    """
    kind = _kind(document)
    said = [_sentence(document, name)]
    inner = document.get("subproblems")
    for each in inner[:SUBPROBLEMS_MAX] if isinstance(inner, list) else ():
        if isinstance(each, dict):
            identifier = each.get("identifier")
            of_whom = str(identifier.get("value", "")) if isinstance(identifier, dict) else ""
            said.append(_sentence(each, of_whom))
    kinds = [kind, *(_kind(each) for each in inner if isinstance(each, dict))] if isinstance(inner, list) else [kind]
    advice = dict.fromkeys(_ADVICE[each] for each in kinds if each in _ADVICE)
    text = "; ".join(said)[: TEXT_LENGTH_MAX * 2]
    return AcmeFailed(f"{text}. What to do: {'; '.join(advice)}" if advice else text, kind=kind)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Give for how long the authority wants to be left alone, if it says so. Spec: RFC 9110 §10.2.3."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _document(octets: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("type"), str) else None


def _kind(document: Mapping[str, Any]) -> str:
    return str(document.get("type", "")).removeprefix(_PREFIX)


def _sentence(document: Mapping[str, Any], name: str) -> str:
    kind = _kind(document)
    detail = str(document.get("detail", "")).strip().rstrip(".")[:TEXT_LENGTH_MAX]
    about = f" for {name}" if name else ""
    return f"The certificate authority refuses{about} ({kind or 'no reason'})" + (f": {detail}" if detail else "")
