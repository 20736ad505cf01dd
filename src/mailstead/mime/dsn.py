"""Delivery status notifications: our own composed, those of others read.

What comes from remote servers (answers, names) is made harmless first: one line, no control characters, bounded. A
notification has seven bits, unless it gives back a message that has eight, or is an internationalised one.

Spec: RFC 3464; RFC 3461 §6 (what is asked for); RFC 6522 (multipart/report); RFC 6533 (internationalised).
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from itertools import islice
from textwrap import wrap
from typing import Final, NamedTuple

from mailstead.mime import dsn_words
from mailstead.mime.binary import decoded_part
from mailstead.mime.dsn_words import Action
from mailstead.mime.header import first_values, header_end, text_of, unfolded
from mailstead.mime.octets import piece
from mailstead.mime.tree import part_tree
from mailstead.model.address import Address
from mailstead.model.message import Octets, PartFacts

__all__ = [
    "Action",
    "ParsedReport",
    "RecipientReport",
    "ReportedRecipient",
    "StatusReport",
    "compose",
    "parse_dsn",
]

FULL_OCTETS_MAX: Final = 1 << 20
"""A larger message comes back as its header only, whatever was asked for (attack row 22)."""
HEADER_OCTETS_MAX: Final = 1 << 16
"""So much of a header comes back, whole fields only."""
TEXT_CHARACTERS_MAX: Final = 500
"""Of a remote answer, and of any other text from outside."""
_LINE_CHARACTERS: Final = 76
_SHOWN_MAX: Final = 20
"""So many recipients are named in the text for people; the fields for machines have all."""
_READ_OCTETS_MAX: Final = 1 << 18
_READ_RECIPIENTS_MAX: Final = 1000

_UNSAFE: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,250}>")
_FIELD_END: Final = re.compile(rb"\r\n(?=[^ \t])")
_GROUP_END: Final = re.compile(rb"(?:\r?\n){2,}")
_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_HEADER_TYPES: Final = frozenset({"text/rfc822-headers", "message/global-headers"})
_MESSAGE_TYPES: Final = frozenset({"message/rfc822", "message/global"})
_ACTIONS: Final = {action.value: action for action in Action}


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What is told of one recipient. Spec: RFC 3464 §2.3."""

    address: Address
    """The address that the author knows."""
    action: Action
    status: str
    """Enhanced status code. Spec: RFC 3463."""
    diagnostic: str = ""
    """What the remote server answered, without its codes; or why there was no answer."""
    code: int = 0
    """Of the remote server's answer; 0 if there was none."""
    remote_mta: str = ""
    orcpt: str | None = None
    """As in ORCPT, decoded: ``rfc822;alice@example.org``."""
    last_attempt_at: datetime | None = None
    retried_until: datetime | None = None
    """Of a delay: when we shall give up."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A notification to compose. All moments are zone-aware."""

    reporting_mta: str
    to: Address
    sender: Address
    message_id: str
    """Without brackets."""
    boundary: str
    at: datetime
    arrived_at: datetime
    envid: str | None
    recipients: tuple[RecipientReport, ...]
    original: bytes
    """The message that it is about."""
    returns_full: bool = False
    is_smtputf8: bool = False
    """The message was one, so that its author reads an internationalised notification. Spec: RFC 6533 §3."""


class ReportedRecipient(NamedTuple):
    """What a report of others says of one recipient."""

    address: str
    """Final-Recipient without its type."""
    original: str
    """Original-Recipient without its type; empty if not said."""
    action: Action
    status: str
    diagnostic: str
    """Without its type."""
    remote_mta: str


class ParsedReport(NamedTuple):
    """A report of others. All texts are one line without control characters, and bounded."""

    reporting_mta: str
    envid: str
    recipients: tuple[ReportedRecipient, ...]
    returned_header: bytes
    """Of the message that the report is about; empty if it was not given back."""


def compose(report: StatusReport) -> bytes:
    """Compose a notification; lines end in CRLF.

    Spec: RFC 3464 §2, RFC 6522 §3, RFC 6533 §3 and §5.
    """
    delimiter = b"--%b" % report.boundary.encode()
    parts = (_words(report), _status(report), _returned(report))
    return b"".join(
        (
            _header(report),
            *(b"%b\r\n%b\r\n" % (delimiter, part) for part in parts),
            delimiter,
            b"--\r\n",
        )
    )


def _header(report: StatusReport) -> bytes:
    actions = {each.action for each in report.recipients}
    subject = next((text for action, text in dsn_words.SUBJECTS.items() if action in actions), "Delivery report")
    lines = [
        f"From: Mail delivery <{report.sender}>",
        f"To: <{report.to}>",
        f"Subject: {subject}",
        f"Date: {format_datetime(report.at)}",
        f"Message-ID: <{report.message_id}>",
        *_references(report.original),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{report.boundary}"',
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def _references(original: bytes) -> list[str]:
    """Let the notification stand in the thread of the message."""
    value = first_values(original[: header_end(original)]).get(b"message-id", b"")
    found = _MESSAGE_ID.fullmatch(unfolded(value).decode("latin-1"))
    return [f"In-Reply-To: {found[0]}", f"References: {found[0]}"] if found else []


def _words(report: StatusReport) -> bytes:
    """Give the part for people. Spec: RFC 3464 §2, RFC 6522 §3 (1)."""
    lines: list[str] = []
    for action in dsn_words.SUBJECTS:
        recipients = [each for each in report.recipients if each.action is action]
        if recipients:
            shown = [(str(each.address), _answer(each), each.status) for each in recipients[:_SHOWN_MAX]]
            if len(recipients) > _SHOWN_MAX:
                shown.append((f"and {len(recipients) - _SHOWN_MAX} more", "", shown[-1][2]))
            lines += dsn_words.told(action, shown, recipients[0].retried_until)
    lines += _about(report.original)
    lines.append(f"This message was made by the mail server {report.reporting_mta}.")
    text = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
    if text.isascii() and max(map(len, text.split(b"\r\n"))) <= 998:
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + _quoted_printable(text)
    )


def _about(original: bytes) -> list[str]:
    """Name the message by what its author knows of it."""
    values = first_values(original[: header_end(original)])
    lines = [
        f"    {name}: {_one_line(text_of(values[name.lower().encode()]))}"
        for name in ("Subject", "Date")
        if name.lower().encode() in values
    ]
    return ["The message:", *lines, ""] if lines else []


def _answer(recipient: RecipientReport) -> str:
    text = _one_line(recipient.diagnostic)
    if not recipient.code:
        return text
    whom = f"{_one_line(recipient.remote_mta)} answered" if recipient.remote_mta else "The server answered"
    return f"{whom}: {' '.join(filter(None, (str(recipient.code), recipient.status, text)))}"


def _status(report: StatusReport) -> bytes:
    """Give the part for machines. Spec: RFC 3464 §2.1 to §2.3, RFC 6533 §3."""
    media_type = "message/global-delivery-status" if report.is_smtputf8 else "message/delivery-status"
    about_message: list[tuple[str, str]] = [("Reporting-MTA", f"dns; {report.reporting_mta}")]
    if report.envid:
        about_message.insert(0, ("Original-Envelope-Id", report.envid))
    about_message.append(("Arrival-Date", format_datetime(report.arrived_at)))
    groups = [about_message, *(_about_recipient(each) for each in report.recipients)]
    text = "\r\n".join(
        "".join(f"{_folded(name, _safe(value, is_smtputf8=report.is_smtputf8))}\r\n" for name, value in group)
        for group in groups
    )
    encoding = "" if text.isascii() else "Content-Transfer-Encoding: 8bit\r\n"
    return f"Content-Type: {media_type}\r\n{encoding}\r\n{text}".encode()


def _about_recipient(recipient: RecipientReport) -> list[tuple[str, str]]:
    """Give the fields of one recipient in the order of the RFC. Spec: RFC 3464 §2.3."""
    address_type = "rfc822" if recipient.address.is_ascii else "utf-8"
    fields: list[tuple[str, str]] = []
    if recipient.orcpt:
        fields.append(("Original-Recipient", recipient.orcpt.replace(";", "; ", 1)))
    fields += [
        ("Final-Recipient", f"{address_type}; {recipient.address}"),
        ("Action", recipient.action.value),
        ("Status", recipient.status),
    ]
    if recipient.remote_mta:
        fields.append(("Remote-MTA", f"dns; {recipient.remote_mta}"))
    if recipient.code:
        fields.append(("Diagnostic-Code", f"smtp; {recipient.code} {recipient.status} {recipient.diagnostic}"))
    elif recipient.diagnostic:
        fields.append(("Diagnostic-Code", f"x-mailstead; {recipient.diagnostic}"))
    if recipient.last_attempt_at:
        fields.append(("Last-Attempt-Date", format_datetime(recipient.last_attempt_at)))
    if recipient.retried_until and recipient.action is Action.DELAYED:
        fields.append(("Will-Retry-Until", format_datetime(recipient.retried_until)))
    return fields


def _returned(report: StatusReport) -> bytes:
    """Give the part that is the message, or its header. Spec: RFC 6522 §3 (3), RFC 6533 §5, RFC 3461 §4.3."""
    original = report.original
    if report.returns_full and len(original) <= FULL_OCTETS_MAX:
        media_type = b"message/global" if report.is_smtputf8 else b"message/rfc822"
        encoding = b"" if original.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return b"Content-Type: %b\r\n%b\r\n%b" % (media_type, encoding, original)
    header = _bounded_header(original)
    if report.is_smtputf8:
        encoding = b"" if header.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return b"Content-Type: message/global-headers\r\n%b\r\n%b" % (encoding, header)
    if header.isascii():
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + header
    return (
        b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + _quoted_printable(header)
    )


def _bounded_header(original: bytes) -> bytes:
    header = original[: header_end(original)].removesuffix(b"\r\n")
    if len(header) <= HEADER_OCTETS_MAX:
        return header
    last = 0
    for cut in _FIELD_END.finditer(header, 0, HEADER_OCTETS_MAX):
        last = cut.end()
    return header[:last]


def _quoted_printable(text: bytes) -> bytes:
    return b2a_qp(text.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")


def _one_line(text: str) -> str:
    """Make a text from outside harmless: one line, no control characters, bounded."""
    return _UNSAFE.sub(" ", text[: 2 * TEXT_CHARACTERS_MAX]).strip()[:TEXT_CHARACTERS_MAX]


def _safe(value: str, *, is_smtputf8: bool) -> str:
    r"""Make a value one line; in seven bits other letters become ``\x{..}``. Spec: RFC 6533 §3 (utf-8-addr-xtext)."""
    value = _one_line(value)
    if is_smtputf8 or value.isascii():
        return value
    return "".join(letter if letter.isascii() else f"\\x{{{ord(letter):X}}}" for letter in value)


def _folded(name: str, value: str) -> str:
    lines = wrap(
        value,
        _LINE_CHARACTERS,
        initial_indent=f"{name}: ",
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\r\n".join(lines) or f"{name}:"


def parse_dsn(octets: Octets) -> ParsedReport | None:
    """Read a notification of others; None if the message is none.

    Spec: RFC 3464 §2; RFC 6533 §3. Also reports that are labelled badly, as long as they have a status part.
    """
    parts = part_tree(octets)
    status = next((part for part in parts if part.media_type in _STATUS_TYPES), None)
    if status is None:
        return None
    groups = _groups(_decoded(octets, status))
    about_message = next(groups, {})
    recipients: list[ReportedRecipient] = []
    if b"final-recipient" in about_message:  # some leave out the fields of the message
        recipients += _recipient(about_message)
    for group in islice(groups, _READ_RECIPIENTS_MAX):
        recipients += _recipient(group)
    return ParsedReport(
        _untyped(about_message, b"reporting-mta"),
        _value(about_message, b"original-envelope-id"),
        tuple(recipients),
        _returned_header(octets, parts, status),
    )


def _groups(text: bytes) -> Iterator[dict[bytes, bytes]]:
    for group in _GROUP_END.split(text.strip(b"\r\n")):
        fields = first_values(group + b"\n")
        if fields:
            yield fields


def _recipient(fields: dict[bytes, bytes]) -> list[ReportedRecipient]:
    action = _ACTIONS.get(_value(fields, b"action").partition(" ")[0].lower())
    address = _untyped(fields, b"final-recipient") or _untyped(fields, b"original-recipient")
    if action is None or not address:
        return []
    return [
        ReportedRecipient(
            address,
            _untyped(fields, b"original-recipient"),
            action,
            _value(fields, b"status").partition(" ")[0],
            _untyped(fields, b"diagnostic-code"),
            _untyped(fields, b"remote-mta"),
        )
    ]


def _value(fields: dict[bytes, bytes], name: bytes) -> str:
    return _one_line(unfolded(fields.get(name, b"")).decode("utf-8", "replace"))


def _untyped(fields: dict[bytes, bytes], name: bytes) -> str:
    """Give a typed value without its type: ``rfc822; a@b`` is ``a@b``."""
    before, semicolon, after = _value(fields, name).partition(";")
    return after.strip() if semicolon else before


def _returned_header(octets: Octets, parts: Sequence[PartFacts], status: PartFacts) -> bytes:
    for part in parts[parts.index(status) + 1 :]:
        if part.media_type in _HEADER_TYPES or part.media_type in _MESSAGE_TYPES:
            returned = _decoded(octets, part)
            return returned[: header_end(returned)]
    return b""


def _decoded(octets: Octets, part: PartFacts) -> bytes:
    """Give the start of a part, without its transfer encoding."""
    stop = min(part.body_end, part.body_start + _READ_OCTETS_MAX)
    return decoded_part(piece(octets, part.body_start, stop), part.encoding) or b""
