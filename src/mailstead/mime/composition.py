"""A message composed of what programs hand in: addresses, texts, attachments, an invitation; any may be missing.

Written by hand and not by the standard library's message classes, whose readers of addresses take quadratic time and
whose boundaries are dice: here equal input gives equal octets. Lines end in CRLF; what is not ASCII is encoded, but for
addresses that cannot be written otherwise (SMTPUTF8).

Spec: RFC 5322 §3.6; RFC 2045, RFC 2046 §5.1 (mixed, alternative), RFC 2387 (related), RFC 2183, RFC 2231, RFC 2047.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import encode_rfc2231, format_datetime
from hashlib import sha256
from typing import Final, NamedTuple

from mailstead.mime.header_writing import address_field, checked_value, id_field, text_field
from mailstead.model.errors import BadMessage

FIELDS_MAX: Final = 100
"""Of those that the author adds."""
PARTS_MAX: Final = 1000

# RFC 5322 §2.2:  ftext = %d33-57 / %d59-126
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
# RFC 2045 §5.1:  token "/" token, and parameters as they come
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,100}(?:\s*;[ -~]{0,300})?")
_CONTENT_ID: Final = re.compile(r"[!-;=?-~]{1,200}")
_PLACED: Final = "from sender reply-to to cc bcc subject date message-id in-reply-to references mime-version"
_OWN_FIELDS: Final = frozenset(_PLACED.split())
"""Those that have a place of their own in a `Composition`."""
_TYPE_OF_SUFFIX: Final = {
    "txt": "text/plain", "csv": "text/csv", "html": "text/html", "htm": "text/html", "ics": "text/calendar",
    "vcf": "text/vcard", "json": "application/json", "pdf": "application/pdf", "zip": "application/zip",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml",
    "webp": "image/webp", "eml": "message/rfc822", "doc": "application/msword", "xml": "application/xml",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "mp3": "audio/mpeg", "mp4": "video/mp4",
}  # fmt: skip


class Correspondent(NamedTuple):
    """Somebody named in the header."""

    name: str
    address: str
    """``local-part@domain``, valid as a path, the domain in A-labels."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes with the message."""

    octets: bytes = field(repr=False)
    file_name: str = ""
    media_type: str = ""
    """Empty: by the file's name, else application/octet-stream."""
    content_id: str = ""
    """Without brackets; with one it is shown in the HTML text."""
    disposition: str = ""
    """``inline`` or ``attachment``; empty: inline if it has a content id."""
    fields: tuple[tuple[str, str], ...] = ()


class Alternative(NamedTuple):
    """One more form of the text."""

    media_type: str
    octets: bytes
    params: str = ""
    """Behind the media type, with ``; ``."""


@dataclass(frozen=True, slots=True)
class Composition:
    """All that a message is made of."""

    sent_at: datetime
    """Time-zone aware."""
    message_id: str
    """With its brackets."""
    authors: tuple[Correspondent, ...] = ()
    sender: Correspondent | None = None
    reply_to: tuple[Correspondent, ...] = ()
    to: tuple[Correspondent, ...] = ()
    cc: tuple[Correspondent, ...] = ()
    bcc: tuple[Correspondent, ...] = ()
    """Written only into drafts (`has_bcc`)."""
    subject: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """Further ones."""
    text: str | None = None
    html: str | None = None
    further: tuple[Alternative, ...] = ()
    """More forms of the text, in ascending order of wealth."""
    attachments: tuple[Attached, ...] = ()
    text_encoding: str = ""
    """``quoted-printable`` or ``base64`` for all texts; empty: as they need it."""


def compose(parts: Composition, *, has_bcc: bool = False) -> bytes:
    """Write the message.

    Spec: RFC 5322 §3.6, RFC 2046 §5.1.
    Errors: BadMessage for line breaks and control characters in header values (nobody writes a field of his own into
    another one), for fields that have their own place, for what is no media type, and above the limits.
    """
    lines = [
        address_field("From", parts.authors),
        address_field("Sender", (parts.sender,) if parts.sender else ()),
        address_field("Reply-To", parts.reply_to),
        address_field("To", parts.to),
        address_field("Cc", parts.cc),
        address_field("Bcc", parts.bcc if has_bcc else ()),
        id_field("In-Reply-To", (parts.in_reply_to,) if parts.in_reply_to else ()),
        id_field("References", parts.references),
        text_field("Subject", parts.subject) if parts.subject else b"",
        b"Date: %b\r\n" % format_datetime(parts.sent_at).encode(),
        id_field("Message-ID", (parts.message_id,)),
        *_further_fields(parts.fields),
        b"MIME-Version: 1.0\r\n",
    ]
    header, body = _Body(parts).written()
    return b"".join((*lines, header, b"\r\n", body))


def _further_fields(fields: Sequence[tuple[str, str]]) -> list[bytes]:
    if len(fields) > FIELDS_MAX:
        raise BadMessage(f"A message has at most {FIELDS_MAX} header fields of your own")
    written = []
    for name, value in fields:
        if _FIELD_NAME.fullmatch(name) is None:
            raise BadMessage("The name of a header field has letters, digits and -")
        if name.lower() in _OWN_FIELDS or name.lower().startswith("content-"):
            raise BadMessage(f"{name} has a field of its own; it cannot be among headers")
        written.append(text_field(name, value))
    return written


Part = tuple[bytes, bytes]
"""Header lines, and body."""


class _Body:
    """Puts parts together, from the inside out."""

    def __init__(self, parts: Composition) -> None:
        self._parts = parts
        self._boundary_count = 0
        if len(parts.attachments) + len(parts.further) > PARTS_MAX:
            raise BadMessage(f"A message has at most {PARTS_MAX} parts")

    def written(self) -> Part:
        parts = self._parts
        forms: list[Part] = []
        shown = [each for each in parts.attachments if each.content_id] if parts.html is not None else []
        if parts.text is not None or (parts.html is None and not parts.further and not parts.attachments):
            forms.append(self._text("text/plain", parts.text or ""))
        rich = [each for each in parts.further if each.media_type == "text/calendar"]
        forms += [self._alternative(each) for each in parts.further if each not in rich]
        if parts.html is not None:
            html = self._text("text/html", parts.html)
            forms.append(self._multipart("related", [html, *map(_attachment, shown)]) if shown else html)
        forms += map(self._alternative, rich)
        content = [self._multipart("alternative", forms)] if len(forms) > 1 else forms
        attached = [_attachment(each) for each in parts.attachments if each not in shown]
        if not attached:
            return content[0]
        return self._multipart("mixed", [*content, *attached])

    def _multipart(self, subtype: str, parts: Sequence[Part]) -> Part:
        """Spec: RFC 2046 §5.1.1. The boundary has ``=_``, which no encoded part can hold."""
        self._boundary_count += 1
        seed = f"{self._parts.message_id} {self._boundary_count}"
        boundary = b"=_" + sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:32].encode()
        body = b"".join(b"--%b\r\n%b\r\n%b\r\n" % (boundary, header, body) for header, body in parts)
        kind = b'; type="text/html"' if subtype == "related" else b""  # RFC 2387 §3.1
        header = b'Content-Type: multipart/%b%b;\r\n boundary="%b"\r\n' % (subtype.encode(), kind, boundary)
        return header, body + b"--%b--\r\n" % boundary

    def _text(self, media_type: str, text: str, params: str = "") -> Part:
        octets = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
        return self._encoded_text(f"{media_type}; charset=utf-8{params}", octets)

    def _alternative(self, form: Alternative) -> Part:
        media_type = _checked_type(form.media_type)
        if not media_type.startswith("text/"):
            return (
                b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n" % f"{media_type}{form.params}".encode(),
                _base64(form.octets),
            )
        return self._text(media_type, form.octets.decode("utf-8", "replace"), form.params)

    def _encoded_text(self, content_type: str, octets: bytes) -> Part:
        chosen = self._parts.text_encoding
        is_plain = octets.isascii() and b"\0" not in octets and all(len(line) < 77 for line in octets.split(b"\n"))
        if chosen == "base64":
            encoding, body = b"base64", _base64(octets.replace(b"\n", b"\r\n"))
        elif is_plain and not chosen:
            encoding, body = b"7bit", octets.replace(b"\n", b"\r\n")
        else:
            # RFC 2045 §6.7 (3): white space at the end of a line is encoded, which b2a_qp does.
            encoding, body = b"quoted-printable", binascii.b2a_qp(octets, istext=True).replace(b"\n", b"\r\n")
        header = b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n" % (content_type.encode(), encoding)
        return header, body


def _attachment(attached: Attached) -> Part:
    """Spec: RFC 2183, RFC 2231 (file names), RFC 2392 (content id)."""
    media_type = _checked_type(attached.media_type) if attached.media_type else type_of(attached.file_name)
    name = checked_value(attached.file_name)
    disposition = attached.disposition or ("inline" if attached.content_id else "attachment")
    if disposition not in {"inline", "attachment"}:
        raise BadMessage("contentDisposition is inline or attachment")
    lines = [f"Content-Type: {media_type}".encode() + _file_name("name", name)]
    lines.append(f"Content-Disposition: {disposition}".encode() + _file_name("filename", name))
    if attached.content_id:
        if _CONTENT_ID.fullmatch(attached.content_id) is None:
            raise BadMessage("A cid has letters, digits, @, . and the like")
        lines.append(f"Content-ID: <{attached.content_id}>".encode())
    lines += [line.removesuffix(b"\r\n") for line in _further_fields(attached.fields)]
    if media_type.startswith("message/"):
        # RFC 2046 §5.2.1: nothing but 7bit, 8bit or binary.
        octets = re.sub(rb"\r\n|\r|\n", b"\r\n", attached.octets)
        encoding, body = (b"7bit" if octets.isascii() else b"8bit"), octets
    else:
        encoding, body = b"base64", _base64(attached.octets)
    lines.append(b"Content-Transfer-Encoding: " + encoding)
    return b"".join(line + b"\r\n" for line in lines), body


def type_of(file_name: str) -> str:
    """Give the media type that a file's name means."""
    return _TYPE_OF_SUFFIX.get(file_name.rpartition(".")[2].lower(), "application/octet-stream")


def _checked_type(media_type: str) -> str:
    if _MEDIA_TYPE.fullmatch(media_type) is None or media_type.lower().startswith("multipart/"):
        raise BadMessage("contentType is not a media type of one part")
    main, _, params = media_type.partition(";")
    return f"{main.strip().lower()};{params}" if params.strip() else main.strip().lower()


def _file_name(param: str, name: str) -> bytes:
    """Write a parameter on a line of its own. Spec: RFC 2231 §4; ASCII is a quoted string."""
    if not name:
        return b""
    if name.isascii() and len(name) <= 60:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f';\r\n {param}="{escaped}"'.encode()
    # RFC 2231 §3: pieces, so that no line is too long.
    encoded = encode_rfc2231(name, "utf-8", "")
    pieces, at = [], 0
    while at < len(encoded):
        end = min(at + 60, len(encoded))
        if end < len(encoded):
            cut = encoded.rfind("%", max(end - 2, at), end)
            end = cut if cut > at else end
        pieces.append(encoded[at:end])
        at = end
    if len(pieces) == 1:
        return f";\r\n {param}*={pieces[0]}".encode()
    return "".join(f";\r\n {param}*{number}*={piece}" for number, piece in enumerate(pieces)).encode()


def _base64(octets: bytes) -> bytes:
    """Spec: RFC 2045 §6.8: lines of 76."""
    encoded = binascii.b2a_base64(octets, newline=False)
    return b"\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))
