"""What FETCH asks. Spec: RFC 9051 §6.4.5, RFC 3516 (BINARY), RFC 8970 (PREVIEW), RFC 8474, RFC 8514, RFC 7162."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Attribute(Enum):
    """Items without arguments; the value is the name in the response. The macros ALL, FAST, FULL never get here."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    """BODYSTRUCTURE without extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    MODSEQ = b"MODSEQ"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"
    PREVIEW = b"PREVIEW"
    """Also for PREVIEW (LAZY): previews are computed at append, so lazy costs nothing. Spec: RFC 8970 §3.2."""


class SectionText(Enum):
    """What of a part (or of the message) a section means."""

    ALL = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between ``BODY[`` and ``]``. Spec: RFC 9051 §6.4.5.1."""

    part: str = ""
    """``1.2``; empty for the message itself."""
    text: SectionText = SectionText.ALL
    fields: tuple[str, ...] = ()
    """Field names of HEADER.FIELDS[.NOT], as the client spelt and ordered them, each once (whatever the case)."""


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[section]<partial>, BODY.PEEK[…]; also RFC822, RFC822.HEADER and RFC822.TEXT, by their label."""

    section: Section
    is_peek: bool = False
    partial: tuple[int, int] | None = None
    """First octet and largest count."""
    label: bytes = b""
    r"""How the response names it: ``BODY[1.2]<0>``, ``RFC822`` …; written by the parser."""


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[part]<partial>, BINARY.PEEK[…]. Spec: RFC 3516 §4.2, RFC 9051 §6.4.5."""

    part: str
    is_peek: bool = False
    partial: tuple[int, int] | None = None
    label: bytes = b""


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[part]. Spec: RFC 3516 §4.2."""

    part: str
    label: bytes = b""


FetchItem = Attribute | BodySection | BinarySection | BinarySize
