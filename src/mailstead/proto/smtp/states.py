"""Which command may be said when: the table of the SMTP server.

Spec: RFC 5321 §4.1.4 (order of commands), RFC 3207 §4.2, RFC 4954 §4, RFC 3030 §2.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from mailstead.proto.smtp.types import Reply, reply


class State(Enum):
    """Where a conversation is."""

    CONNECTED = "no greeting yet"
    GREETED = "greeted, no EHLO yet"
    READY = "EHLO said, no transaction"
    MAIL = "MAIL said"
    RCPT = "at least one recipient accepted"
    DATA = "message data by DATA"
    BDAT = "between or within chunks"
    AUTH = "in an AUTH exchange"
    CLOSED = "goodbye said"


_EVERYWHERE: Final = frozenset({State.GREETED, State.READY, State.MAIL, State.RCPT, State.BDAT})
_AFTER_EHLO: Final = _EVERYWHERE - {State.GREETED}

ALLOWED: Final[dict[str, frozenset[State]]] = {
    # RFC 5321 §4.1.4: EHLO, HELO, NOOP, HELP, EXPN, VRFY, RSET and QUIT may be said at any time.
    "EHLO": _EVERYWHERE,
    "HELO": _EVERYWHERE,
    "NOOP": _EVERYWHERE,
    "HELP": _EVERYWHERE,
    "EXPN": _EVERYWHERE,
    "VRFY": _EVERYWHERE,
    "RSET": _EVERYWHERE,
    "QUIT": _EVERYWHERE,
    # RFC 3207 §4: not within a transaction, as all knowledge of the client is dropped.
    "STARTTLS": frozenset({State.READY}),
    # RFC 4954 §4: not within a transaction.
    "AUTH": frozenset({State.READY}),
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.BDAT}),
}

MOVES_NO_MAIL: Final = frozenset({"EHLO", "HELO", "NOOP", "HELP", "EXPN", "VRFY", "RSET"})
"""Commands that cost the client nothing; too many in a row end the conversation (attack row 9)."""


def out_of_turn(verb: str, state: State) -> Reply:
    """Say why a known command may not be said now. Spec: RFC 5321 §4.2.4 (503 bad sequence of commands)."""
    if state is State.GREETED:
        return reply(503, "5.5.1", "Say EHLO first")
    if verb in {"DATA", "BDAT"} and state is State.MAIL:
        # RFC 5321 §3.3: with no valid recipient 503 or 554; RFC 2920 §3.1 counts on it when all RCPT were refused.
        return reply(554, "5.5.1", "No valid recipients")
    if verb in {"RCPT", "DATA", "BDAT"} and state is State.READY:
        return reply(503, "5.5.1", "Say MAIL first")
    if verb == "MAIL":
        return reply(503, "5.5.1", "A transaction is open; say RSET to drop it")
    return reply(503, "5.5.1", f"{verb} is not allowed now")
