"""The author of a message: the one address of its one From field, which can be read in one way only.

DMARC checks the domain that a person sees. So what other readers might see otherwise is refused, not guessed: what is
aligned is exactly what is shown (attack row 31).

Spec: RFC 9989 §5.3.1, §11.5; RFC 5322 §3.6.2; RFC 6532 §3.2.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from mailstead.mime.address import addresses_of
from mailstead.mime.header import has_too_much, raw_fields, text_of, unfolded
from mailstead.model.address import Address, normal_domain
from mailstead.model.errors import BadAddress, BadMessage

VALUE_OCTETS_MAX: Final = 4096

_BARE_CR_FROM: Final = re.compile(rb"\r[ \t]*from[ \t]*:", re.IGNORECASE)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# One token: quoted string, angle-addr, white space, edge of a comment, atom with its dots and @, any other octet.
_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]|\\.)*"|<(?:"(?:[^"\\]|\\.)*"|[^<>"])*>|[ \t]+|[()]|[^\s"()<>,;:]+|.', re.DOTALL
)
_COMMENT_EDGE: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_ADDR_SPEC: Final = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^\s()<>\[\]:;@\\,"]+))@([^\s()<>@\\,;"]+)')
_ENCODED_WORD: Final = re.compile(rb"=\?[^?\s]*\?([bBqQ])\?([^?]*)\?=")
_BARE_ADDRESS: Final = re.compile(r"[^\s@]@([^\s@<>()\",;:.'\[\]]+(?:\.[^\s@<>()\",;:.'\[\]]+)+)")
_ANGLE_ADDRESS: Final = re.compile(r"<[^<>@]*@([^<>@]*)>")


class _Read(NamedTuple):
    """A value taken apart."""

    spec: bytes
    """What should be an addr-spec."""
    words: tuple[bytes, ...]
    """Before the angle brackets."""
    comments: tuple[bytes, ...]


def author(header: bytes) -> Address:
    """Give the address of the author.

    Errors: BadMessage, unless there is exactly one From field with exactly one address.
    """
    return author_in(from_value(header))


def from_value(header: bytes) -> bytes:
    """Give the value of the one From field. Errors: BadMessage, unless there is exactly one."""
    if has_too_much(header):
        raise BadMessage("The header is too large")
    values = [value for name, value in raw_fields(header) if name.rstrip().lower() == b"from"]
    if len(values) != 1 or _BARE_CR_FROM.search(header):
        raise BadMessage("The message must have exactly one From field")
    return values[0]


@lru_cache(maxsize=1024)
def author_in(value: bytes) -> Address:
    """Give the author that a From field names. Errors: BadMessage, unless it has exactly one address."""
    value = unfolded(value)
    if len(value) > VALUE_OCTETS_MAX:
        raise BadMessage("The From field is too long")
    if _CONTROL.search(value):
        raise BadMessage("The From field has control characters")
    read = _read(value)
    address = _address(read.spec)
    _check_display(read, address.domain)
    # The same octets as everybody else in the house shows them.
    listed = addresses_of(value)
    if len(listed) != 1 or listed[0].route or not listed[0].domain:
        raise BadMessage("The From field must have exactly one address")
    if _domain(listed[0].domain.decode("utf-8", "replace")) != address.domain:
        raise BadMessage("The From field can be read in more than one way")
    return address


def _read(value: bytes) -> _Read:
    """Take a value apart: ``[phrase] "<" addr-spec ">"`` or ``addr-spec``, comments around them.

    Errors: BadMessage.
    Spec: RFC 5322 §3.4.
    """
    angle: bytes | None = None
    words: list[bytes] = []
    comments: list[bytes] = []
    position = 0
    while position < len(value):
        found = _TOKEN.match(value, position)
        assert found is not None  # its last branch takes any octet
        token, position = found[0], found.end()
        if token == b"(":
            start, position = position, _comment_end(value, position)
            comments.append(value[start : position - 1])
            words.append(b" ")  # so that a comment inside an address tears it apart
        elif token == b",":
            raise BadMessage("The From field must have exactly one address")
        elif token in {b":", b";"}:
            raise BadMessage("The From field must not name a group")
        elif token in {b")", b"<", b">", b'"'}:
            raise BadMessage("The From field is not well formed")
        elif token[:1] == b"<":
            if angle is not None:
                raise BadMessage("The From field must have exactly one address")
            angle = token[1:-1].strip(b" \t")
        elif angle is not None and token.strip():
            raise BadMessage("The From field has text behind its address")
        else:
            words.append(token)
    if angle is None:
        return _Read(b"".join(words).strip(b" \t"), (), tuple(comments))
    return _Read(angle, tuple(words), tuple(comments))


def _comment_end(value: bytes, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(value, position)
        if edge is None:
            raise BadMessage("The From field has a comment without end")
        position = edge.end()
        depth += {b"(": 1, b")": -1}.get(edge[0], 0)
    return position


def _address(spec: bytes) -> Address:
    """Errors: BadMessage."""
    try:
        text = spec.decode("utf-8")
    except UnicodeDecodeError:
        raise BadMessage("The address in the From field is not UTF-8") from None
    found = _ADDR_SPEC.fullmatch(text)
    if found is None or not text.isprintable() or ("=?" in text and "?=" in text):
        raise BadMessage("The From field has no address that can be read in one way")
    local_part = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
    domain = _domain(found[3])
    if not domain or not local_part:
        raise BadMessage("The address in the From field has no proper domain")
    return Address(unicodedata.normalize("NFC", local_part), domain)


def _domain(text: str) -> str:
    """Give A-labels; empty for what is no domain."""
    try:
        return normal_domain(text)
    except BadAddress:
        return ""


def _check_display(read: _Read, domain: str) -> None:
    """Refuse a display name or comment that other readers may take for the address, or cut.

    A quoted name that merely looks like an address is a legal name, and a matter of showing the address beside it
    (attack row 32).

    Errors: BadMessage.
    """
    for word in read.words:
        if word[:1] != b'"':
            # Not legal without quotes, but frequent as long as it is the same address; some readers take the first one.
            _check_domains(_BARE_ADDRESS.findall(word.decode("utf-8", "replace")), domain)
    for shown in (b"".join(read.words), *read.comments):
        for encoding, encoded in _ENCODED_WORD.findall(shown):
            if {0, 10, 13} & set(_word_octets(encoding, encoded)):
                raise BadMessage("The From field has control characters")
        _check_domains(_ANGLE_ADDRESS.findall(text_of(shown)), domain)


def _check_domains(found: list[str], domain: str) -> None:
    if any(_domain(each) != domain for each in found):
        raise BadMessage("The From field shows another address beside its own")


def _word_octets(encoding: bytes, encoded: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(encoded, header=True)
    try:
        return binascii.a2b_base64(encoded)
    except binascii.Error:
        return b""
