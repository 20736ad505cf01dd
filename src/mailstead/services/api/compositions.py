"""Messages as programs hand them in: the fields of Node.js's mail library, from which `mime.composition` writes octets.

Content comes in the request and from nowhere else: what names a file or a URL is refused, as are an envelope and keys.

Spec: reference forwardemail 4.6 (POST /emails), 4.4 (POST /messages); attack rows 37, 93.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BeforeValidator, ConfigDict, Field

from mailstead.mime.composition import Alternative, Attached, Composition, Correspondent, compose
from mailstead.mime.correspondents import checked_address, correspondents_of
from mailstead.model.address import Address
from mailstead.model.errors import BadMessage
from mailstead.services.api.endpoints import File, Model
from mailstead.services.api.values import Moment

ADDRESSES_MAX: Final = 1000
BODY_OCTETS_MAX: Final = 52 * 1024 * 1024
"""Of a request with a message. Spec: reference forwardemail 4.4."""
FILE_FIELDS: Final = frozenset({"attachment", "attachments", "attachment[]", "attachments[]"})

_DATA_URL: Final = re.compile(r"""(?<=["'(])data:([\w.+-]+/[\w.+-]+)((?:;[\w-]+=[\w.-]+)*)(;base64)?,([^"')\s]*)""")
_METHOD: Final = re.compile(r"[A-Za-z]{1,20}")
_PRIORITIES: Final = {"high": ("1 (Highest)", "High"), "low": ("5 (Lowest)", "Low")}


def _octets(value: Any) -> Any:
    """``{"type": "Buffer", "data": […]}`` is octets."""
    if isinstance(value, dict) and value.get("type") == "Buffer" and isinstance(value.get("data"), list):
        if value.keys() != {"type", "data"}:
            raise ValueError("A buffer has type and data, and nothing else")
        try:
            return bytes(value["data"])
        except (TypeError, ValueError):
            raise ValueError("The data of a buffer are numbers from 0 to 255") from None
    return value


Content = Annotated[bytes | str, BeforeValidator(_octets, json_schema_input_type=str | dict[str, Any])]
"""A text, in an encoding that is said beside it; or octets as Node.js writes a Buffer."""


class Person(Model):
    """Somebody with a name."""

    name: str = ""
    address: str


People = str | Person | list[str | Person]
"""``Alice <alice@example.com>, bob@example.com``; or objects; or a list of either."""


class Contained(Model):
    """A text with its encoding."""

    content: Content
    encoding: str = "utf-8"
    content_type: Annotated[str, Field(alias="contentType")] = ""


class AttachmentAsked(Model):
    """A file that goes with the message, or another form of its text."""

    content: Content = ""
    filename: str | None = None
    encoding: str = "utf-8"
    """Of `content`, where that is a text: utf-8, base64, hex, latin1 …"""
    content_type: Annotated[str, Field(alias="contentType")] = ""
    content_disposition: Annotated[Literal["", "inline", "attachment"], Field(alias="contentDisposition")] = ""
    content_transfer_encoding: Annotated[str, Field(alias="contentTransferEncoding")] = ""
    """Taken, without effect: files go as base64."""
    cid: str = ""
    headers: Annotated[dict[str, str], Field(default_factory=dict)]


class CalendarEventAsked(Model):
    """An invitation."""

    content: Content
    method: str = "PUBLISH"
    filename: str = ""
    encoding: str = "utf-8"


class HeaderAsked(Model):
    """One field of one's own."""

    key: str
    value: str


class ListAsked(Model):
    """Where a list is: a URL or address for each. Spec: RFC 2369, RFC 2919."""

    help: str | list[str] = ""
    subscribe: str | list[str] = ""
    unsubscribe: str | list[str] = ""
    post: str | list[str] = ""
    owner: str | list[str] = ""
    archive: str | list[str] = ""
    id: str = ""


Text = str | Contained


class Composed(Model):
    """A message: either its fields, or all of it as ``raw``."""

    model_config = ConfigDict(populate_by_name=True)

    authors: Annotated[People | None, Field(alias="from")] = None
    sender: People | None = None
    reply_to: Annotated[People | None, Field(alias="replyTo")] = None
    to: People | None = None
    cc: People | None = None
    bcc: People | None = None
    subject: str = ""
    in_reply_to: Annotated[str, Field(alias="inReplyTo")] = ""
    references: str | list[str] = ""
    text: Text | None = None
    html: Text | None = None
    amp: Text | None = None
    watch_html: Annotated[Text | None, Field(alias="watchHtml")] = None
    calendar_event: Annotated[str | CalendarEventAsked | None, Field(alias="icalEvent")] = None
    alternatives: Annotated[list[AttachmentAsked], Field(default_factory=list)]
    attachments: Annotated[list[AttachmentAsked], Field(default_factory=list)]
    attach_data_urls: Annotated[bool, Field(alias="attachDataUrls")] = False
    """Pictures in HTML that are data: URLs become attachments."""
    encoding: str = ""
    """Of text and html: ``base64`` says that they are written so."""
    text_encoding: Annotated[Literal["", "quoted-printable", "base64"], Field(alias="textEncoding")] = ""
    priority: Literal["high", "normal", "low"] = "normal"
    headers: Annotated[dict[str, str | list[str]] | list[HeaderAsked], Field(default_factory=dict)]
    message_id: Annotated[str, Field(alias="messageId")] = ""
    date: Moment | None = None
    list_fields: Annotated[ListAsked | None, Field(alias="list")] = None
    raw: Content | Contained | None = None

    @property
    def is_composed(self) -> bool:
        """Whether anything was said of what the message is made of."""
        return bool(self.model_fields_set & Composed.model_fields.keys())


def octets_of(asked: Composed, files: Sequence[File], now: datetime, author: Address | None) -> bytes:
    """Write the message; Bcc stays in it, for whoever delivers to take out.

    `author`: who stands in From where nobody is said; None: nobody. Errors: BadMessage, for raw with CR or LF mended.
    """
    if asked.raw is not None:
        if asked.model_fields_set & (Composed.model_fields.keys() - {"raw", "attachments"}) or asked.attachments:
            raise BadMessage("A message is given either as raw, or by its fields")
        octets = asked.raw if isinstance(asked.raw, bytes) else _text_octets(asked.raw)
        return re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return compose(_composition(asked, files, now, author), has_bcc=True)


def _composition(asked: Composed, files: Sequence[File], now: datetime, author: Address | None) -> Composition:
    authors = _people(asked.authors)
    if not authors and author is not None:
        authors = (Correspondent("", str(author)),)
    sender = _people(asked.sender)
    html = _decoded(asked.html, asked.encoding)
    attachments = [_attached(each) for each in asked.attachments]
    if html is not None and asked.attach_data_urls:
        html, pictures = _pictures(html)
        attachments += pictures
    for file in files:
        if file.field_name not in FILE_FIELDS:
            raise BadMessage("Files are sent as attachment or attachments")
        attachments.append(Attached(file.octets, _base_name(file.name), file.media_type))
    domain = authors[0].address.rpartition("@")[2] if authors else "localhost"
    return Composition(
        asked.date or now.replace(microsecond=0),
        _bracketed(asked.message_id) or f"<{secrets.token_hex(12)}@{domain}>",
        authors=authors,
        sender=sender[0] if sender else None,
        reply_to=_people(asked.reply_to),
        to=_people(asked.to),
        cc=_people(asked.cc),
        bcc=_people(asked.bcc),
        subject=asked.subject,
        in_reply_to=_bracketed(asked.in_reply_to),
        references=tuple(map(_bracketed, _ids(asked.references))),
        fields=(*_priority(asked.priority), *_list_fields(asked.list_fields), *_headers(asked.headers)),
        text=_decoded(asked.text, asked.encoding),
        html=html,
        further=_further(asked),
        attachments=tuple(attachments),
        text_encoding=asked.text_encoding,
    )


def _people(people: People | None) -> tuple[Correspondent, ...]:
    """Errors: BadMessage."""
    found: list[Correspondent] = []
    for each in people if isinstance(people, list) else [people]:
        if isinstance(each, Person):
            found.append(Correspondent(each.name, checked_address(each.address)))
        elif each:
            found += correspondents_of(each)
    if len(found) > ADDRESSES_MAX:
        raise BadMessage(f"A field has at most {ADDRESSES_MAX} addresses")
    return tuple(found)


def _ids(references: str | Sequence[str]) -> list[str]:
    return references.split() if isinstance(references, str) else [each for each in references if each]


def _bracketed(message_id: str) -> str:
    message_id = message_id.strip()
    return message_id if not message_id or message_id.startswith("<") else f"<{message_id}>"


def _text_octets(text: str | Contained) -> bytes:
    if isinstance(text, str):
        return text.encode("utf-8", "replace")
    return _content(text.content, text.encoding)


def _content(content: bytes | str, encoding: str) -> bytes:
    """Give octets. Errors: BadMessage."""
    if isinstance(content, bytes):
        return content
    match encoding.lower():
        case "base64" | "base64url":
            try:
                plain = re.sub(r"\s+", "", content).rstrip("=").translate(_FROM_URL)
                return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
            except (binascii.Error, ValueError):
                raise BadMessage("A content that is said to be base64 is not") from None
        case "hex":
            try:
                return bytes.fromhex(content)
            except ValueError:
                raise BadMessage("A content that is said to be hex is not") from None
        case "" | "utf-8" | "utf8":
            return content.encode("utf-8", "replace")
        case "latin1" | "binary":
            return content.encode("latin-1", "replace")
        case "ascii":
            return content.encode("ascii", "replace")
    raise BadMessage("encoding is one of utf-8, base64, hex, latin1, ascii")


_FROM_URL: Final = str.maketrans("-_", "+/")


def _decoded(text: Text | None, encoding: str) -> str | None:
    if text is None:
        return None
    if isinstance(text, str):
        return (
            text if encoding.lower() in {"", "utf-8", "utf8"} else _content(text, encoding).decode("utf-8", "replace")
        )
    return _text_octets(text).decode("utf-8", "replace")


def _attached(asked: AttachmentAsked) -> Attached:
    return Attached(
        _content(asked.content, asked.encoding),
        asked.filename or "",
        asked.content_type,
        asked.cid.strip("<>"),
        asked.content_disposition,
        tuple(asked.headers.items()),
    )


def _further(asked: Composed) -> tuple[Alternative, ...]:
    found = []
    for text, media_type in ((asked.watch_html, "text/watch-html"), (asked.amp, "text/x-amp-html")):
        if text is not None:
            found.append(Alternative(media_type, (_decoded(text, asked.encoding) or "").encode()))
    found += [
        Alternative(each.content_type or "text/plain", _content(each.content, each.encoding))
        for each in asked.alternatives
    ]
    event = asked.calendar_event
    if event is not None:
        given = CalendarEventAsked(content=event) if isinstance(event, str) else event
        if _METHOD.fullmatch(given.method) is None:
            raise BadMessage("The method of an icalEvent is a word")
        octets = _content(given.content, given.encoding)
        found.append(Alternative("text/calendar", octets, f"; method={given.method.upper()}"))
    return tuple(found)


def _pictures(html: str) -> tuple[str, list[Attached]]:
    """Give the page with its data: URLs named by content ids, and what they held. Spec: RFC 2397, RFC 2392."""
    found: list[Attached] = []

    def named(match: re.Match[str]) -> str:
        media_type, _params, is_base64, data = match.groups()
        octets = _content(data, "base64") if is_base64 else unquote_to_bytes(data)
        content_id = f"{secrets.token_hex(8)}@data"
        suffix = media_type.partition("/")[2].partition("+")[0]
        found.append(Attached(octets, f"attachment-{len(found) + 1}.{suffix}", media_type, content_id))
        return f"cid:{content_id}"

    return _DATA_URL.sub(named, html), found


def _priority(priority: str) -> list[tuple[str, str]]:
    if priority not in _PRIORITIES:
        return []
    number, word = _PRIORITIES[priority]
    return [("X-Priority", number), ("X-MSMail-Priority", word), ("Importance", word)]


def _list_fields(asked: ListAsked | None) -> list[tuple[str, str]]:
    """Spec: RFC 2369 §2, RFC 2919 §3."""
    found = []
    for name, value in asked.model_dump(exclude_defaults=True).items() if asked is not None else ():
        listed = [value] if isinstance(value, str) else value
        found.append((f"List-{'ID' if name == 'id' else name.capitalize()}", ", ".join(map(_angled, listed))))
    return found


def _angled(value: str) -> str:
    if value.startswith("<"):
        return value
    return f"<mailto:{value}>" if "@" in value and ":" not in value else f"<{value}>"


def _headers(headers: Mapping[str, str | list[str]] | Sequence[HeaderAsked]) -> list[tuple[str, str]]:
    if isinstance(headers, Mapping):
        return [
            (name, each) for name, value in headers.items() for each in (value if isinstance(value, list) else [value])
        ]
    return [(each.key, each.value) for each in headers]


def _base_name(file_name: str) -> str:
    """Give the last part of a name that may be a path."""
    return re.split(r"[/\\]", file_name)[-1]
