"""The API's verbs for the command line: the same table, the same checks, the same handlers, without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadSettings, NotAllowed
from mailstead.services.api.app import make_api_app
from mailstead.services.api.endpoints import Auth, Endpoint
from mailstead.services.api.table import all_endpoints
from mailstead.wiring.api import make_api_house, terms_of
from mailstead.wiring.house import House

LOCAL: Final = "127.0.0.1"
_WITH_BODY: Final = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb, as it is listed."""

    name: str
    method: str
    path: str
    summary: str
    command: str
    """The command of its own that does the same; empty: none."""


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a call."""

    status: int
    media_type: str
    octets: bytes

    @property
    def text(self) -> str:
        """What went wrong, in words."""
        told = json.loads(self.octets or b"{}")
        return str(told.get("detail") or told.get("message") or "")


def verbs() -> list[Verb]:
    """Give all verbs, by name."""
    found = [Verb(each.name, each.method, each.path, each.summary, each.command) for each in all_endpoints()]
    return sorted(found, key=lambda verb: verb.name)


async def call(house: House, actor: Actor, name: str, values: Mapping[str, str], body: Any = None) -> Said:
    """Call a verb for an actor.

    `values`: what stands in braces in its path; further ones are fields of the body where the verb takes one and `body`
    gives none, else of the query. Errors: BadSettings, for a verb or a value that is not there; NotAllowed.
    """
    endpoint = next((each for each in all_endpoints() if each.name == name), None)
    if endpoint is None:
        raise BadSettings(f"The API has no verb {name}; `mailstead api` lists them")
    if endpoint.auth is Auth.ALIAS and actor.account_id is None:
        raise NotAllowed("That is about one account; say whose with --as ADDRESS")
    left = dict(values)
    path = endpoint.path
    for part in [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]:
        if part not in left:
            raise BadSettings(f"{name} needs {part}=…")
        path = path.replace(f"{{{part}}}", quote(left.pop(part), safe=""))
    query = {key: left.pop(key) for key in ("dry_run",) if key in left}
    content: Any = body
    if endpoint.method in _WITH_BODY and endpoint.body is not None and body is None:
        content, left = left, {}
    return await _asked(house, actor, endpoint, path, {**query, **left}, content)


async def _asked(
    house: House, actor: Actor, endpoint: Endpoint, path: str, query: Mapping[str, str], content: Any
) -> Said:
    async def is_known(_request: Any, _house: Any, _peer: Peer, _auth: Auth) -> Actor:
        return actor

    terms = replace(terms_of(house.settings), requests_per_minute=0, allows_clear_text=True)
    api_house = make_api_house(house, terms)
    app = make_api_app(api_house, log_in=is_known)
    octets = b"" if content is None else json.dumps(content).encode()
    headers = [(b"host", house.settings.server.hostname.encode())]
    if octets:
        headers.append((b"content-type", b"application/json"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": endpoint.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query).encode(),
        "headers": headers,
        "client": (LOCAL, 0),
        "server": (LOCAL, 0),
    }
    status, media_type, parts = 500, "", [octets]
    answered: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # nobody goes away before the answer is there
        return {"type": "http.request", "body": parts.pop(), "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, media_type
        if message["type"] == "http.response.start":
            status = message["status"]
            media_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        else:
            answered.append(message.get("body", b""))

    await app(scope, receive, send)
    await api_house.administration.backup_jobs.settle()
    return Said(status, media_type, b"".join(answered))
