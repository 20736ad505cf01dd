"""The ``mailto:`` URI of a notice.

Spec: RFC 6068, RFC 5436 §2.3.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import unquote

from mailstead.sieve.values import address
from mailstead.sieve.words import BadWords

RECIPIENTS_MAX: Final = 5
_URI_CHARACTERS_MAX: Final = 2000
_FIELDS_MAX: Final = 10
# What else a header may say is ours to say. Spec: RFC 5436 §2.3, RFC 6068 §4.
_HARMLESS: Final = frozenset({"comments", "keywords", "in-reply-to", "references", "organization"})


class Mailto(NamedTuple):
    """What such a URI says."""

    uri: str
    recipients: tuple[str, ...]
    subject: str
    body: str
    fields: tuple[tuple[str, str], ...]
    """Other fields that may be set, names in lower case."""


def mailto(text: str) -> Mailto:
    """Read a URI.

    Spec: RFC 6068 §2.
    Errors: BadWords.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "mailto":
        raise BadWords('Notices go by mail only; write "mailto:" and an address')
    if len(text) > _URI_CHARACTERS_MAX:
        raise BadWords(f"The mailto: URI has more than {_URI_CHARACTERS_MAX} characters")
    path, _, query = rest.partition("?")
    to = [path]
    subject = body = ""
    fields: list[tuple[str, str]] = []
    for pair in query.split("&")[: _FIELDS_MAX * 2] if query else ():
        name, _, encoded = pair.partition("=")
        name, value = unquote(name).lower(), unquote(encoded)
        if name in {"to", "cc", "bcc"}:
            to.append(encoded)
        elif name == "body":
            body = value.replace("\0", "")
        elif not value.isprintable():
            raise BadWords(f'The field "{name[:40]}" of the mailto: URI has control characters')
        elif name == "subject":
            subject = value
        elif (name in _HARMLESS or name.startswith("x-")) and name.replace("-", "").isalnum() and name.isascii():
            fields.append((name, value))
    if sum(part.count(",") for part in to) > RECIPIENTS_MAX * 2:
        raise BadWords(f"A mailto: URI has 1 to {RECIPIENTS_MAX} addresses")
    recipients = dict.fromkeys(address(unquote(each)) for part in to for each in part.split(",") if each)
    if not 0 < len(recipients) <= RECIPIENTS_MAX:
        raise BadWords(f"A mailto: URI has 1 to {RECIPIENTS_MAX} addresses")
    return Mailto(text, tuple(recipients), subject, body, tuple(fields[:_FIELDS_MAX]))
