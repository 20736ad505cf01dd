"""The header summary: what IMAP calls ENVELOPE.

Spec: RFC 9051 §7.5.2, RFC 3501 §7.4.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from mailstead.mime.address import ListedAddress, addresses_of
from mailstead.mime.header import first_values, unfolded
from mailstead.mime.nstring import nstring

_CACHED_OCTETS: Final = 200


def header_summary(header: bytes) -> bytes:
    """Render the ENVELOPE of a header: values unfolded, encoded words left as they are.

    Spec: RFC 9051 §7.5.2.
    """
    return summary_of(first_values(header))


def summary_of(values: Mapping[bytes, bytes]) -> bytes:
    """The same from the raw first values of the fields, names in lower case."""
    get = values.get
    senders = _address_list(get(b"from"))
    # Sender and Reply-To that are absent or empty are given as From.
    sender = _address_list(get(b"sender"))
    reply_to = _address_list(get(b"reply-to"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _nstring(get(b"date")),
        _nstring(get(b"subject")),
        senders,
        senders if sender == b"NIL" else sender,
        senders if reply_to == b"NIL" else reply_to,
        _address_list(get(b"to")),
        _address_list(get(b"cc")),
        _address_list(get(b"bcc")),
        _nstring(get(b"in-reply-to")),
        _nstring(get(b"message-id")),
    )


def _nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else nstring(unfolded(value))


def _address_list(value: bytes | None) -> bytes:
    """Render one list of addresses; an empty one is NIL. Spec: RFC 9051 §9 (env-from …)."""
    if value is None:
        return b"NIL"
    return _rendered_cached(value) if len(value) <= _CACHED_OCTETS else _rendered(value)


def _rendered(value: bytes) -> bytes:
    addresses = addresses_of(value)
    return b"(%b)" % b"".join(map(_address, addresses)) if addresses else b"NIL"


_rendered_cached = lru_cache(maxsize=4096)(_rendered)


def _address(address: ListedAddress) -> bytes:
    return b"(%b %b %b %b)" % tuple(map(nstring, address))
