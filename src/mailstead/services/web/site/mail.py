"""Mail: conversations of a folder or all, found and read, and what is done with them.

What a message holds is shown in a frame of its own, without scripts and without the page's origin (`showing`).
Spec: attack rows 86, 87, 89.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values, text_of
from mailstead.mime.showing.document import SANDBOX, frame_headers
from mailstead.model.errors import NoSuchMessage, PolicyRefused
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Listing, ObjectId
from mailstead.model.search import And, Contains, Everything, HasFlag, Not, SearchKey, TextField
from mailstead.services.web.site.pages import Page, Visit, Who, local_path
from mailstead.services.web.site.words import _
from mailstead.usecases.conversations import ConversationQuery
from mailstead.usecases.message_reasons import SENTENCES
from mailstead.usecases.message_views import MessageChange, MessageView
from mailstead.usecases.shown_messages import MessagePage
from mailstead.usecases.unsubscribing import Unsubscription

FOLDERS_MAX: Final = 1000
PER_PAGE: Final = 50
CHOSEN_MAX: Final = 500
"""Messages that one form changes."""
SPECIAL: Final = {"archive": "\\Archive", "junk": "\\Junk", "trash": "\\Trash"}
"""What a button means, as the folder's special use. Spec: RFC 6154."""
NAMES: Final = {"archive": "Archive", "junk": "Junk", "trash": "Trash", "inbox": INBOX}
"""Of folders that are not there yet."""


async def conversations(visit: Visit) -> Response:
    """List conversations, newest first: of a folder (the inbox), or of all where something is looked for."""
    query = visit.request.query_params
    text, which = query.get("q", "").strip()[:200], query.get("which", "")
    folder = query.get("folder", "") or ("" if text else INBOX)
    found = await visit.house.conversations.page(
        visit.actor, ConversationQuery(_key(text, which), folder), query.get("after", ""), PER_PAGE
    )
    folders = await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))
    return visit.show(
        "mail/list.html",
        folders=folders.items,
        folder=folder,
        found=found.conversations,
        next=found.next,
        unindexed_count=found.unindexed_count,
        text=text,
        which=which,
        then=visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else ""),
        at=lambda seconds: datetime.fromtimestamp(seconds, UTC),
    )


async def conversation(visit: Visit) -> Response:
    """Show one whole; what is shown open counts as read."""
    found = await visit.house.conversations.show(visit.actor, visit.request.path_params["conversation_id"])
    unread = [view for view in found.messages if SEEN not in view.record.flags]
    for view in unread:
        await _change(visit, view, _with(SEEN))
    opened = {view.place.object_id for view in unread} | {found.messages[-1].place.object_id}
    folders = await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))
    images = _has_images(visit) or await _is_trusted(visit, found.messages[-1])
    shown = []
    for view in found.messages:
        details = await _details(visit, view, opened, has_images=images)
        shown.append((view, _header(view), view.place.object_id in opened, details))
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
        then=local_path(visit.request.query_params.get("then", ""), "/mail"),
        at=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        has_images=images,
        snoozes=_snoozes(visit.house.clock.now()),
    )


@dataclass(frozen=True, slots=True)
class Details:
    """What a page says of a message beside its frame."""

    shown: MessagePage
    unsubscription: Unsubscription
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
    return Details(shown, state, "s" if size < 600 else "m" if size < 4000 else "l")


async def act(visit: Visit) -> Response:
    """Do something with the messages that are chosen: flags, folders, or away with them."""
    fields = await visit.fields()
    ids = [each for name, value in fields.items() if name.startswith("c-") for each in value.split()]
    if len(ids) > CHOSEN_MAX:
        raise PolicyRefused(f"At most {CHOSEN_MAX} messages are changed at once")
    verb, target = fields.get("verb", ""), fields.get("folder", "")
    if verb.startswith("snooze-"):
        until = _snoozes(visit.house.clock.now()).get(verb.removeprefix("snooze-"))
        if until is None or not ids:
            raise PolicyRefused(_("That cannot be done with messages"))
        await visit.house.snoozing.snooze(visit.actor, list(dict.fromkeys(ids)), until)
        return visit.go(local_path(fields.get("then", ""), "/mail"), told="snoozed")
    work = await _work(visit, verb, target)
    for object_id in dict.fromkeys(ids):
        try:
            view = await visit.house.messages.show(visit.actor, object_id)
            if work is None:
                await visit.house.messages.delete(visit.actor, object_id)
            else:
                await _change(visit, view, work)
        except NoSuchMessage:
            continue  # another program was quicker
    return visit.go(local_path(fields.get("then", ""), "/mail"))


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
    return visit.go(local_path(fields.get("then", ""), "/mail"), told="unsubscribed")


async def images(visit: Visit) -> Response:
    """From now on load pictures of a sender unasked."""
    fields = await visit.fields()
    await visit.house.preferences.show_images_of(visit.actor, fields.get("sender", ""))
    return visit.go(local_path(fields.get("then", ""), "/mail"), images="yes")


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


Work = Callable[[MessageView], MessageChange]


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


def _snoozes(now: datetime) -> dict[str, datetime]:
    """Give until when messages may rest: this evening is left out where it is too near."""
    tomorrow = (now + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    return {"hours": now + timedelta(hours=3), "tomorrow": tomorrow, "week": tomorrow + timedelta(days=6)}


async def _work(visit: Visit, verb: str, folder: str) -> Work | None:
    """Give what becomes of each message; None: it is removed for good. Errors: PolicyRefused, NoSuchMailbox."""
    flags: Mapping[str, Work] = {
        "read": _with(SEEN),
        "unread": _without(SEEN),
        "flag": _with(FLAGGED),
        "unflag": _without(FLAGGED),
    }
    if verb in flags:
        return flags[verb]
    if verb == "delete":
        return None
    if verb == "move":
        path = (await visit.house.folders.show(visit.actor, folder)).mailbox.name
    elif verb in NAMES:
        path = await _special(visit, verb)
    else:
        raise PolicyRefused(_("That cannot be done with messages"))
    return lambda _view: MessageChange(folder=path)


async def _special(visit: Visit, verb: str) -> str:
    """Give the path of the folder that a button means; it is made by the first message, where it is not there."""
    folders = await visit.house.folders.find(visit.actor, Listing(limit=FOLDERS_MAX))
    use = SPECIAL.get(verb)
    return next((each.mailbox.name for each in folders.items if use and each.mailbox.special_use == use), NAMES[verb])


async def _change(visit: Visit, view: MessageView, work: Work) -> None:
    await visit.house.messages.change(visit.actor, view.place.object_id, work(view))


def _with(flag: str) -> Work:
    return lambda view: MessageChange(flags=sorted({*view.flags, flag}))


def _without(flag: str) -> Work:
    return lambda view: MessageChange(flags=sorted(set(view.flags) - {flag}))


def _key(text: str, which: str) -> SearchKey:
    keys: list[SearchKey] = [Contains(TextField.TEXT, word) for word in text.split()[:10]]
    if which == "unread":
        keys.append(Not(HasFlag(SEEN)))
    elif which == "flagged":
        keys.append(HasFlag(FLAGGED))
    return keys[0] if len(keys) == 1 else And(tuple(keys)) if keys else Everything()


def _header(view: MessageView) -> dict[str, str]:
    """Give fields of a message as people read them."""
    values = first_values(view.record.listed_header or b"")
    return {name: text_of(values[name.encode()]) for name in ("from", "to", "cc", "subject") if name.encode() in values}


PAGES: Final = (
    Page("/mail", conversations, Who.OWNER),
    Page("/mail/act", act, Who.OWNER, ("POST",)),
    Page("/mail/c/{conversation_id}", conversation, Who.OWNER),
    Page("/mail/m/{message_id}/frame", frame, Who.OWNER),
    Page("/mail/m/{message_id}/images", images, Who.OWNER, ("POST",)),
    Page("/mail/m/{message_id}/parts/{number}", part, Who.OWNER),
    Page("/mail/m/{message_id}/unsubscribe", unsubscribe, Who.OWNER, ("POST",)),
    Page("/mail/m/{message_id}/why", why, Who.OWNER),
    Page("/mail/m/{message_id}/source", source, Who.OWNER),
)
