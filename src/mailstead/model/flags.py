r"""Flags and keywords of messages.

Spec: RFC 9051 §2.3.2. System flags are kept in their canonical spelling (``\Seen``); keywords compare
case-insensitively and keep the spelling of their first use in the mailbox.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final

Flag = str
"""A system flag in canonical spelling or a keyword."""

Flags = frozenset[str]

SEEN: Final = "\\Seen"
ANSWERED: Final = "\\Answered"
FLAGGED: Final = "\\Flagged"
DELETED: Final = "\\Deleted"
DRAFT: Final = "\\Draft"

SYSTEM_FLAGS: Final = (SEEN, ANSWERED, FLAGGED, DELETED, DRAFT)
"""In bit order: the position is the bit an adapter may store."""

_CANONICAL: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}

KEYWORDS_PER_MAILBOX_MAX: Final = 100
"""Spec: attack row 52."""


class FlagOperation(Enum):
    """How STORE combines flags. Spec: RFC 9051 §6.4.6."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


def canonical(flag: str) -> Flag:
    r"""Give a system flag its canonical spelling (``\seen`` → ``\Seen``); keywords pass unchanged."""
    return _CANONICAL.get(flag.lower(), flag)


def flag_set(flags: Iterable[str]) -> Flags:
    r"""Make a set of canonical flags; ``\Recent`` is dropped, as no client may set it."""
    return frozenset(canonical(flag) for flag in flags if flag.lower() != "\\recent")
