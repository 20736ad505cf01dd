"""Whether a message may be left with one click: a signature that is good covers the fields that say how.

Spec: RFC 8058 §4.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from mailstead.mailauth import dkim
from mailstead.mailauth.canonical import CanonicalMessage
from mailstead.mailauth.dkim_tags import Refused, tags_of, words_of
from mailstead.model.authentication import Result
from mailstead.model.message import Octets
from mailstead.ports.resolver import Resolver

# RFC 8058 §4: the two fields MUST be covered by the signature and included in the "h=" tag.
COVERED: Final = frozenset({b"list-unsubscribe", b"list-unsubscribe-post"})


def covering(octets: Octets) -> tuple[bool, ...]:
    """Give for each signature, in their order, whether it claims to cover both fields; none is verified."""
    message = CanonicalMessage(octets)
    return tuple(_covers(value) for _, value in message.fields(b"dkim-signature")[: dkim.SIGNATURES_MAX])


async def may_be_left_with_one_click(octets: Octets, resolver: Resolver, now: datetime) -> bool:
    """Verify the message: whether a signature that covers both fields is good. Spec: RFC 8058 §4; RFC 6376 §6.1."""
    covers = covering(octets)
    if not any(covers):
        return False
    results = await dkim.verify(octets, resolver, now)
    return any(is_covering and each.result is Result.PASS for is_covering, each in zip(covers, results, strict=True))


def _covers(value: bytes) -> bool:
    try:
        return set(words_of(tags_of(value).get(b"h", b""))) >= COVERED
    except Refused:
        return False
