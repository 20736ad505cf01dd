"""Writing: a new message, an answer, one sent on; kept as a draft, sent with a while to take it back, or later.

A message is a draft from its first keeping on, so nothing that was written is lost; what is sent is that draft.
Spec: RFC 5322 §3.6.4 (In-Reply-To, References), §3.6.5 (``Re:``).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.responses import Response

from mailstead.mime.binary import decoded_part
from mailstead.mime.composition import Attached, Composition, Correspondent, compose
from mailstead.mime.correspondents import correspondents_of
from mailstead.mime.formatted import document_of, formatted_of_text, safe_formatted, text_of_formatted
from mailstead.mime.inline_images import IMAGE_OCTETS_MAX, MEDIA_TYPES, checked_images, images_named, images_of
from mailstead.mime.parsed import parsed_message
from mailstead.mime.tree import part_tree
from mailstead.model.errors import (
    BadMessage,
    MailsteadError,
    MessageTooLarge,
    NoSuchEmail,
    NoSuchMessage,
    PolicyRefused,
)
from mailstead.model.flags import ANSWERED, DRAFT, SEEN
from mailstead.model.people import Listing
from mailstead.net.http_statuses import status_of
from mailstead.services.web.site.pages import Page, Visit, Who
from mailstead.services.web.site.protecting import fields_of_draft, protected, protection, ticked_for_answer
from mailstead.services.web.site.words import _
from mailstead.services.web.site.writing_images import has_images, image_taken, images_there
from mailstead.usecases.identities import Identity
from mailstead.usecases.message_views import MessageChange, MessageView
from mailstead.usecases.shown_messages import attachment_view

FILES_MAX: Final = 50
TEXT_OCTETS_MAX: Final = 4 * 1024 * 1024
DRAFTS: Final = "\\Drafts"
SHOWN: Final = ("to", "cc", "bcc", "subject", "text", "html", "in_reply_to", "references")
FORMATTED: Final = "formatted"
QUOTED_CHARACTERS_MAX: Final = 200_000
"""Of HTML that an answer quotes as such; what is longer is quoted as text."""
_BASE64: Final = 4 / 3
"""As much longer is a file in a message."""


async def write(visit: Visit) -> Response:
    """Show an empty form, a draft, an answer to a message, or one that is sent on."""
    query = visit.request.query_params
    if draft_id := query.get("draft"):
        try:
            fields = await _draft_fields(visit, draft_id)
        except PolicyRefused:  # it is encrypted, and its key is locked
            return visit.go("/me/openpgp", then=f"/mail/write?draft={draft_id}")
        return await _form(visit, fields, draft_id)
    if answered := query.get("answer"):
        return await _form(visit, await _answer_fields(visit, answered, to_all=query.get("all") == "yes"))
    if passed_on := query.get("forward"):
        return await _forward(visit, passed_on)
    begun = {name: query.get(name, "")[:2000] for name in ("to", "cc", "subject")}
    identities = await visit.house.identities.find(visit.actor)
    text = query.get("body", "")[:10_000] + (_signed(identities[0]) if identities else "")
    begun |= {"text": text, "html": formatted_of_text(text), "format": await _format(visit)}
    return await _form(visit, begun)


async def keep_or_send(visit: Visit) -> Response:
    """Keep what was written, and then send it, if that is wanted."""
    form = await _read(visit)
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    draft_id, verb = fields.get("draft", ""), fields.get("verb", "keep")
    try:
        if verb == "discard":
            if draft_id:
                await visit.house.messages.delete(visit.actor, draft_id)
            return visit.go("/mail", told="discarded")
        at = _moment(fields.get("at", "")) if verb == "later" else None
        files = [each for each in form.getlist("files") if isinstance(each, UploadFile)]
        view, composed = await _kept(visit, fields, files, await image_taken(form))
        draft_id = view.place.object_id
        # Whatever goes wrong from here on, the page shows the files that the draft has now.
        fields = {name: value for name, value in fields.items() if not name.startswith("file-")}
        fields |= await asyncio.to_thread(_files_of, composed)
        if verb == "keep":
            return visit.go("/mail/write", draft=draft_id, told="kept")
        octets = await protected(visit, fields, composed, is_sent=True)
        if octets != composed:
            view = await visit.house.messages.change(visit.actor, draft_id, MessageChange(octets=octets))
            draft_id = view.place.object_id
        preferences = await visit.house.preferences.get(visit.actor)
        entry = await visit.house.outbox.send(
            visit.actor, visit.peer, draft_id, undo_s=preferences.undo_s if at is None else 0, at=at
        )
    except MailsteadError as error:
        return await _form(visit, fields, draft_id, error)
    if answered := fields.get("answered"):
        await _mark_answered(visit, answered)
    return visit.go("/mail/outbox", told="sent", sent=entry.message_id)


async def outbox(visit: Visit) -> Response:
    """Show what was sent and waits."""
    return await _outbox(visit)


async def undo(visit: Visit) -> Response:
    """Take a message back; it is a draft again, and open."""
    fields = await visit.fields()
    try:
        view = await visit.house.outbox.undo(visit.actor, fields.get("message_id", ""))
    except MailsteadError as error:
        return await _outbox(visit, error)
    if view is None:
        return visit.go("/mail/outbox", told="undone")
    return visit.go("/mail/write", draft=view.place.object_id, told="undone")


async def _outbox(visit: Visit, error: MailsteadError | None = None) -> Response:
    waiting = await visit.house.outbox.find(visit.actor)
    status = 200 if error is None else status_of(error)
    return visit.show(
        "mail/outbox.html",
        status,
        waiting=waiting,
        sent=visit.request.query_params.get("sent", ""),
        now=visit.house.clock.now(),
        error=error,
    )


async def _form(
    visit: Visit, fields: dict[str, str], draft_id: str = "", error: MailsteadError | None = None
) -> Response:
    shown = {name: fields.get(name, "") for name in SHOWN}
    answered = fields.get("answered", "")
    images = await images_there(visit, draft_id, answered) if has_images(shown) else {}
    shown["html"] = await asyncio.to_thread(safe_formatted, shown["html"], images=images)
    files = [
        (name.removeprefix("file-"), value) for name, value in fields.items() if name.startswith("file-") and value
    ]
    status = 200 if error is None else status_of(error)
    identities = await visit.house.identities.find(visit.actor)
    sender = fields.get("from", "") or next((str(each.address) for each in identities), "")
    return visit.show(
        "mail/write.html",
        status,
        fields=shown,
        is_formatted=fields.get("format") == FORMATTED,
        protection=await protection(visit, fields),
        identities=identities,
        sender=sender,
        files=files,
        files_octets_max=int(visit.house.terms.message_octets_max / _BASE64),
        image_octets_max=IMAGE_OCTETS_MAX,
        image_types=MEDIA_TYPES,
        image_domain=sender.rpartition("@")[2] or visit.request.url.hostname,
        answered=answered,
        draft_id=draft_id,
        now=visit.house.clock.now().strftime("%Y-%m-%dT%H:%M"),
        error=error,
    )


async def _read(visit: Visit) -> FormData:
    """Read the form with its files. Errors: MessageTooLarge, BadMessage."""
    length = visit.request.headers.get("content-length", "")
    most = int(visit.house.terms.message_octets_max / _BASE64)
    if not length.isdecimal() or int(length) > most + TEXT_OCTETS_MAX:
        raise MessageTooLarge
    try:
        return await visit.request.form(max_files=FILES_MAX, max_fields=200, max_part_size=TEXT_OCTETS_MAX)
    except MultiPartException as error:
        raise BadMessage(error.message) from None


async def _kept(
    visit: Visit, fields: dict[str, str], files: Sequence[UploadFile], image: Attached | None = None
) -> tuple[MessageView, bytes]:
    """Keep what was written: in the place of its draft, or as a new one. Gives it as composed, too.

    `image` comes into the text. An image that the text does not name is left out, but while a script uploads: then
    somebody is writing, and may take back that it was deleted.
    Errors: BadMessage, OverQuota and others.
    """
    attachments = [
        Attached(await each.read(), each.filename or "", each.content_type or "") for each in files if each.filename
    ]
    images = await images_there(visit, "", fields.get("answered", "")) if has_images(fields) else {}
    drawn: dict[str, Attached] = {}
    draft_id = fields.get("draft", "")
    if draft_id:
        (before,) = await visit.house.messages.octets(
            visit.actor, [await visit.house.messages.show(visit.actor, draft_id)]
        )
        before, _ticked = await fields_of_draft(visit, before)
        kept = {name.removeprefix("file-") for name in fields if name.startswith("file-")}
        attachments = [*await asyncio.to_thread(_attached, before, kept), *attachments]
        drawn = await asyncio.to_thread(images_of, before)
    if image is not None:
        drawn |= {image.content_id: image}
    is_upload = image is not None or any(each.filename for each in files)
    unnamed = drawn if is_upload and fields.get("verb", "keep") == "keep" else {}
    composed = await asyncio.to_thread(
        _composed, visit, await _sender(visit, fields), fields, attachments, images | drawn, unnamed
    )
    octets = await protected(visit, fields, composed, is_sent=False)
    if len(octets) > visit.house.terms.message_octets_max:
        raise MessageTooLarge
    if draft_id:
        view = await visit.house.messages.change(visit.actor, draft_id, MessageChange(octets=octets))
    else:
        view = await visit.house.messages.append(visit.actor, await _drafts(visit), octets, [DRAFT, SEEN])
    return view, composed


def _composed(
    visit: Visit,
    sender: Identity,
    fields: dict[str, str],
    attachments: Sequence[Attached],
    images: Mapping[str, Attached] = MappingProxyType({}),
    unnamed: Mapping[str, Attached] = MappingProxyType({}),
) -> bytes:
    """Compose it with those `images` that the text names, and with `unnamed`, named or not. Errors: BadMessage."""
    is_formatted = fields.get("format") == FORMATTED
    html = safe_formatted(fields.get("html", ""), is_whole=True, images=images) if is_formatted else ""
    within = {each.content_id: each for each in images_named(html, images)}
    if html:
        within |= unnamed
    return compose(
        Composition(
            visit.house.clock.now(),
            f"<{secrets.token_hex(12)}@{sender.address.domain}>",
            (Correspondent(sender.display_name, str(sender.address)),),
            to=correspondents_of(fields.get("to", "")),
            cc=correspondents_of(fields.get("cc", "")),
            bcc=correspondents_of(fields.get("bcc", "")),
            subject=" ".join(fields.get("subject", "").split()),
            in_reply_to=fields.get("in_reply_to", ""),
            references=tuple(fields.get("references", "").split()),
            text=text_of_formatted(html) if html else fields.get("text", "").replace("\r\n", "\n"),
            html=document_of(html) if html else None,
            attachments=(*checked_images(within.values()), *attachments),
        ),
        has_bcc=True,
    )


def _attached(octets: bytes, numbers: set[str]) -> list[Attached]:
    """Give the attachments of a draft that stay, by the numbers of their parts."""
    parts, found = part_tree(octets), []
    for number, part in enumerate(parts):
        if str(number) in numbers:
            raw = octets[part.body_start : part.body_end]
            content = decoded_part(raw, part.encoding)
            found.append(
                Attached(raw if content is None else content, attachment_view(part).file_name, part.media_type)
            )
    return found


async def _sender(visit: Visit, fields: dict[str, str]) -> Identity:
    """Give the address that was chosen, if it may be; else the one that new messages are written from."""
    found = await visit.house.identities.find(visit.actor)
    chosen = next((each for each in found if str(each.address) == fields.get("from")), None)
    return chosen or await visit.house.identities.default(visit.actor)


async def _drafts(visit: Visit) -> str:
    folders = await visit.house.folders.find(visit.actor, Listing(limit=1000))
    return next((each.mailbox.name for each in folders.items if each.mailbox.special_use == DRAFTS), "Drafts")


async def _draft_fields(visit: Visit, draft_id: str) -> dict[str, str]:
    """Errors: NoSuchMessage, also for what is no draft."""
    view = await visit.house.messages.show(visit.actor, draft_id)
    if DRAFT not in view.record.flags and view.mailbox.special_use != DRAFTS:
        raise NoSuchMessage
    (octets,) = await visit.house.messages.octets(visit.actor, [view])
    octets, ticked = await fields_of_draft(visit, octets)
    return await asyncio.to_thread(_fields_of, octets) | ticked


def _fields_of(octets: bytes) -> dict[str, str]:
    found = parsed_message(octets, has_attachments=False, has_raw=False)
    fields = {name: _addresses(found, name) for name in ("to", "cc", "bcc")}
    fields |= {
        "from": next((address for _name, address in _listed(found, "from")), ""),
        "subject": str(found["subject"]),
        "text": _text(found),
        "html": str(found.get("html", "")),
        "format": FORMATTED if found.get("html") else "",
        "in_reply_to": str(found.get("inReplyTo", "")),
        "references": _words(found.get("references")),
    }
    return fields | _files_of(octets)


def _files_of(octets: bytes) -> dict[str, str]:
    """Give the files of a draft by the numbers of their parts, as the form has them."""
    return {
        f"file-{number}": attachment_view(part).file_name or part.media_type
        for number, part in enumerate(part_tree(octets))
        if part.disposition == "attachment"
    }


async def _answer_fields(visit: Visit, message_id: str, *, to_all: bool) -> dict[str, str]:
    view = await visit.house.messages.show(visit.actor, message_id)
    (octets,) = await visit.house.messages.octets(visit.actor, [view])
    found = await asyncio.to_thread(parsed_message, octets, has_attachments=False, has_raw=False)
    own = visit.actor.address.key if visit.actor.address is not None else ""
    others = [each for name in ("to", "cc") for each in _listed(found, name) if each[1].casefold() != own]
    sender = _addresses(found, "replyTo") or _addresses(found, "from")
    reference = str(found["messageId"])
    answering = await visit.house.identities.answering(visit.actor, message_id)
    signed = _signed(answering.identity)
    return {
        "from": str(answering.identity.address),
        "to": sender,
        "cc": ", ".join(_written(name, address) for name, address in others) if to_all else "",
        "subject": _with_prefix("Re: ", str(found["subject"])),
        "text": f"{signed}\n\n{_quoted(_text(found))}",
        "html": await asyncio.to_thread(_quoted_html, signed, found, octets),
        "format": await _format(visit),
        "in_reply_to": reference,
        "references": f"{_words(found.get('references'))} {reference}".strip(),
        "answered": message_id,
        "encrypt": await ticked_for_answer(octets),
    }


async def _forward(visit: Visit, message_id: str) -> Response:
    """Begin a draft that has the message in it, whole, as it came. Spec: RFC 2046 §5.2.1 (message/rfc822)."""
    view = await visit.house.messages.show(visit.actor, message_id)
    (octets,) = await visit.house.messages.octets(visit.actor, [view])
    found = await asyncio.to_thread(parsed_message, octets, has_attachments=False, has_raw=False)
    subject = _with_prefix("Fwd: ", str(found["subject"]))
    attached = Attached(octets, f"{subject.removeprefix('Fwd: ')[:80] or 'message'}.eml", "message/rfc822")
    sender = (await visit.house.identities.answering(visit.actor, message_id)).identity
    made = await asyncio.to_thread(_composed, visit, sender, {"subject": subject}, [attached])
    draft = await visit.house.messages.append(visit.actor, await _drafts(visit), made, [DRAFT, SEEN])
    return visit.go("/mail/write", draft=draft.place.object_id)


async def _format(visit: Visit) -> str:
    """Give how a new message begins: `FORMATTED`, or empty for plain text."""
    return FORMATTED if (await visit.house.preferences.get(visit.actor)).writes_formatted else ""


def _quoted_html(signed: str, found: dict[str, object], octets: bytes) -> str:
    """Give the beginning of a formatted answer: what is quoted is safe, as whoever wrote it is a stranger.

    Images that came within the message are quoted, too; they go along with what of the quote is left.
    """
    html = str(found.get("html", ""))
    quoted = safe_formatted(html, images=images_of(octets)) if 0 < len(html) <= QUOTED_CHARACTERS_MAX else ""
    quoted = quoted or formatted_of_text(_text(found).rstrip())
    return f"<div><br></div>{formatted_of_text(signed.strip())}<blockquote>{quoted}</blockquote>"


def _text(found: dict[str, object]) -> str:
    """Give the text of a message, also of one that has HTML alone."""
    text = str(found.get("text", ""))
    return text if text.strip() else text_of_formatted(safe_formatted(str(found.get("html", ""))))


async def _mark_answered(visit: Visit, message_id: str) -> None:
    try:
        view = await visit.house.messages.show(visit.actor, message_id)
        change = MessageChange(flags=sorted({*view.flags, ANSWERED}))
        await visit.house.messages.change(visit.actor, message_id, change)
    except (NoSuchMessage, NoSuchEmail):
        return  # it was put away meanwhile


def _signed(identity: Identity) -> str:
    """Give the signature below an empty place. Spec: RFC 3676 §4.3 (its separator)."""
    return f"\n\n-- \n{identity.signature}" if identity.signature else ""


def _listed(found: dict[str, object], name: str) -> list[tuple[str, str]]:
    """Give name and address of each that a field of a parsed message has."""
    field = found.get(name)
    values = field.get("value") if isinstance(field, dict) else None
    return [(str(each.get("name", "")), str(each.get("address", ""))) for each in values or () if each.get("address")]


def _addresses(found: dict[str, object], name: str) -> str:
    return ", ".join(_written(name, address) for name, address in _listed(found, name))


def _written(name: str, address: str) -> str:
    if not name:
        return address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _with_prefix(prefix: str, subject: str) -> str:
    return subject if subject.lower().startswith(prefix.strip().lower()) else prefix + subject


def _quoted(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}" for line in text.rstrip().splitlines())


def _moment(text: str) -> datetime:
    """Read what a field for date and time gives; it is in UTC. Errors: BadMessage."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BadMessage(_("Say when it is to be sent")) from None


PAGES: Final = (
    Page("/mail/write", write, Who.OWNER),
    Page("/mail/write", keep_or_send, Who.OWNER, ("POST",)),
    Page("/mail/outbox", outbox, Who.OWNER),
    Page("/mail/outbox/undo", undo, Who.OWNER, ("POST",)),
)
