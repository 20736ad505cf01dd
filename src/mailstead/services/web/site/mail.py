"""Mail: conversations of a folder or all, found and read, and what is done with them.

What a message holds is shown in a frame of its own, without scripts and without the page's origin (`showing`).
Spec: attack rows 86, 87, 89.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values, text_of
from mailstead.mime.showing.document import SANDBOX, frame_headers
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Listing, ObjectId
from mailstead.model.search import And, Contains, Everything, HasFlag, Not, SearchKey, TextField
from mailstead.services.web.site.acting import FOLDERS_MAX, with_query
from mailstead.services.web.site.mailed_invitation import InvitationCard, card_of
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.usecases.conversations import ConversationQuery
from mailstead.usecases.message_reasons import SENTENCES
from mailstead.usecases.message_views import MessageView, is_named, labels_of
from mailstead.usecases.openpgp_mail import Look
from mailstead.usecases.shown_messages import MessagePage
from mailstead.usecases.unsubscribing import Unsubscription

PER_PAGE: Final = 50


async def conversations(visit: Visit) -> Response:
    """List conversations, newest first: of a folder (the inbox), or of all where something is looked for."""
    query = visit.request.query_params
    text, which, label = query.get("q", "").strip()[:200], query.get("which", ""), query.get("label", "")[:100]
    folder = query.get("folder", "") or ("" if text or label else INBOX)
    found = await visit.house.conversations.page(
        visit.actor, ConversationQuery(_key(text, which, label), folder), query.get("after", ""), PER_PAGE
    )
    folders = (await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))).items
    shown = visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else "")
    return visit.show(
        "mail/list.html",
        folders=folders,
        folder=folder,
        here=next((each for each in folders if is_named(each.mailbox, folder)), None),
        found=found.conversations,
        next=found.next,
        unindexed_count=found.unindexed_count,
        text=text,
        which=which,
        label=label,
        labels=labels_of({flag for each in found.conversations for flag in each.flags}),
        labels_of=labels_of,
        then=with_query(shown, told="", all=""),
        has_all=query.get("all") == "yes",
        with_query=with_query,
        has_shortcuts=await has_shortcuts(visit),
        at=lambda seconds: datetime.fromtimestamp(seconds, UTC),
    )


async def conversation(visit: Visit) -> Response:
    """Show one whole; what is shown open counts as read."""
    found = await visit.house.conversations.show(visit.actor, visit.request.path_params["conversation_id"])
    unread = [view.place.object_id for view in found.messages if SEEN not in view.record.flags]
    await visit.house.chosen_messages.flag(visit.actor, unread, SEEN, is_set=True)
    opened = {*unread, found.messages[-1].place.object_id}
    folders = await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))
    images = _has_images(visit) or await _is_trusted(visit, found.messages[-1])
    flags = {flag for view in found.messages for flag in view.record.flags}
    then = local_path(visit.request.query_params.get("then", ""), "/mail")
    return visit.show(
        "mail/conversation.html",
        conversation=found,
        messages=[
            (
                view,
                _header(view),
                view.place.object_id in opened,
                await _details(visit, view, opened, has_images=images),
            )
            for view in found.messages
        ],
        sandbox=SANDBOX,
        sender_of=sender_address,
        folders=folders.items,
        then=then,
        here=with_query(visit.request.url.path, then=then),
        labels=labels_of(flags),
        is_flagged=FLAGGED in flags,
        has_shortcuts=await has_shortcuts(visit),
        at=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        has_images=images,
    )


async def has_shortcuts(visit: Visit) -> bool:
    """Whether single keys act on these pages. Spec: WCAG 2.2 §2.1.4."""
    return (await visit.house.preferences.get(visit.actor)).has_shortcuts


@dataclass(frozen=True, slots=True)
class Details:
    """What a page says of a message beside its frame."""

    shown: MessagePage
    openpgp: Look
    unsubscription: Unsubscription
    invitation: InvitationCard | None
    """None: it says nothing of a meeting."""
    height: str
    """How high the frame is to be: ``s``, ``m`` or ``l``; it cannot tell, as it has no scripts."""


async def _details(visit: Visit, view: MessageView, opened: set[ObjectId], *, has_images: bool) -> Details | None:
    """Look into a message that is shown open; of others nothing is read."""
    object_id = view.place.object_id
    if object_id not in opened:
        return None
    shown = await visit.house.shown_messages.show(visit.actor, object_id, loads_remote=has_images)
    size = sum(len(body.html) for body in shown.message.bodies)
    state = await visit.house.unsubscribing.state(visit.actor, object_id)
    openpgp = await visit.house.openpgp.look(visit.actor, shown)
    invitation = await card_of(visit, view)
    return Details(shown, openpgp, state, invitation, "s" if size < 600 else "m" if size < 4000 else "l")


async def frame(visit: Visit) -> Response:
    """Give the document that shows a message, for its frame; pictures from elsewhere only where they are asked for."""
    page = await visit.house.shown_messages.show(
        visit.actor, visit.request.path_params["message_id"], loads_remote=_has_images(visit)
    )
    title = _header(page.view).get("subject", "")
    return Response(page.message.document(title), headers=frame_headers(has_remote=page.message.has_remote))


async def part(visit: Visit) -> Response:
    """Give an attachment to be kept, never to be shown as a page of ours (attack row 97)."""
    path = visit.request.path_params
    view, octets = await visit.house.shown_messages.attachment(visit.actor, path["message_id"], path["number"])
    name = quote(view.file_name or f"part-{view.number}", safe="")
    headers = {**_KEPT, "content-disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(octets, media_type="application/octet-stream", headers=headers)


async def why(visit: Visit) -> Response:
    """Say why a message is where it is."""
    explained = await visit.house.message_reasons.explain(visit.actor, visit.request.path_params["message_id"])
    header = _header(explained.view)
    return visit.show("mail/why.html", explained=explained, header=header, sentences=SENTENCES)


async def unsubscribe(visit: Visit) -> Response:
    """Leave the list of a message."""
    fields, message_id = await visit.fields(), visit.request.path_params["message_id"]
    await visit.house.unsubscribing.unsubscribe(visit.actor, visit.peer, message_id)
    return visit.go(with_query(local_path(fields.get("then", ""), "/mail"), told="unsubscribed"))


async def images(visit: Visit) -> Response:
    """From now on load pictures of a sender unasked."""
    fields = await visit.fields()
    await visit.house.preferences.show_images_of(visit.actor, fields.get("sender", ""))
    return visit.go(with_query(local_path(fields.get("then", ""), "/mail"), images="yes"))


def _has_images(visit: Visit) -> bool:
    return visit.request.query_params.get("images") == "yes"


async def source(visit: Visit) -> Response:
    """Give a message as it is, as text."""
    octets = (await _octets(visit))[1]
    return Response(octets.decode("utf-8", "replace"), media_type="text/plain; charset=utf-8", headers=_KEPT)


async def _octets(visit: Visit) -> tuple[MessageView, bytes]:
    view = await visit.house.messages.show(visit.actor, visit.request.path_params["message_id"])
    (octets,) = await visit.house.messages.octets(visit.actor, [view])
    return view, octets


_KEPT: Final = {
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Of what strangers have written."""


async def _is_trusted(visit: Visit, view: MessageView) -> bool:
    """Whether the reader wants the pictures of whoever wrote a message."""
    sender = sender_address(view)
    return bool(sender) and await visit.house.preferences.shows_images_of(visit.actor, sender)


def sender_address(view: MessageView) -> str:
    """Give the address in From; nothing, where there is none."""
    listed = addresses_of(first_values(view.record.listed_header or b"").get(b"from", b""))
    if not listed or listed[0].domain is None:
        return ""
    return f"{text_of(listed[0].local_part or b'')}@{text_of(listed[0].domain)}"


def _key(text: str, which: str, label: str) -> SearchKey:
    keys: list[SearchKey] = [Contains(TextField.TEXT, word) for word in text.split()[:10]]
    if which == "unread":
        keys.append(Not(HasFlag(SEEN)))
    elif which == "flagged":
        keys.append(HasFlag(FLAGGED))
    if label:
        keys.append(HasFlag(label))
    return keys[0] if len(keys) == 1 else And(tuple(keys)) if keys else Everything()


def _header(view: MessageView) -> dict[str, str]:
    """Give fields of a message as people read them."""
    values = first_values(view.record.listed_header or b"")
    return {name: text_of(values[name.encode()]) for name in ("from", "to", "cc", "subject") if name.encode() in values}


PAGES: Final = (
    Page("/mail", conversations, Who.OWNER),
    Page("/mail/c/{conversation_id}", conversation, Who.OWNER),
    Page("/mail/m/{message_id}/frame", frame, Who.OWNER),
    Page("/mail/m/{message_id}/images", images, Who.OWNER, ("POST",)),
    Page("/mail/m/{message_id}/parts/{number}", part, Who.OWNER),
    Page("/mail/m/{message_id}/unsubscribe", unsubscribe, Who.OWNER, ("POST",)),
    Page("/mail/m/{message_id}/why", why, Who.OWNER),
    Page("/mail/m/{message_id}/source", source, Who.OWNER),
)
