"""What a received report is wrapped in: a mail, an archive; unwrapped within bounds. And its texts made harmless.

Spec: RFC 8460 §5.3, RFC 9990 §5.4 (how reports are sent); RFC 1952 (gzip); attack row 38.
"""

from __future__ import annotations

import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import Final

from mailstead.mime.binary import decoded_part
from mailstead.mime.tree import part_tree
from mailstead.model.message import PartFacts

UNPACKED_OCTETS_MAX: Final = 25 * 1024 * 1024
RATIO_MAX: Final = 100
RATIO_FLOOR_OCTETS: Final = 1024 * 1024
"""Small things may unfold to so much at any ratio: an honest report of many like rows packs very well."""
ROWS_MAX: Final = 10_000
TEXT_MAX: Final = 200
_CANDIDATES_MAX: Final = 5
_ZIP_MEMBERS_MAX: Final = 10

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"


class BadReport(Exception):
    """Octets are no report, or one that is larger than we read."""


def attached(octets: bytes, media_types: Collection[str], extensions: tuple[str, ...]) -> Iterator[bytes]:
    """Give what may be the report: the parts of a mail that look like one, or all of it if it is no mail."""
    if octets.lstrip()[:1] in {b"{", b"<"} or octets.startswith((_GZIP, _ZIP)):
        yield octets
        return
    count = 0
    for part in part_tree(octets):
        if part.media_type not in media_types and not _name(part).endswith(extensions):
            continue
        decoded = decoded_part(octets[part.body_start : part.body_end], part.encoding)
        if decoded:
            yield decoded
            count += 1
        if count == _CANDIDATES_MAX:
            return


def _name(part: PartFacts) -> str:
    names = {name: value for name, value in (*part.params, *part.disposition_params) if name in {"name", "filename"}}
    return names.get("filename", names.get("name", "")).strip().lower()


def unpacked(octets: bytes) -> bytes:
    """Undo gzip or zip, whichever it is, and stop where there is more than a report can have.

    Errors: BadReport.
    """
    octets_max = min(UNPACKED_OCTETS_MAX, max(RATIO_FLOOR_OCTETS, RATIO_MAX * len(octets)))
    try:
        if octets.startswith(_GZIP):
            plain = _from_gzip(octets, octets_max + 1)
        elif octets.startswith(_ZIP):
            plain = _from_zip(octets, octets_max + 1)
        else:
            plain = octets
    except (zlib.error, zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise BadReport(f"cannot be unpacked: {error}") from None
    if len(plain) > octets_max:
        raise BadReport("unfolds to more than a report can have")
    return plain


def _from_gzip(octets: bytes, octets_max: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(octets, octets_max)
    if not unpacker.eof and len(plain) < octets_max:
        raise BadReport("is cut short")
    return plain


def _from_zip(octets: bytes, octets_max: int) -> bytes:
    """Give the one file of an archive; sizes written in it are not believed."""
    with zipfile.ZipFile(BytesIO(octets)) as archive:
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
        if not 0 < len(members) <= _ZIP_MEMBERS_MAX:
            raise BadReport("an archive of a report holds one file")
        # Other methods may ask for gigabytes of memory.
        if members[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise BadReport("is packed in a way that we do not undo")
        with archive.open(members[0]) as file:
            return file.read(octets_max)


def harmless(text: str, length_max: int = TEXT_MAX) -> str:
    """Give a text that may be shown, logged and put into a table: one line, bounded, no formula of a spreadsheet."""
    visible = "".join(
        " " if letter.isspace() else letter
        for letter in text[: 4 * length_max]
        if letter.isspace() or unicodedata.category(letter)[0] != "C"
    )
    return " ".join(visible.split())[:length_max].lstrip("=+-@ ")
