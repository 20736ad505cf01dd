"""Whether a message is end-to-end encrypted, as far as its outside shows, or one of the few that need not be.

Beyond the relay's own filter: incoming armor may have any headers that RFC 9580 knows, and data without a checksum may
be padded. Which rule a message fails is said in `Judged.reason`.

Spec: reference chatmail, section 5; RFC 3156 §4 (multipart/encrypted).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailstead.mime import openpgp
from mailstead.mime.address import addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import header_end, raw_fields, unfolded
from mailstead.mime.octets import piece
from mailstead.mime.tree import part_tree
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress
from mailstead.model.message import Octets, PartFacts

SMALL_OCTETS_MAX: Final = 64 * 1024
"""Of parts that can only be a word or two; above it they are something else."""
NOT_ENCRYPTED: Final = "Encryption Needed: Invalid Unencrypted Mail"
"""Delta Chat looks for these words in the reply."""

_SECURE_JOIN: Final = frozenset({b"vc-request", b"vg-request"})
_ONCE: Final = frozenset({b"content-type", b"content-transfer-encoding", b"from"})
"""Fields that readers would understand in different ways if there were two."""


class Direction(Enum):
    """Which way a message goes."""

    OUTGOING = "outgoing"
    """From an account of ours."""
    INCOMING = "incoming"
    """From another server."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a message was found to be, and the reply where it is not let through."""

    is_allowed: bool
    kind: str
    """``encrypted``, ``securejoin``, ``mailer-daemon``, ``autocrypt-setup``, ``exempt`` or ``cleartext``."""
    reason: str = ""
    """Which rule failed, for trace and log; nothing of what the message says."""
    code: int = 250
    text: str = ""


def judge(
    octets: Octets,
    direction: Direction,
    mail_from: Address | None,
    recipients: Sequence[Address],
    *,
    cleartext_senders: Collection[str] = (),
    cleartext_recipients: Collection[str] = (),
    accepts_cleartext: Callable[[Address], bool] = lambda _: False,
) -> Judged:
    """Judge one message.

    Shapes: `cleartext_senders` are keys of addresses; `cleartext_recipients` are keys, or ``@domain``, which subdomains
    do not belong to. `accepts_cleartext` is asked for incoming mail, for each recipient.
    Spec: reference chatmail, sections 5.3 (outgoing), 5.4 (incoming).
    """
    header = piece(octets, 0, header_end(octets))
    values = _values(header)
    author = author_of(values.get(b"from", []))
    if direction is Direction.OUTGOING:
        if author is None:
            return Judged(False, "cleartext", "From names nobody, or several", 500, "Invalid FROM header")
        if mail_from is None or author.key != mail_from.key:
            text = f"Invalid FROM {author} for {mail_from or '<>'}"
            return Judged(False, "cleartext", "From is not the envelope's sender", 500, text)
    twice = next((name for name in sorted(_ONCE) if len(values.get(name, ())) > 1), None)
    if twice is not None:
        return _refused(f"there are two {twice.decode()} fields")
    parts = part_tree(octets)
    flaw = _flaw(octets, parts, direction)
    if flaw is None:
        return Judged(True, "encrypted")
    if _is_secure_join(octets, parts, values):
        return Judged(True, "securejoin")
    if direction is Direction.OUTGOING:
        if _is_autocrypt_setup(parts, values, author, recipients):
            return Judged(True, "autocrypt-setup")
        is_exempt = author is not None and author.key in cleartext_senders
        if is_exempt or (recipients and all(_is_listed(each, cleartext_recipients) for each in recipients)):
            return Judged(True, "exempt", flaw)
        return _refused(flaw)
    if _is_delivery_report(parts, values, author):
        return Judged(True, "mailer-daemon")
    if recipients and all(accepts_cleartext(each) for each in recipients):
        return Judged(True, "exempt", flaw)
    return _refused(flaw)


def structural_flaw(octets: Octets, direction: Direction) -> str | None:
    """Give what keeps a message from being an encrypted one; None: it is one. Spec: reference chatmail, section 5.1."""
    return _flaw(octets, part_tree(octets), direction)


def author_of(values: Sequence[bytes]) -> Address | None:
    """Give whom the From fields name, if that is exactly one address; names in lower case."""
    if len(values) != 1:
        return None
    listed = [each for each in addresses_of(values[0]) if each.domain is not None]
    if len(listed) != 1:
        return None
    try:
        local_part, domain = (listed[0].local_part or b"").decode(), (listed[0].domain or b"").decode()
        return Address.parse(f"{local_part}@{domain}".lower())
    except (BadAddress, UnicodeDecodeError):
        return None


def _refused(flaw: str) -> Judged:
    return Judged(False, "cleartext", flaw, 523, NOT_ENCRYPTED)


def _values(header: bytes) -> dict[bytes, list[bytes]]:
    values: dict[bytes, list[bytes]] = {}
    for name, value in raw_fields(header):
        values.setdefault(name.rstrip().lower(), []).append(unfolded(value))
    return values


def _flaw(octets: Octets, parts: Sequence[PartFacts], direction: Direction) -> str | None:
    """Spec: RFC 3156 §4."""
    if parts[0].media_type != "multipart/encrypted":
        return "it is not multipart/encrypted"
    if len(parts) != 3 or any(part.parent != 0 for part in parts[1:]):
        return "multipart/encrypted has not just two parts"
    version, data = parts[1:]
    if version.media_type != "application/pgp-encrypted":
        return "the first part is not application/pgp-encrypted"
    if _small_text(octets, version) != b"Version: 1":
        return "the first part does not say Version: 1"
    if data.media_type != "application/octet-stream":
        return "the second part is not application/octet-stream"
    with memoryview(octets) as view:
        armored = decoded_part(view[data.body_start : data.body_end], data.encoding)
    if armored is None:
        return "the second part has an encoding that nobody knows"
    try:
        openpgp.check_encrypted(armored, takes_armor_headers=direction is Direction.INCOMING)
    except openpgp.Flaw as flaw:
        return str(flaw)
    return None


def _small_text(octets: Octets, part: PartFacts) -> bytes | None:
    """Give the text of a part without white space around it; None for one that is too large to be that text."""
    if part.body_end - part.body_start > SMALL_OCTETS_MAX:
        return None
    decoded = decoded_part(piece(octets, part.body_start, part.body_end), part.encoding)
    return None if decoded is None else decoded.strip()


def _is_secure_join(octets: Octets, parts: Sequence[PartFacts], values: dict[bytes, list[bytes]]) -> bool:
    """Whether it asks to join: the first message of that goes in clear. Spec: reference chatmail, section 5.2."""
    said = values.get(b"secure-join", [])
    if len(said) != 1 or said[0] not in _SECURE_JOIN:
        return False
    if not parts[0].media_type.startswith("multipart/") or len(parts) != 2 or parts[1].media_type != "text/plain":
        return False
    text = _small_text(octets, parts[1])
    return text is not None and text.lower() in {b"secure-join: " + each for each in _SECURE_JOIN}


def _is_autocrypt_setup(
    parts: Sequence[PartFacts],
    values: dict[bytes, list[bytes]],
    author: Address | None,
    recipients: Sequence[Address],
) -> bool:
    """Whether it carries somebody's own key to himself. Spec: reference chatmail, section 5.3."""
    is_to_self = author is not None and [each.key for each in recipients] == [author.key]
    return (
        is_to_self
        and values.get(b"subject") == [b"Autocrypt Setup Message"]
        and parts[0].media_type == "multipart/mixed"
    )


def _is_delivery_report(parts: Sequence[PartFacts], values: dict[bytes, list[bytes]], author: Address | None) -> bool:
    """Whether a server reports what became of a message. Spec: reference chatmail, section 5.4, 4."""
    return (
        author is not None
        and author.local_part == "mailer-daemon"
        and any(values.get(b"auto-submitted", []))
        and parts[0].media_type == "multipart/report"
    )


def _is_listed(address: Address, entries: Collection[str]) -> bool:
    return address.key in entries or f"@{address.domain}" in entries
