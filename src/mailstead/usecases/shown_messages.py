"""A message of an account as a page shows it: read in pieces, made safe off the loop.

Only the octets of what is shown are read, whatever is attached. Spec: attack rows 86 to 88; see `mime.showing`.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.mime.binary import decoded_part
from mailstead.mime.showing.body_choice import body_choice
from mailstead.mime.showing.message import BODY_OCTETS_MAX, ShownMessage, parts_to_read, shown, shown_message
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage
from mailstead.model.message import OctetRange, Octets, PartFacts, Wanted
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.messages import LISTED, Messages
from mailstead.usecases.remote_images import RemoteImages

AT_ONCE_MAX: Final = 2
"""Messages made safe at the same time in one process; more would not be quicker and hold more memory."""
ATTACHMENT_OCTETS_MAX: Final = 64 << 20
_NAME_CHARACTERS_MAX: Final = 150
_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that a reader does not see, or that change how others are seen."""


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """Something that is listed under a message."""

    number: str
    """Section number (``2.1``), for `ShownMessages.attachment`."""
    file_name: str
    """As it may be shown and saved: no path, no control or direction characters; may be empty."""
    media_type: str
    """As the sender calls it: for words and icons, never for what a browser is told."""
    size_octets: int
    """Encoded."""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """What a page needs to show one message."""

    view: MessageView
    message: ShownMessage
    attachments: Sequence[AttachmentView]
    can_load_remote: bool
    """Whether there is remote content that loading it would show."""
    is_encrypted: bool
    is_signed: bool


class ShownMessages:
    """Every verb begins with an actor, whose own account alone is reached."""

    def __init__(self, mailboxes: Mailboxes, images: RemoteImages) -> None:
        self._mailboxes = mailboxes
        self._messages = Messages(mailboxes)
        self._images = images
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def show(
        self, actor: Actor, object_id: str, *, prefers_html: bool = True, loads_remote: bool = False
    ) -> MessagePage:
        """Give a message as it is shown. `loads_remote`: the reader has asked for pictures from the web.

        Errors: NoSuchMessage, NotAllowed.
        """
        view, parts = await self._parts(actor, object_id)
        choice = body_choice(parts, prefers_html=prefers_html)
        wanted = parts_to_read(parts, choice)
        ranges = [
            OctetRange(
                view.record.blob_id,
                parts[index].body_start,
                min(parts[index].body_end, parts[index].body_start + BODY_OCTETS_MAX),
            )
            for index in wanted
        ]
        octets = await self._mailboxes.of(actor).read_octets(ranges) if ranges else []
        read = dict(zip(wanted, octets, strict=True))
        remote = self._images.addresses(actor) if loads_remote else None
        async with self._at_once:
            message = await asyncio.to_thread(shown, parts, choice, read, remote=remote)
        return MessagePage(
            view=view,
            message=message,
            attachments=[attachment_view(parts[index]) for index in message.attachments],
            can_load_remote=message.blocked.image_count > 0,
            is_encrypted=bool(choice.encrypted),
            is_signed=bool(choice.signed),
        )

    async def show_decrypted(self, octets: Octets, *, prefers_html: bool = True) -> ShownMessage:
        """Give one decrypted part as it is shown: alone, nothing remote, whoever asks (attack row 88)."""
        async with self._at_once:
            return await asyncio.to_thread(shown_message, octets, prefers_html=prefers_html, is_decrypted=True)

    async def attachment(self, actor: Actor, object_id: str, number: str) -> tuple[AttachmentView, bytes]:
        """Give a part of a message, decoded. The answer must be a download with ``application/octet-stream``.

        Errors: NoSuchMessage, also for a number that is none, for a part larger than `ATTACHMENT_OCTETS_MAX`, and for
        one in an encoding that nobody knows.
        """
        view, parts = await self._parts(actor, object_id)
        part = next((part for part in parts if part.number == number and number), None)
        if part is None or part.body_end - part.body_start > ATTACHMENT_OCTETS_MAX:
            raise NoSuchMessage
        wanted = OctetRange(view.record.blob_id, part.body_start, part.body_end)
        (octets,) = await self._mailboxes.of(actor).read_octets([wanted])
        content = await asyncio.to_thread(decoded_part, octets, part.encoding)
        if content is None:
            raise NoSuchMessage
        return attachment_view(part), content

    async def _parts(self, actor: Actor, object_id: str) -> tuple[MessageView, tuple[PartFacts, ...]]:
        view = await self._messages.show(actor, object_id, LISTED | Wanted.PARTS)
        return view, view.record.parts or ()


def attachment_view(part: PartFacts) -> AttachmentView:
    """Give a part as it is listed."""
    name = dict(part.disposition_params).get("filename") or dict(part.params).get("name") or ""
    return AttachmentView(part.number, safe_file_name(name), part.media_type, part.body_end - part.body_start)


def safe_file_name(name: str) -> str:
    """Give a name without path, control and direction characters, which make ``exe.pdf`` of ``fdp.exe`` (row 86).

    Spec: RFC 6266 §4.3 (file names of strangers).
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(
        letter for letter in name if unicodedata.category(letter) not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    )
    name = " ".join(name.split()).strip(". ")
    if len(name) > _NAME_CHARACTERS_MAX:
        stem, dot, suffix = name.rpartition(".")
        room = _NAME_CHARACTERS_MAX - len(dot + suffix)
        name = stem[:room] + dot + suffix if dot and room > 0 else name[:_NAME_CHARACTERS_MAX]
    return name
