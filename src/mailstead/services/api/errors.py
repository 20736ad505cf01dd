"""The two forms in which an error is told.

Where other programs know an endpoint from Forward Email, they get its body of ``statusCode``, ``error`` and
``message``; endpoints of our own answer with problem details.

Spec: RFC 9457; RFC 9110 §15; reference forwardemail 4.1 (errors).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from pydantic import ValidationError

from mailstead.model.errors import MailsteadError
from mailstead.net.http_statuses import status_of

RETRY_AFTER_S: Final = 60
CHALLENGE: Final = 'Basic realm="Mailstead", charset="UTF-8"'
"""Spec: RFC 9110 §11.6.1; RFC 7617 §2.1."""
NAME_CHARACTERS_MAX: Final = 100
FAULTS_MAX: Final = 50
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


class Fault(NamedTuple):
    """One thing that is wrong in what was sent."""

    field: str
    """Where, with dots; empty: the whole."""
    text: str


class Refusal(Exception):
    """Ends a request with a status, where no use case is concerned: a wrong body, a wrong kind of log-in."""

    def __init__(
        self, status: int, message: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        """`message`: a sentence for people, without full stop; nothing of a secret in it."""
        self.status: Final = status
        self.message: Final = message
        self.faults: Final = tuple(faults)
        self.headers: Final = dict(headers or {})
        super().__init__(message)


def refusal_of(error: MailsteadError) -> Refusal:
    """Give how an error of the house ends a request."""
    return Refusal(status_of(error), error.public_text)


def faults_of(error: ValidationError) -> Refusal:
    """Give all that is wrong in a body or query; values, which may be secrets, are never said again."""
    faults = []
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:FAULTS_MAX]:
        field = ".".join(str(part)[:NAME_CHARACTERS_MAX] for part in each["loc"])
        text = _TEXTS.get(each["type"]) or each["msg"].removeprefix("Value error, ")
        faults.append(Fault(field, text))
    message = "; ".join(f"{fault.field}: {fault.text}" if fault.field else fault.text for fault in faults)
    return Refusal(400, message, faults)


_TEXTS: Final = {"extra_forbidden": "There is no such field", "missing": "This field is needed"}


def headers_of(refusal: Refusal) -> dict[str, str]:
    """Give the header fields that belong to its status."""
    made = dict(refusal.headers)
    if refusal.status == 401:
        made.setdefault("www-authenticate", CHALLENGE)
    if refusal.status in {429, 503}:
        made.setdefault("retry-after", str(RETRY_AFTER_S))
    return made


def body_of(refusal: Refusal, *, is_ours: bool) -> tuple[bytes, str]:
    """Give octets and media type of an error in the form of its endpoint."""
    phrase = HTTPStatus(refusal.status).phrase
    if is_ours:
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": phrase,
            "status": refusal.status,
            "detail": refusal.message,
        }
        if refusal.faults:
            problem["errors"] = [{"field": fault.field, "detail": fault.text} for fault in refusal.faults]
        return msgspec.json.encode(problem), PROBLEM
    return msgspec.json.encode({"statusCode": refusal.status, "error": phrase, "message": refusal.message}), JSON
