"""OpenPGP in mail, by its outside: which part is encrypted or signed, what a signature covers, how both are written.

Header fields are protected: the inner part carries those of the message, and of an encrypted one the outside tells no
subject. Nothing is decrypted or verified here.

Spec: RFC 3156 (PGP/MIME), RFC 9788 (header protection), RFC 9580 §6.2 and §7 (armor, cleartext signatures); Autocrypt
Level 1 §2.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailstead.mime.address import addresses_of
from mailstead.mime.binary import decoded_part
from mailstead.mime.header import fields, first_values, header_end, text_of, unfolded
from mailstead.mime.tree import part_tree
from mailstead.model.message import PartFacts

HIDDEN_SUBJECT: Final = b"[...]"
"""Spec: RFC 9788 §3.2.1 (hcp_baseline)."""
LINE_END: Final = b"\r\n"
KEYDATA_OCTETS_MAX: Final = 64 * 1024

_MESSAGE: Final = re.compile(rb"\A-----BEGIN PGP MESSAGE-----\r?\n.*?-----END PGP MESSAGE-----\s*\Z", re.DOTALL)
_SIGNED: Final = re.compile(
    rb"\A-----BEGIN PGP SIGNED MESSAGE-----\r?\n.*?-----BEGIN PGP SIGNATURE-----\r?\n"
    rb".*?-----END PGP SIGNATURE-----\s*\Z",
    re.DOTALL,
)
_KEY_TYPES: Final = frozenset({"application/pgp-keys"})


class Signed(NamedTuple):
    """A multipart/signed of OpenPGP."""

    covered: bytes
    """As the signature was made over it: with CRLF."""
    signature: bytes
    content_start: int
    content_end: int
    """Where what is covered stands in the message."""


class Protected(NamedTuple):
    """A message made ready: what goes around what is encrypted or signed, and that itself."""

    outer: bytes
    """Header fields."""
    inner: bytes
    """An entity with header fields of its own."""


class Autocrypt(NamedTuple):
    """An Autocrypt field."""

    address: str
    keydata: bytes


def encrypted_payload(octets: bytes, parts: Sequence[PartFacts], index: int) -> bytes | None:
    """Give what a multipart/encrypted holds; None, if it is none of OpenPGP. Spec: RFC 3156 §4."""
    part = parts[index]
    children = [each for each in parts if each.parent == index]
    if (
        part.media_type != "multipart/encrypted"
        or len(children) != 2
        or children[0].media_type != "application/pgp-encrypted"
        or children[1].media_type != "application/octet-stream"
    ):
        return None
    return decoded_part(octets[children[1].body_start : children[1].body_end], children[1].encoding)


def signed_payload(octets: bytes, parts: Sequence[PartFacts], index: int) -> Signed | None:
    """Give what a multipart/signed covers, and its signature; None, if it is none of OpenPGP. Spec: RFC 3156 §5."""
    part = parts[index]
    children = [number for number, each in enumerate(parts) if each.parent == index]
    if part.media_type != "multipart/signed" or len(children) != 2:
        return None
    content, signature = parts[children[0]], parts[children[1]]
    if signature.media_type != "application/pgp-signature":
        return None
    found = decoded_part(octets[signature.body_start : signature.body_end], signature.encoding)
    if found is None:
        return None
    covered = octets[content.header_start : content.body_end]
    covered = re.sub(rb"\r?\n", LINE_END, covered)
    return Signed(covered, found, content.header_start, content.body_end)


def inline_payload(text: bytes) -> tuple[str, bytes] | None:
    """Give what a text is that is nothing else: ``encrypted`` or ``signed``, and the block.

    A text that has more beside the block is neither: what stands around it was never protected (attack row 88).
    """
    stripped = text.strip()
    if _MESSAGE.match(stripped) and stripped.count(b"-----BEGIN PGP") == 1:
        return "encrypted", stripped
    if _SIGNED.match(stripped) and stripped.count(b"-----BEGIN PGP") == 2:
        return "signed", stripped + LINE_END
    return None


def protected(octets: bytes, *, hides: bool) -> Protected:
    """Cut a composed message into what stays outside and what is protected. `hides`: it will be encrypted.

    Spec: RFC 9788 §5.2 (composing), §2.2 (HP-Outer). Bcc never comes in: the others could read it.
    """
    end = header_end(octets)
    outer: list[bytes] = []
    inner: list[bytes] = []
    copies: list[bytes] = []
    structure: list[bytes] = []
    for name, raw in _whole_fields(octets[:end]):
        if name.startswith(b"content-"):
            structure.append(_with_protection(raw, hides=hides) if name == b"content-type" else raw)
        elif name != b"mime-version":
            shown = b"Subject: %b\r\n" % HIDDEN_SUBJECT if hides and name == b"subject" else raw
            outer.append(shown)
            if name not in {b"bcc", b"autocrypt"}:
                inner.append(raw)
                copies += [b"HP-Outer: " + shown] if hides else []
    return Protected(b"".join(outer), b"".join([*inner, *copies, *structure, LINE_END]) + octets[end:])


def encrypted_message(outer: bytes, armored: bytes, boundary: str) -> bytes:
    """Write a message around what was encrypted. Spec: RFC 3156 §4."""
    mark = boundary.encode()
    return b"".join(
        [
            outer,
            b'MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n',
            b' boundary="%b"\r\n\r\n' % mark,
            b"--%b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n" % mark,
            b'--%b\r\nContent-Type: application/octet-stream; name="encrypted.asc"\r\n' % mark,
            b'Content-Disposition: inline; filename="encrypted.asc"\r\n\r\n',
            re.sub(rb"\r?\n", LINE_END, armored.strip()),
            b"\r\n\r\n--%b--\r\n" % mark,
        ]
    )


def signed_message(outer: bytes, inner: bytes, signature: bytes, boundary: str, micalg: str = "pgp-sha512") -> bytes:
    """Write a message around what was signed, which stands in it as it is. Spec: RFC 3156 §5."""
    mark = boundary.encode()
    return b"".join(
        [
            outer,
            b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/pgp-signature";\r\n',
            b' micalg=%b; boundary="%b"\r\n\r\n--%b\r\n' % (micalg.encode(), mark, mark),
            inner,
            b'\r\n--%b\r\nContent-Type: application/pgp-signature; name="signature.asc"\r\n\r\n' % mark,
            re.sub(rb"\r?\n", LINE_END, signature.strip()),
            b"\r\n\r\n--%b--\r\n" % mark,
        ]
    )


def canonical(entity: bytes) -> bytes:
    """Give an entity as it may be signed: with CRLF. Spec: RFC 3156 §5."""
    return re.sub(rb"\r?\n", LINE_END, entity)


def protected_subject(entity: bytes) -> str | None:
    """Give the subject that a decrypted entity carries; None: it has none that is protected.

    Spec: RFC 9788 §4 (``hp``); the older draft's ``protected-headers`` as well, as programs still write it.
    """
    values = first_values(entity[: header_end(entity)])
    tree = part_tree(entity)
    params = dict(tree[0].params) if tree else {}
    if "subject" not in {name.decode("ascii", "replace") for name in values}:
        return None
    if params.get("hp") not in {"cipher", "clear"} and params.get("protected-headers") != "v1":
        return None
    return text_of(values[b"subject"])


def autocrypt_of(header: bytes) -> Autocrypt | None:
    """Read the Autocrypt field of a message; None, where there is none, several, or one that is not From's.

    Spec: Autocrypt Level 1 §2.1, §2.2.
    """
    found = [raw for name, raw in _whole_fields(header) if name == b"autocrypt"]
    authors = addresses_of(first_values(header).get(b"from", b""))
    if len(found) != 1 or len(authors) != 1 or authors[0].domain is None:
        return None
    attributes: dict[str, str] = {}
    for piece in unfolded(found[0].partition(b":")[2]).decode("ascii", "replace").split(";"):
        name, _, value = piece.partition("=")
        attributes[name.strip().lower()] = value.strip()
    address = f"{text_of(authors[0].local_part or b'')}@{text_of(authors[0].domain)}".lower()
    if any(
        name and not name.startswith("_") and name not in {"addr", "prefer-encrypt", "keydata"} for name in attributes
    ):
        return None  # what is not known and not marked as harmless
    keydata = "".join(attributes.get("keydata", "").split())
    if attributes.get("addr", "").lower() != address or len(keydata) > KEYDATA_OCTETS_MAX:
        return None
    try:
        octets = base64.b64decode(keydata, validate=True)
    except binascii.Error:
        return None
    return Autocrypt(address, octets) if octets else None


def autocrypt_field(address: str, keydata: bytes) -> bytes:
    """Write the field. Spec: Autocrypt Level 1 §2.1."""
    encoded = base64.b64encode(keydata).decode()
    lines = "".join(f"\r\n {encoded[at : at + 76]}" for at in range(0, len(encoded), 76))
    return f"Autocrypt: addr={address}; keydata={lines}\r\n".encode()


def attached_keys(octets: bytes, parts: Sequence[PartFacts]) -> list[bytes]:
    """Give the keys that are attached to a message. Spec: RFC 3156 §7."""
    found = []
    for part in parts:
        if part.media_type in _KEY_TYPES and part.body_end - part.body_start <= KEYDATA_OCTETS_MAX * 4:
            content = decoded_part(octets[part.body_start : part.body_end], part.encoding)
            found += [content] if content else []
    return found[:10]


def _whole_fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Give name and octets, with the line end, of each field."""
    found = []
    for each in fields(header):
        raw = header[each.start : each.stop].rstrip(b"\r\n") + LINE_END
        found.append((each.name.lower(), raw))
    return found


def _with_protection(raw: bytes, *, hides: bool) -> bytes:
    """Spec: RFC 9788 §2.1."""
    return raw.removesuffix(LINE_END) + b';\r\n hp="%b"\r\n' % (b"cipher" if hides else b"clear")
