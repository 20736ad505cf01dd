"""A message as one plain object, in the shape that webhooks and programs know from parsers of Node.js.

Field names and shapes are those of reference §5.11 (``attachments``, ``headerLines``, ``textAsHtml`` …): programs that
read them exist. Everything is text, number, list or dictionary, ready for JSON.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC
from email.utils import formataddr
from typing import Any, Final

from mailstead.mime.address import addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.charset import decoded
from mailstead.mime.date import date_of
from mailstead.mime.header import header_end, raw_fields, text_of, unfolded
from mailstead.mime.text import part_text
from mailstead.mime.tree import part_tree
from mailstead.model.message import Octets, PartFacts

TEXT_OCTETS_MAX: Final = 5 * 1024 * 1024
"""Of each text part."""
_ADDRESS_FIELDS: Final = {"from": "from", "to": "to", "cc": "cc", "bcc": "bcc", "reply-to": "replyTo"}


def parsed_message(octets: Octets, *, has_attachments: bool = True, has_raw: bool = True) -> dict[str, Any]:
    """Give the object of a message; `has_attachments` and `has_raw` leave out what may be large.

    Shapes: ``content`` of an attachment is ``{"type": "Buffer", "data": [octets as numbers]}``; ``raw`` is text, octets
    that are no UTF-8 replaced.
    """
    octets = bytes(octets)
    header = octets[: header_end(octets)]
    lines = raw_fields(header)
    values: dict[str, bytes] = {}
    for name, value in lines:
        values.setdefault(name.decode("ascii", "replace").strip().lower(), value)
    texts, pages, attachments = _bodies(octets, part_tree(octets), has_attachments=has_attachments)
    found: dict[str, Any] = {
        "attachments": attachments,
        "headers": header.decode("utf-8", "replace"),
        "headerLines": [
            {"key": name.decode("ascii", "replace").strip().lower(), "line": _line(name, value)}
            for name, value in lines
        ],
        "subject": text_of(values["subject"]) if "subject" in values else "",
        "messageId": _ascii(values.get("message-id")),
    }
    if texts:
        found["text"] = "\n".join(texts)
        found["textAsHtml"] = "".join(f"<p>{html.escape(text)}</p>" for text in texts)
    if pages:
        found["html"] = "<br/>\n".join(pages)
    sent_at = date_of(values["date"]) if "date" in values else None
    if sent_at is not None:
        found["date"] = sent_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if "in-reply-to" in values:
        found["inReplyTo"] = _ascii(values["in-reply-to"])
    if "references" in values:
        found["references"] = _ascii(values["references"]).split()
    for field, key in _ADDRESS_FIELDS.items():
        if field in values:
            found[key] = _addresses(values[field])
    if has_raw:
        found["raw"] = octets.decode("utf-8", "replace")
    return found


def _bodies(
    octets: bytes, parts: Sequence[PartFacts], *, has_attachments: bool
) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Sort the leaves of the tree into texts, pages of HTML, and attachments."""
    texts: list[str] = []
    pages: list[str] = []
    attachments: list[dict[str, Any]] = []
    inside_message: set[int] = set()
    for number, part in enumerate(parts):
        if part.parent in inside_message or (part.parent >= 0 and parts[part.parent].is_message):
            inside_message.add(number)  # shown as the attachment that encloses it
            continue
        is_attached = part.disposition == "attachment"
        if part.media_type.startswith("multipart/"):
            continue
        if part.media_type == "text/plain" and not is_attached:
            texts.append(part_text(octets, part, TEXT_OCTETS_MAX))
        elif part.media_type == "text/html" and not is_attached:
            pages.append(_page(octets, part))
        elif has_attachments:
            attachments.append(_attachment(octets, part))
    return texts, pages, attachments


def _page(octets: bytes, part: PartFacts) -> str:
    """Give an HTML part as it is written."""
    content = decoded_part(octets[part.body_start : part.body_end][:TEXT_OCTETS_MAX], part.encoding)
    return decoded(content or b"", dict(part.params).get("charset"))


def _attachment(octets: bytes, part: PartFacts) -> dict[str, Any]:
    raw = octets[part.body_start : part.body_end]
    content = decoded_part(raw, part.encoding)
    content = raw if content is None else content
    names = dict(part.disposition_params).get("filename") or dict(part.params).get("name")
    found: dict[str, Any] = {
        "type": "attachment",
        "contentType": part.media_type,
        "contentDisposition": part.disposition or "inline",
        "size": len(content),
        "content": {"type": "Buffer", "data": list(content)},
    }
    if names:
        found["filename"] = names
    if part.content_id:
        found["contentId"] = part.content_id
        found["cid"] = part.content_id.strip("<>")
    return found


def _addresses(value: bytes) -> dict[str, Any]:
    listed: list[dict[str, str]] = []
    for each in addresses_of(value):
        if each.domain is None:
            continue
        local_part, domain = text_of(each.local_part or b""), text_of(each.domain)
        listed.append({"name": text_of(each.name) if each.name else "", "address": f"{local_part}@{domain}"})
    written = ", ".join(formataddr((each["name"], each["address"]), "utf-8") for each in listed if each["address"])
    return {"value": listed, "text": written, "html": html.escape(written)}


def _line(name: bytes, value: bytes) -> str:
    return f"{name.decode('ascii', 'replace')}:{value.decode('utf-8', 'replace').rstrip()}"


def _ascii(value: bytes | None) -> str:
    return unfolded(value or b"").decode("ascii", "replace")
