"""The API's application: which endpoint, who asks, may he, what came with it; then its handler.

Errors end in one place. The order is that of cost and of trust: nothing of a body is read before the caller is known,
and has not sent too much. It stands before another application where the web service answers on the same port: what is
none of its paths, it passes on.

Spec: RFC 9110 §9, §15; reference forwardemail 4.1; attack rows 89, 92, 93, 97, 98.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import MailsteadError
from mailstead.net.http_requests import WRITING, must_be_asked_here, must_be_private, peer_of
from mailstead.services.api import bodies, limits
from mailstead.services.api.answers import HEADERS, cors_headers, refused, response_of
from mailstead.services.api.endpoints import Auth, Call, Endpoint, Listed, Model, Right
from mailstead.services.api.errors import Refusal, faults_of, refusal_of
from mailstead.services.api.house import ApiHouse
from mailstead.services.api.log_in import WHAT, log_in
from mailstead.services.api.once import Once
from mailstead.services.api.routing import Routes, values_of
from mailstead.services.api.table import all_endpoints
from mailstead.telemetry import log, metrics
from mailstead.usecases.call_limits import Standing

_log = log.get("api")

Socket = Callable[[Scope, Receive, Send], Awaitable[None]]
"""What answers WebSocket handshakes."""
LogIn = Callable[[Request, ApiHouse, Peer, Auth], Awaitable[Actor]]
"""Who finds out who asks; but for calls from the command line it is `services.api.log_in`."""
OURS: Final = "/v1"
LARGE_OCTETS: Final = 256 * 1024
"""Of a body that is read on a thread, so that others need not wait."""
UNLIMITED: Final = "/v1/emails"
"""Not counted by the minute. Spec: reference forwardemail 4.1 (rate limit)."""
_NAME: Final = "mailstead.endpoint"
"""In the scope: which endpoint was asked, once that is known."""
_DRY_RUN: Final = TypeAdapter(bool)


def make_api_app(
    house: ApiHouse,
    others: ASGIApp | None = None,
    endpoints: Iterable[Endpoint] | None = None,
    socket: Socket | None = None,
    log_in: LogIn = log_in,
) -> ASGIApp:
    """Give the application; `others` gets what is none of its paths, `endpoints` are all that there are."""
    return _ApiApp(house, others, Routes(all_endpoints() if endpoints is None else endpoints), socket, log_in)


class _ApiApp:
    def __init__(
        self, house: ApiHouse, others: ASGIApp | None, routes: Routes, socket: Socket | None, log_in: LogIn
    ) -> None:
        self._house = house
        self._log_in = log_in
        self._others = others
        self._routes = routes
        self._socket = socket
        self._minutes = limits.Minutes(house.terms.requests_per_minute, house.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            return
        if self._others is not None and not self._routes.is_ours(scope["path"]):
            await self._others(scope, receive, send)
            return
        scope = self._house.terms.proxies.seen_through(scope)
        if scope["type"] == "websocket":
            if self._socket is not None and scope["path"].rstrip("/") == f"{OURS}/ws":
                await self._socket(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        response = await self._answer(request)
        metrics.API_REQUESTS.labels(scope.get(_NAME, "none"), response.status_code).inc()
        cors = cors_headers(request, self._house.terms.allowed_origins, methods=None)
        for name, value in cors.items():
            response.headers.setdefault(name, value)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in HEADERS if each[0] not in known)]
            if message["type"] == "http.response.body" and request.method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        await response(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response:
        raw_path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
        methods, segments = self._routes.find(raw_path.partition("?")[0])
        is_ours = any(endpoint.is_ours for endpoint in methods.values())
        standing = None
        try:
            peer = peer_of(request)
            if request.url.path.rstrip("/") != UNLIMITED:
                standing = self._minutes.count(peer.address)
            limits.must_be_within(standing, self._house.clock)
            if not methods:
                raise Refusal(404, "There is nothing here")
            if request.method == "OPTIONS":
                return self._options(request, methods)
            endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
            if endpoint is None:
                allowed = {"allow": ", ".join(_allowed(methods))}
                raise Refusal(405, "That method is not offered here", headers=allowed)
            is_ours = endpoint.is_ours
            if "" in segments:
                raise Refusal(404, "There is nothing here")
            request.scope[_NAME] = endpoint.name
            return await self._called(request, endpoint, values_of(endpoint, segments), peer, standing)
        except Refusal as refusal:
            response = refused(refusal, is_ours=is_ours)
        except MailsteadError as error:
            if error.is_temporary:
                _log.warning("a request is put off", error=error.public_text, **error.log_fields)
            response = refused(refusal_of(error), is_ours=is_ours)
        except Exception as error:  # noqa: BLE001 - a bug is answered vaguely, and told in full in the log
            metrics.BUGS.labels("api").inc()
            _log.error("a request failed", exc_info=error)
            response = refused(Refusal(500, "Something went wrong here"), is_ours=is_ours)
        for name, value in limits.headers_of(standing).items():
            response.headers.setdefault(name, value)
        return response

    async def _called(
        self,
        request: Request,
        endpoint: Endpoint,
        path: Mapping[str, str],
        peer: Peer,
        standing: Standing | None,
    ) -> Response:
        house = self._house
        must_be_private(peer, WHAT, allows_clear_text=house.terms.allows_clear_text)
        if request.method in WRITING or endpoint.changes_by_get:
            must_be_asked_here(request, house.terms.allowed_origins, house.terms.base_url)
        actor = await self._log_in(request, house, peer, endpoint.auth)
        _must_have_right(actor, endpoint)
        if endpoint.per_day:
            standing = await house.call_limits.count(endpoint.name, actor, endpoint.per_day)
            limits.must_be_within(standing, house.clock)
        query, is_dry_run = _query(request, endpoint)
        once = Once(house.idempotency, endpoint, actor, request)
        octets = b""
        if endpoint.method in WRITING:
            octets = await bodies.octets_of(request, min(endpoint.body_octets_max, house.terms.body_octets_max))
        given = await once.begin(request, octets)
        if given is not None:
            return given
        try:
            if len(octets) > LARGE_OCTETS:
                body, files = await asyncio.to_thread(_body, request, endpoint, octets)
            else:
                body, files = _body(request, endpoint, octets)
            del octets
            call = Call(endpoint, house, actor, peer, request, path, query, body, files, is_dry_run)
            response = response_of(await endpoint.handler(call), call)
        except BaseException:
            await once.give_up()
            raise
        await once.keep(response)
        for name, value in limits.headers_of(standing).items():
            response.headers.setdefault(name, value)
        return response

    def _options(self, request: Request, methods: Mapping[str, Endpoint]) -> Response:
        """Say what there is; to a browser, what pages of an allowed origin may send. Spec: RFC 9110 §9.3.7."""
        allowed = dict.fromkeys(_allowed(methods))
        headers = cors_headers(request, self._house.terms.allowed_origins, methods=allowed)
        return Response(None, 204, {"allow": ", ".join(allowed), **headers})


def _allowed(methods: Mapping[str, Endpoint]) -> list[str]:
    return sorted({*methods, "OPTIONS", *({"HEAD"} if "GET" in methods else ())})


def _must_have_right(actor: Actor, endpoint: Endpoint) -> None:
    """Refuse what the caller has no right to whatever the path says; the rest is asked by use cases.

    Errors: NotAllowed, Refusal.
    """
    if endpoint.right is Right.SERVER_ADMIN:
        actor.must_be_admin()
    elif endpoint.right is not Right.ANYBODY and endpoint.auth is Auth.NONE:
        raise Refusal(401, "Please log in")


def _query(request: Request, endpoint: Endpoint) -> tuple[Any, bool]:
    """Give the query in its endpoint's model, and whether it is a dry run. Errors: Refusal."""
    tree = bodies.query_of(request)
    is_dry_run = False
    if "dry_run" in tree and (endpoint.query is None or "dry_run" not in endpoint.query.model_fields):
        try:
            is_dry_run = _DRY_RUN.validate_python(tree.pop("dry_run"))
        except ValidationError:
            raise Refusal(400, "dry_run is true or false") from None
        if is_dry_run and not endpoint.offers_dry_run:
            raise Refusal(400, "There is no dry run of that")
    model = endpoint.query or (Listed if _is_list(endpoint) else Model)
    try:
        return model.model_validate(tree), is_dry_run
    except ValidationError as error:
        raise faults_of(error) from None


def _is_list(endpoint: Endpoint) -> bool:
    return getattr(endpoint.shows, "__origin__", None) is list


def _body(request: Request, endpoint: Endpoint, octets: bytes) -> tuple[Any, tuple[Any, ...]]:
    """Give the body in its endpoint's model, and the files. Errors: Refusal."""
    if endpoint.method not in WRITING:
        return None, ()
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Refusal(415, "The body is to be sent as it is, without Content-Encoding")
    content_type = request.headers.get("content-type", "")
    tree, files = bodies.tree_of(content_type, octets, takes_files=endpoint.takes_files)
    try:
        return (endpoint.body or Model).model_validate(tree), files
    except ValidationError as error:
        raise faults_of(error) from None
