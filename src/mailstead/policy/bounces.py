"""What a remote answer means, and what to do about it.

The enhanced code speaks first, where it is a precise one; then the code, where it means one thing only; then texts that
large providers and well-known servers use; at last the general meaning of the enhanced code. An answer is read once,
whatever its length, and a category never turns a permanent answer into a temporary one or back, with the one exception
that RFC 5321 §4.5.3.1.10 makes.

Spec: RFC 3463 §3; RFC 5248 (registry of codes); RFC 5321 §4.2; RFC 7372, RFC 7504, RFC 7505, RFC 8689.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

from mailstead.model.queue import RemoteReply


class Category(Enum):
    """Why a message was not taken."""

    RECIPIENT_UNKNOWN = "recipient unknown"
    RECIPIENT_DISABLED = "recipient disabled"
    MAILBOX_FULL = "mailbox full"
    SPAM = "spam"
    VIRUS = "virus"
    BLOCKLIST = "blocklist"
    DMARC = "dmarc"
    """Or SPF, or DKIM: we are not believed to be who we say."""
    POLICY = "policy"
    RELAY_DENIED = "relay denied"
    RATE = "rate"
    """We send too much for them, or they do not know us yet (greylisting)."""
    CAPACITY = "capacity"
    """They have too much to do, or no room."""
    NETWORK = "network"
    TLS = "tls"
    SIZE = "size"
    PROTOCOL = "protocol"
    OTHER = "other"


class Remedy(Enum):
    """What to do."""

    GIVE_UP = "give up"
    SUPPRESS = "give up, and send nothing to that address any more"
    DEFER = "defer"
    SLOW_DOWN = "defer, and send less to that destination"


class Meaning(NamedTuple):
    """What an answer means."""

    category: Category
    remedy: Remedy

    @property
    def suppresses(self) -> bool:
        """Whether the address is to go on the suppression list."""
        return self.remedy is Remedy.SUPPRESS


_C = Category

PRECISE: Final = {
    "5.1.1": _C.RECIPIENT_UNKNOWN,
    "5.1.2": _C.RECIPIENT_UNKNOWN,
    "4.1.2": _C.NETWORK,
    "5.1.3": _C.RECIPIENT_UNKNOWN,
    "5.1.6": _C.RECIPIENT_UNKNOWN,
    "5.1.10": _C.RECIPIENT_UNKNOWN,
    "4.1.8": _C.POLICY,
    "5.1.8": _C.POLICY,
    "5.2.1": _C.RECIPIENT_DISABLED,
    "4.2.2": _C.MAILBOX_FULL,
    "5.2.2": _C.MAILBOX_FULL,
    "5.2.3": _C.SIZE,
    "4.3.1": _C.CAPACITY,
    "5.3.1": _C.CAPACITY,
    "4.3.2": _C.CAPACITY,
    "5.3.4": _C.SIZE,
    "4.4.1": _C.NETWORK,
    "4.4.2": _C.NETWORK,
    "4.4.3": _C.NETWORK,
    "4.4.5": _C.CAPACITY,
    "4.5.3": _C.RATE,
    "5.5.1": _C.PROTOCOL,
    "5.5.2": _C.PROTOCOL,
    "5.5.4": _C.PROTOCOL,
    "5.6.0": _C.PROTOCOL,
    "5.6.1": _C.PROTOCOL,
    "5.6.3": _C.PROTOCOL,
    "5.6.7": _C.PROTOCOL,
    "5.7.7": _C.TLS,
    "4.7.10": _C.TLS,
    "5.7.10": _C.TLS,
    "5.7.11": _C.TLS,
    "5.7.17": _C.RECIPIENT_DISABLED,
    "5.7.18": _C.RECIPIENT_DISABLED,
    "5.7.20": _C.DMARC,
    "5.7.21": _C.DMARC,
    "5.7.22": _C.DMARC,
    "4.7.23": _C.DMARC,
    "5.7.23": _C.DMARC,
    "4.7.24": _C.DMARC,
    "5.7.24": _C.DMARC,
    "4.7.25": _C.POLICY,
    "5.7.25": _C.POLICY,
    "4.7.26": _C.DMARC,
    "5.7.26": _C.DMARC,
    "5.7.27": _C.POLICY,
    "4.7.28": _C.RATE,
    "5.7.28": _C.RATE,
    "5.7.30": _C.TLS,
    # Google
    "4.7.27": _C.DMARC,
    "4.7.29": _C.TLS,
    "5.7.29": _C.TLS,
    "4.7.30": _C.DMARC,
    # Microsoft
    "5.1.90": _C.RATE,
    "5.7.64": _C.RELAY_DENIED,
    "5.7.508": _C.RATE,
    "5.7.509": _C.DMARC,
    "5.7.511": _C.BLOCKLIST,
    "5.7.515": _C.DMARC,
    "4.7.500": _C.RATE,
    "4.7.650": _C.RATE,
    "4.7.651": _C.RATE,
}
"""Enhanced codes that mean one thing."""

_RANGES: Final = ((re.compile(r"5\.7\.6(?:0[6-9]|[1-4]\d)"), _C.BLOCKLIST),)
"""Microsoft: banned sending address, 5.7.606 to 5.7.649."""

CODES: Final = {
    452: _C.CAPACITY,
    500: _C.PROTOCOL,
    501: _C.PROTOCOL,
    502: _C.PROTOCOL,
    503: _C.PROTOCOL,
    504: _C.PROTOCOL,
    511: _C.RECIPIENT_UNKNOWN,
    523: _C.SIZE,
    530: _C.TLS,
    538: _C.TLS,
    551: _C.RECIPIENT_UNKNOWN,
    555: _C.PROTOCOL,
    556: _C.RECIPIENT_UNKNOWN,
}
"""Codes that mean one thing, whatever is said with them."""

_TEXTS: Final[tuple[tuple[Category, tuple[str, ...]], ...]] = (
    # What forbids sending at all comes before what is only said in passing.
    (
        _C.VIRUS,
        (
            "virus",
            "malware",
            "infected",
            "blocked because its content presents a potential security issue",
        ),
    ),
    (
        _C.BLOCKLIST,
        (
            "spamhaus",
            "spamcop",
            "barracudacentral",
            "sorbs",
            "uceprotect",
            "block ?list",
            "black ?list",
            "blocked using",
            r"\brbl\b",
            "dnsbl",
            r"\[bl\d+\]",
            "banned sending ip",
            "s3140",
            "s3150",
            "poor reputation",
            "bad reputation",
            "low reputation",
            "reputation of the sending",
        ),
    ),
    (
        _C.DMARC,
        (
            "dmarc",
            "unauthenticated (?:email|mail)",
            "not pass authentication",
            "spf (?:check|fail)",
            "dkim",
            "sender policy",
        ),
    ),
    (
        _C.POLICY,
        (
            "sender (?:address )?(?:is )?(?:rejected|denied|invalid|not allowed|verify|verification|domain)",
            "(?:bad|invalid|unknown) sender",
        ),
    ),
    (
        _C.RATE,
        (
            "rate limit",
            "rate that prevents",
            "too many (?:messages|mails|emails|connections|concurrent|recipients|sessions)",
            "try again later.*throttl",
            "throttl",
            "unusual rate",
            "unexpected volume",
            "user complaints",
            r"tss0\d",
            "exceeded the (?:rate|limit)",
            "gr[ea]y-?list",
            "slow down",
            "temporarily deferred",
            "too fast",
        ),
    ),
    (
        _C.RELAY_DENIED,
        (
            "relay(?:ing)? (?:access )?(?:denied|not permitted|not allowed)",
            "unable to relay",
            "not permitted to relay",
            "allowed rcpthosts",
            "we do not relay",
            "relaying is prohibited",
        ),
    ),
    (
        _C.MAILBOX_FULL,
        (
            "mailbox (?:is )?full",
            "over ?quota",
            "quota exceeded",
            "out of (?:storage|disk) space for",
            "exceeded.{0,20}quota",
        ),
    ),
    (
        _C.RECIPIENT_DISABLED,
        (
            "(?:account|mailbox|user|address|recipient).{0,40}(?:disabled|inactive|deactivated)",
            "(?:account|mailbox|user|address|recipient).{0,40}(?:suspended|locked|expired|dormant)",
        ),
    ),
    (
        _C.RECIPIENT_UNKNOWN,
        (
            "(?:user|recipient|address|mailbox|account).{0,40}(?:unknown|not found|does ?n[o']t exist)",
            "(?:user|recipient|address|mailbox|account).{0,40}(?:no longer|invalid|undeliverable)",
            "(?:unknown|no such|invalid|nonexistent|non-existent) (?:user|recipient|address)",
            "(?:unknown|no such|invalid|nonexistent|non-existent) (?:mailbox|account|local.?part)",
            "no mailbox (?:here )?by that name",
            "unrout(?:e)?able address",
            r"does(?:n't| not) have an? [\w.]+ account",
            "mailbox unavailable",
            "recipient address rejected: access denied",
            "recipientnotfound",
            "user is unknown",
            "dd this user",
        ),
    ),
    (
        _C.SPAM,
        (
            "spam",
            "unsolicited",
            "bulk mail",
            "junk",
            "likely suspicious",
            "content rejected",
            "message content",
        ),
    ),
    (
        _C.TLS,
        (
            "starttls",
            r"\btls\b",
            "certificate",
            r"\bdane\b",
            "tlsa",
            "mta-sts",
            "must issue a",
        ),
    ),
    (
        _C.SIZE,
        (
            "too (?:large|big)",
            "size (?:limit|exceeds)",
            "exceeds.{0,30}size",
        ),
    ),
    (
        _C.CAPACITY,
        (
            "insufficient (?:system )?(?:storage|resources)",
            "system load",
            "service (?:temporarily )?unavailable",
            "server (?:is )?busy",
            "out of memory",
            "disk full",
        ),
    ),
    (
        _C.NETWORK,
        (
            "timed? ?out",
            "connection (?:refused|reset|lost|closed)",
            "no route",
            "unreachable",
            "network",
            "name server",
            r"\bdns\b",
            "lookup failed",
            "host (?:or domain )?(?:name )?not found",
        ),
    ),
    (
        _C.POLICY,
        (
            "policy",
            "not authori[sz]ed",
            "access denied",
            "prohibited",
            "not accepted",
            "administrative",
        ),
    ),
    (
        _C.PROTOCOL,
        (
            "syntax",
            "bad sequence",
            "unrecogni[sz]ed",
            "not implemented",
            "protocol",
            "bare lf",
            "line too long",
        ),
    ),
)
TEXTS: Final = tuple((re.compile("|".join(expressions)), category) for category, expressions in _TEXTS)
"""What is said, in lower case; the first that is found counts."""

GENERAL: Final = {
    "1": _C.RECIPIENT_UNKNOWN,
    "2": _C.MAILBOX_FULL,
    "3": _C.CAPACITY,
    "4": _C.NETWORK,
    "5": _C.PROTOCOL,
    "6": _C.PROTOCOL,
    "7": _C.POLICY,
}
"""The second number of an enhanced code. Spec: RFC 3463 §3."""

_TEXT_CHARACTERS_MAX: Final = 2000
_INNER_CODE: Final = re.compile(r"[#(\[ ]([245]\.\d{1,3}\.\d{1,3})\b")
"""Servers without enhanced codes say them in the text: ``(#5.1.1)``."""
_SUPPRESSED: Final = frozenset({_C.RECIPIENT_UNKNOWN, _C.RECIPIENT_DISABLED})
_NOT_OF_THE_ADDRESS: Final = frozenset({"5.1.0", "5.1.2", "5.1.3", "5.1.10"})
_NOT_OF_THE_ADDRESS_CODES: Final = frozenset({0, 556})
"""These speak of the domain, of how the address is written, perhaps of the sender, or are no answers at all.

Spec: RFC 3463 §3.2, RFC 7504, RFC 7505.
"""
_SLOWING: Final = frozenset({_C.RATE, _C.BLOCKLIST, _C.CAPACITY})


def classify(reply: RemoteReply) -> Meaning:
    """Say what an answer that is no 2yz means.

    Spec: RFC 3463 §3, RFC 5321 §4.2.
    """
    text = reply.text[:_TEXT_CHARACTERS_MAX].lower()
    enhanced = reply.enhanced
    if not enhanced:
        found = _INNER_CODE.search(f" {text}")
        enhanced = found[1] if found else ""
    category = _category(reply.code, enhanced, text)
    is_permanent = reply.is_permanent or 500 <= reply.code < 600
    if reply.code == 552 and category is Category.RATE:
        # RFC 5321 §4.5.3.1.10: 552 for too many recipients is an old way of saying 452.
        is_permanent = False
    knows_address = reply.code not in _NOT_OF_THE_ADDRESS_CODES and enhanced not in _NOT_OF_THE_ADDRESS
    return Meaning(category, _remedy(category, is_permanent=is_permanent, knows_address=knows_address))


def _category(code: int, enhanced: str, text: str) -> Category:
    if enhanced in PRECISE:
        return PRECISE[enhanced]
    for expression, category in _RANGES:
        if expression.fullmatch(enhanced):
            return category
    if code in CODES:
        return CODES[code]
    for expression, category in TEXTS:
        if expression.search(text):
            return category
    if not code and not enhanced:
        return Category.NETWORK
    return GENERAL.get(enhanced.partition(".")[2].partition(".")[0], Category.OTHER)


def _remedy(category: Category, *, is_permanent: bool, knows_address: bool) -> Remedy:
    if not is_permanent:
        return Remedy.SLOW_DOWN if category in _SLOWING else Remedy.DEFER
    if knows_address and category in _SUPPRESSED:
        return Remedy.SUPPRESS
    return Remedy.GIVE_UP
