"""Managed attachments: POST on an object adds, exchanges or removes one; GET gives it to whoever may read the object.

Spec: RFC 8607 §3.
"""

from __future__ import annotations

from email.message import Message
from typing import Final, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from mailstead.model.dav import Attachment, CollectionKind, Precondition
from mailstead.model.errors import BadObject
from mailstead.usecases.attachments import Attachments, NewFile
from mailstead.usecases.collections import Opened

ACTIONS: Final = frozenset({"attachment-add", "attachment-update", "attachment-remove"})


class AttachmentCall(Protocol):
    """What is needed of the request around."""

    @property
    def attachments(self) -> Attachments:
        """Whom to ask."""

    @property
    def request(self) -> Request:
        """Its query and fields."""

    @property
    def resource_name(self) -> str:
        """Of the object."""

    @property
    def precondition(self) -> Precondition:
        """Of If-Match and the like."""

    async def opened(self, kind: CollectionKind | None = None) -> Opened:
        """Give the calendar of the object."""


async def post(call: AttachmentCall, octets: bytes) -> Response:
    """Carry out ``?action=attachment-…``. The object's octets change, so the client fetches it again.

    Errors: BadObject with ``valid-action``, ``valid-managed-id``, ``valid-rid``, ``max-attachment-size``,
    ``max-attachments-per-resource``; those of putting an object.
    """
    query, name = call.request.query_params, call.resource_name
    action, managed_id = query.get("action", ""), query.get("managed-id", "")
    rids = [each for each in query.get("rid", "").split(",") if each]
    opened = await call.opened(CollectionKind.CALENDAR)
    if action not in ACTIONS:
        raise BadObject("That cannot be done with attachments", condition="valid-action")
    if (action == "attachment-add") == bool(managed_id):
        raise BadObject(
            "This needs a managed id where there is one, and none for a new one", condition="valid-managed-id"
        )
    if action == "attachment-remove":
        await call.attachments.remove(opened, name, managed_id, call.precondition, rids)
        return Response(status_code=204)
    if action == "attachment-add":
        _, new_id = await call.attachments.add(opened, name, _file(call.request, octets), call.precondition, rids)
        return Response(status_code=201, headers={"Cal-Managed-ID": new_id})
    if rids:
        raise BadObject("An attachment is exchanged in all instances", condition="valid-rid")
    _, new_id = await call.attachments.update(opened, name, managed_id, _file(call.request, octets), call.precondition)
    return Response(status_code=204, headers={"Cal-Managed-ID": new_id})


def given(attachment: Attachment) -> Response:
    """Give an attachment: always to be saved, never to be shown in our name."""
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(attachment.file_name or 'attachment', safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
        "Content-Type": attachment.media_type,
    }
    return Response(attachment.octets, headers=headers)


def _file(request: Request, octets: bytes) -> NewFile:
    head = Message()
    head["Content-Disposition"] = request.headers.get("content-disposition", "attachment")
    head["Content-Type"] = request.headers.get("content-type", "application/octet-stream")
    return NewFile(head.get_filename() or "", head.get_content_type(), octets)
