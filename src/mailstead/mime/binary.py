"""Content transfer encodings undone, piece by piece.

Decoding is tolerant: characters outside the alphabet are passed over (RFC 2045 §6.8), a cut end gives what can be
had. All readers in the house (BINARY, search, preview) decode here, so that they see the same octets.

Spec: RFC 3516 §4.2, RFC 2045 §6.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Final

from mailstead.mime.octets import CHUNK_OCTETS
from mailstead.model.message import Octets

IDENTITY: Final = frozenset({"7bit", "8bit", "binary"})
KNOWN: Final = IDENTITY | {"base64", "quoted-printable"}

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64: Final = bytes(octet for octet in range(256) if octet not in _ALPHABET)
# RFC 2045 §6.7 rule 3: white space at the end of a line was added on the way. The look-behind keeps long runs linear.
_TRAILING_SPACE: Final = re.compile(rb"(?<![ \t])[ \t]+(?=\r?\n|\Z)")
_TRAILING_SPACES: Final = (b" \r\n", b" \n", b"\t\r\n", b"\t\n")


def decoded_part(octets: Octets, encoding: str) -> bytes | None:
    """Undo a content transfer encoding; None for an encoding that nobody knows (``[UNKNOWN-CTE]``).

    Spec: RFC 3516 §4.3.
    """
    if encoding in IDENTITY:
        return octets if isinstance(octets, bytes) else bytes(octets)
    pieces = decoded_pieces(_pieces(octets), encoding)
    return None if pieces is None else b"".join(pieces)


def decoded_size(octets: Octets, encoding: str) -> int | None:
    """Give the number of octets `decoded_part` would give, without holding them; None for an unknown encoding.

    Spec: RFC 3516 §4.2 (BINARY.SIZE).
    """
    if encoding in IDENTITY:
        return len(octets)
    pieces = decoded_pieces(_pieces(octets), encoding)
    return None if pieces is None else sum(map(len, pieces))


def decoded_pieces(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes] | None:
    """Undo an encoding piece by piece, for bodies that are read in ranges; None for an unknown encoding."""
    if encoding in IDENTITY:
        return iter(pieces)
    if encoding == "base64":
        return _from_base64(pieces)
    if encoding == "quoted-printable":
        return _from_quoted_printable(pieces)
    return None


def _pieces(octets: Octets) -> Iterator[bytes]:
    with memoryview(octets) as view:
        for start in range(0, len(view), CHUNK_OCTETS):
            yield view[start : start + CHUNK_OCTETS].tobytes()


def _from_base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode groups of four characters; padding inside ends nothing, as parts are sometimes glued together.

    Spec: RFC 2045 §6.8.
    """
    rest = b""
    for octets in pieces:
        run, *glued = octets.split(b"=") if b"=" in octets else (octets,)
        characters = rest + run.translate(None, _NOT_BASE64)
        whole = len(characters) & ~3
        yield binascii.a2b_base64(characters[:whole])
        rest = characters[whole:]
        for run in glued:
            yield _from_cut_group(rest)
            characters = run.translate(None, _NOT_BASE64)
            whole = len(characters) & ~3
            yield binascii.a2b_base64(characters[:whole])
            rest = characters[whole:]
    yield _from_cut_group(rest)


def _from_cut_group(characters: bytes) -> bytes:
    """Decode the last one to three characters before padding; a single one holds no octet."""
    return binascii.a2b_base64(characters + b"=" * (4 - len(characters))) if len(characters) > 1 else b""


def _from_quoted_printable(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode whole lines.

    Spec: RFC 2045 §6.7.
    """
    rest: list[bytes] = []
    for octets in pieces:
        cut = octets.rfind(b"\n") + 1
        if not cut:
            rest.append(octets)
            continue
        yield _from_lines(b"".join((*rest, octets[:cut])))
        rest = [octets[cut:]]
    yield _from_lines(b"".join(rest))


def _from_lines(lines: bytes) -> bytes:
    # Asking first is twenty times faster than substituting nothing.
    if any(map(lines.__contains__, _TRAILING_SPACES)) or lines[-1:] in {b" ", b"\t"}:
        lines = _TRAILING_SPACE.sub(b"", lines)
    return binascii.a2b_qp(lines)
