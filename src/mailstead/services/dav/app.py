"""The DAV application: who asks, for what, and what answers it. Errors become answers in one place.

It stands before another application where the web service answers on the same port: what is none of its paths, it
passes on.

Spec: RFC 4918 §9, §18; RFC 4791 §5.1; RFC 6352 §6.1; RFC 6764 §5, §6; RFC 3744 §7.2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mailstead.model.dav import CollectionKind, Precondition
from mailstead.model.errors import MailsteadError, UidConflict
from mailstead.proto.dav import headers, parse
from mailstead.proto.dav.xml import BadRequest
from mailstead.services.dav import apple_push, attachments, errors, outbox, push, sharing
from mailstead.services.dav.call import Call, DavHouse
from mailstead.services.dav.log_in import log_in, must_be_asked_here
from mailstead.services.dav.methods import objects
from mailstead.services.dav.methods.propfind import propfind
from mailstead.services.dav.methods.proppatch import make_collection, proppatch
from mailstead.services.dav.paths import PREFIXES, Place, PlaceKind, place_of
from mailstead.services.dav.public import PREFIX as PUBLIC
from mailstead.services.dav.public import PublicCalendars
from mailstead.services.dav.reports import addressbooks, calendars, principals, sync
from mailstead.telemetry import log, metrics
from mailstead.usecases.meetings import MESSAGE_OCTETS_MAX

_log = log.get("dav")

Method = Callable[[Call], Awaitable[Response]]

REPORTS: Final[dict[Any, Callable[[Any, Any], Awaitable[Response]]]] = {}
for _module in (calendars, addressbooks, sync, principals):
    REPORTS.update(_module.REPORTS)

_MAKING: Final = frozenset({"PUT", "MKCOL", "MKCALENDAR"})
WELL_KNOWN: Final = ("/.well-known/caldav", "/.well-known/carddav")
COMPLIANCE: Final = (
    "1, 3, access-control, extended-mkcol, add-member, calendar-access, calendar-schedule, calendar-auto-schedule, "
    "calendar-availability, calendar-managed-attachments, calendar-no-timezone, addressbook, "
    "calendarserver-principal-property-search, calendarserver-sharing, calendar-proxy, resource-sharing, webdav-push"
)


def make_dav_app(house: DavHouse, others: ASGIApp | None = None) -> ASGIApp:
    """Give the application; `others` gets what is none of its paths."""
    return _DavApp(house, others)


def is_ours(path: str) -> bool:
    """Whether a path is one of DAV's, beside web pages."""
    return any(path == prefix or path.startswith(prefix.rstrip("/") + "/") for prefix in PREFIXES)


class _DavApp:
    def __init__(self, house: DavHouse, others: ASGIApp | None) -> None:
        self._house = house
        self._others = others
        self._public = PublicCalendars(house.sharings, house.calendar_files)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        # The root belongs to the pages, but what only DAV clients ask there is ours.
        is_root = path == "/" and scope["method"] in {"PROPFIND", "REPORT", "PROPPATCH", "OPTIONS"}
        if self._others is not None and not (is_ours(path) or is_root):
            await self._others(scope, receive, send)
            return
        request = Request(self._house.proxies.seen_through(scope), receive)
        response = await self._answer(request)
        response.headers["dav"] = COMPLIANCE
        response.headers.setdefault("x-content-type-options", "nosniff")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        is_book = False
        try:
            raw_path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
            raw_path = raw_path.partition("?")[0]
            if raw_path.rstrip("/") in WELL_KNOWN:
                # Every method, with or without log-in: RFC 6764 §5.
                return RedirectResponse("/", 301) if self._others is None else RedirectResponse("/dav/", 301)
            if raw_path.startswith(PUBLIC):
                return await self._public.answer(request, allows_clear_text=self._house.allows_clear_text)
            place = place_of(raw_path)
            if place is None:
                # What is to be made there has no parent: RFC 4918 §9.3.1, §9.7.1.
                return errors.xml_error(409 if request.method in _MAKING else 404)
            is_book = place.collection_kind is CollectionKind.ADDRESSBOOK
            if request.method == "OPTIONS":
                return Response(headers={"allow": ", ".join(_allowed(place))})
            must_be_asked_here(request, changes_by_get=place.kind is PlaceKind.APPLE_PUSH)
            actor = await log_in(request, self._house.accounts, allows_clear_text=self._house.allows_clear_text)
            call = Call(request, self._house, actor, place)
            call.must_be_served()
            return await self._method(call)
        except BadRequest as error:
            return errors.bad_request(error)
        except UidConflict as error:
            name = error.log_fields.get("name")
            conflict = place.parent.object(name).path if place is not None and isinstance(name, str) else ""
            return errors.answer(error, is_book=is_book, conflict=conflict)
        except MailsteadError as error:
            if error.is_temporary:
                _log.warning("a request is put off", error=error.public_text, **error.log_fields)
            return errors.answer(error, is_book=is_book)
        except Exception as error:  # noqa: BLE001 - a bug is answered vaguely, and told in full in the log
            metrics.BUGS.labels("dav").inc()
            _log.error("a request failed", exc_info=error)
            return errors.xml_error(500, description="Something went wrong here")

    async def _method(self, call: Call) -> Response:
        method = _METHODS.get(call.request.method)
        if method is None or call.request.method not in _allowed(call.place):
            return Response(status_code=405, headers={"allow": ", ".join(_allowed(call.place))})
        return await method(call)


async def report(call: Call) -> Response:
    """REPORT. Spec: RFC 3253 §3.6."""
    asked = parse.report(await call.body())
    return await REPORTS[type(asked)](call, asked)


async def get(call: Call) -> Response:
    """GET: of objects and the like; and Apple's devices register with it."""
    return await (apple_push.subscribe if call.place.kind is PlaceKind.APPLE_PUSH else objects.get)(call)


async def post(call: Call) -> Response:
    """POST: what it means is said by place, query and body."""
    query = call.request.query_params
    if call.place.kind is PlaceKind.APPLE_PUSH:
        return await apple_push.subscribe(call)
    if call.place.kind is PlaceKind.RESOURCE and "action" in query:
        octets = await call.body(call.house.calendar_objects.terms.attachment_octets_max)
        return await attachments.post(_AttachmentCall(call), octets)
    if call.place.kind is PlaceKind.OUTBOX:
        return await outbox.post(call, await call.body(MESSAGE_OCTETS_MAX))
    if call.place.kind is PlaceKind.COLLECTION and "add-member" in query:
        return await objects.add_member(call)
    if call.place.kind is PlaceKind.COLLECTION:
        asked = parse.share(await call.body())
        if asked is not None:
            return await sharing.post(call, asked)
        registration = parse.push_register(await call.body())
        if registration is not None:
            return await push.register(call, registration)
    return PlainTextResponse("There is nothing to post here\n", 405)


async def delete(call: Call) -> Response:
    """DELETE: of objects, collections, registrations for push."""
    return await (push.unregister if call.place.kind is PlaceKind.PUSH else objects.delete)(call)


class _AttachmentCall:
    """A call as `services.dav.attachments` wants it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.attachments = call.house.attachments
        self.request = call.request
        self.resource_name = call.resource_name
        self.opened = call.opened

    @property
    def precondition(self) -> Precondition:
        """Of If-Match and the like."""
        return headers.precondition(self._call.headers, self._call.place.path)


_METHODS: Final[dict[str, Method]] = {
    "PROPFIND": propfind,
    "PROPPATCH": proppatch,
    "MKCOL": make_collection,
    "MKCALENDAR": make_collection,
    "REPORT": report,
    "GET": get,
    "HEAD": objects.get,
    "PUT": objects.put,
    "DELETE": delete,
    "COPY": objects.copy_or_move,
    "MOVE": objects.copy_or_move,
    "POST": post,
}


def _allowed(place: Place) -> tuple[str, ...]:
    """Give the methods of a place. Spec: RFC 9110 §10.2.1."""
    common = ("OPTIONS", "GET", "HEAD", "PROPFIND", "PROPPATCH", "REPORT")
    if place.kind is PlaceKind.RESOURCE:
        return (*common, "PUT", "DELETE", "COPY", "MOVE", "POST")
    if place.kind is PlaceKind.COLLECTION:
        return (*common, "PUT", "DELETE", "MKCOL", "MKCALENDAR", "POST", "COPY", "MOVE")
    if place.kind is PlaceKind.OUTBOX:
        return (*common, "POST")
    if place.kind is PlaceKind.ATTACHMENT:
        return ("OPTIONS", "GET", "HEAD")
    if place.kind is PlaceKind.PUSH:
        return ("OPTIONS", "DELETE")
    if place.kind is PlaceKind.APPLE_PUSH:
        return ("OPTIONS", "GET", "POST")
    return (*common, "MKCOL", "MKCALENDAR")
