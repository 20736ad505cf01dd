"""Messages that filters send by themselves: answers of vacation, notices of enotify.

Spec: RFC 3834 (automatic answers), RFC 5230 §5 (vacation), RFC 5436 §2.7 (notices by mail).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from mailstead.mime.address import addresses_of
from mailstead.mime.compose import Heading, composed
from mailstead.mime.header import fields, first_values, header_end, unfolded
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication, Result
from mailstead.model.errors import BadAddress
from mailstead.model.message import Octets

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
REFERENCES_MAX: Final = 20
"""Message-ids that an answer refers to; of a longer thread the first one and the latest. Spec: RFC 5322 §3.6.4."""


def is_sender_vouched_for(authentication: Authentication | None, mail_from: Address) -> bool:
    """Whether an answer to `mail_from` goes to who has sent the message, and to nobody else (attack row 19).

    The domain of the author must stand behind the message, and the address that gets the answer must be of that domain,
    or of a domain that lets this client send: else a message with an honest From and somebody else's MAIL FROM
    would make us write to that somebody.
    """
    if authentication is None or not authentication.is_author_authenticated:
        return False
    spf = authentication.spf
    if spf.result is Result.PASS and spf.scope == "mfrom" and not spf.is_from_all:
        return True
    dmarc = authentication.dmarc
    return _is_within(mail_from.domain, dmarc.author_domain) or _is_within(mail_from.domain, dmarc.policy_domain)


def _is_within(domain: str, above: str) -> bool:
    return bool(above) and f".{domain}".endswith(f".{above}")


def vacation_answer(heading: Heading, text: str, original: Octets, *, is_mime: bool) -> bytes:
    """Compose the answer to a message. Spec: RFC 3834 §3.1, RFC 5230 §5; with `is_mime` RFC 5230 §4.3."""
    header = bytes(original[: header_end(original)])
    # RFC 3834 §3.1.7: Auto-Submitted; RFC 5230 §5.8 and RFC 5322 §3.6.4: In-Reply-To and References.
    marks = b"Auto-Submitted: auto-replied (vacation)\r\n" + _references(header)
    return marks + (_composed_entity(heading, text) if is_mime else composed(heading, text))


def notice(heading: Heading, text: str, importance: int, further: Sequence[tuple[str, str]]) -> bytes:
    """Compose a notice. Spec: RFC 5436 §2.7.1; RFC 5435 §3.5 (importance)."""
    marks = b"Auto-Submitted: auto-notified\r\n"
    if importance != 2:
        marks += b"Importance: high\r\n" if importance == 1 else b"Importance: low\r\n"
    message = EmailMessage(policy=SMTP)
    for name, value in further:
        message[name] = value
    return marks + message.as_bytes().removesuffix(b"\r\n") + composed(heading, text)


def own_sender(text: str, own_keys: frozenset[str], otherwise: Address) -> str:
    """Give what From says: what the script asks for if it is the owner's own address, else `otherwise`.

    Spec: RFC 5230 §4.3 (an implementation may limit :from to the user's own addresses).
    """
    entries = addresses_of(text.encode())
    if len(entries) != 1:
        return str(otherwise)
    try:
        address = Address.parse(f"{(entries[0].local_part or b'').decode()}@{(entries[0].domain or b'').decode()}")
    except (BadAddress, UnicodeDecodeError):
        return str(otherwise)
    return text if address.key in own_keys else str(otherwise)


def _references(header: bytes) -> bytes:
    values = first_values(header)
    message_ids = _message_ids(values.get(b"message-id", b""))[:1]
    if not message_ids:
        return b""
    thread = _message_ids(values.get(b"references", b"")) or _message_ids(values.get(b"in-reply-to", b""))[:1]
    if len(thread) >= REFERENCES_MAX:
        thread = [thread[0], *thread[2 - REFERENCES_MAX :]]
    return b"In-Reply-To: %s\r\nReferences: %s\r\n" % (message_ids[0], b"\r\n ".join([*thread, *message_ids]))


def _message_ids(value: bytes) -> list[bytes]:
    """Give message-ids that can be written again as they are: ASCII, visible, not too long."""
    words = unfolded(value).split()
    return [word for word in words if word[:1] == b"<" and word[-1:] == b">" and len(word) <= 250 and _is_visible(word)]


def _is_visible(word: bytes) -> bool:
    return all(0x21 <= octet <= 0x7E for octet in word)


def _composed_entity(heading: Heading, text: str) -> bytes:
    """Give a MIME entity of the script's behind our header; of its own fields only those of MIME stay."""
    entity = _LINE_END.sub(b"\r\n", text.encode())
    end = header_end(entity)
    bare = composed(heading, "")
    ours = _picked(bare[: header_end(bare)], is_of_content=False)
    return ours + _picked(entity[:end], is_of_content=True) + b"\r\n" + entity[end:]


def _picked(header: bytes, *, is_of_content: bool) -> bytes:
    found = [field for field in fields(header) if field.name.startswith(b"content-") is is_of_content]
    return b"".join(header[field.start : field.stop] + b"\r\n" for field in found)
