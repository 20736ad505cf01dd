"""What an endpoint of the API is: one object from which routing, checking, rights and the OpenAPI document are made.

A module of `services.api.routes` holds a tuple ``ENDPOINTS``; a handler takes a `Call` and gives an `Answer`. Bodies
and queries are pydantic models that refuse unknown fields (attack row 93); whether a body comes as JSON, as a form or
as multipart is settled before the handler sees it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from mailstead.model.envelope import Actor, Peer
from mailstead.model.people import Page
from mailstead.services.api.house import ApiHouse


class Auth(Enum):
    """How a caller proves who he is. Spec: reference forwardemail 4.1."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105  # a kind, not a secret
    """HTTP Basic with the API token as user name and an empty password, or ``Bearer``: a user."""
    ALIAS = "alias"
    """HTTP Basic with an account's address and password."""
    BOTH = "both"


class Right(Enum):
    """Who may call it; the matrix test goes through all of them. Deny by default: each endpoint says it."""

    ANYBODY = "anybody"
    CALLER = "caller"
    """Whoever is logged in, about himself only."""
    MEMBER = "member"
    """Of the domain in the path; others get 404."""
    DOMAIN_ADMIN = "domain admin"
    """Of the domain in the path; members get 403, others 404."""
    SERVER_ADMIN = "server admin"
    """Others get 403."""


class Model(BaseModel):
    """Of what comes in. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False, hide_input_in_errors=True)


class Listed(Model):
    """Query of every list. Spec: reference forwardemail 4.1 (pagination)."""

    page: int = Field(1, ge=1, le=1_000_000)
    limit: int = Field(25, ge=1, le=100)
    """Lists with another default or maximum say so in a subclass."""
    pagination: bool = True
    """Taken for older clients: lists always come in pages."""


class Shown(BaseModel):
    """Of what goes out."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    """With names in braces: ``/v1/domains/{domain_id}``."""
    name: str
    """The operationId, also the name of the verb elsewhere: ``create-alias``."""
    summary: str
    tag: str
    auth: Auth
    right: Right
    handler: Callable[[Call], Awaitable[Answer]]
    body: type[Model] | None = None
    query: type[Model] | None = None
    shows: Any = None
    """What a success gives: a `Shown` type, ``list[…]`` of one, or None for what is no JSON."""
    status: int = 200
    description: str = ""
    per_day: int = 0
    """Calls per day and caller; 0: only the limit of all."""
    is_ours: bool = False
    """An addition of Mailstead's: errors are problem details (RFC 9457)."""
    takes_files: bool = False
    """The body may be multipart; files are in `Call.files`."""
    body_octets_max: int = 1024 * 1024
    is_idempotent: bool = True
    """POST only: with an Idempotency-Key the same answer is given again. False: the answer holds a secret, of which
    nothing is kept; the key then only keeps the request from being done twice."""
    changes_by_get: bool = False
    """GET only: something happens, so pages of elsewhere may not cause it (attack row 89)."""
    offers_dry_run: bool = False
    """``?dry_run=true`` is understood (`Call.is_dry_run`); elsewhere it is refused, lest something happen after all."""
    media_type: str = "application/json"
    """Of the answer."""
    other_media_type: str = ""
    """What the query may ask for instead, as it is."""
    command: str = ""
    """What does the same at the command line, without ``mailstead``: ``queue list``."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a multipart body."""

    field_name: str
    name: str
    media_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked as far as its endpoint says."""

    endpoint: Endpoint
    house: ApiHouse
    actor: Actor
    """Nobody (no account, no user, no rights) where no log-in is asked for and none came."""
    peer: Peer
    request: Request
    path: Mapping[str, str]
    query: Any
    """The endpoint's query model."""
    body: Any
    """The endpoint's body model."""
    files: tuple[File, ...] = ()
    is_dry_run: bool = False
    """Check all, change nothing; only where the endpoint offers it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    content: Any = None
    """`Shown`, a list of them, text or octets, or an asynchronous iterator of octets; None: no body."""
    status: int | None = None
    """None: the endpoint's."""
    headers: Mapping[str, str] = field(default_factory=dict)
    page: Page[Any] | None = None
    """Of a list: makes the pagination headers (with the query's page and limit)."""
