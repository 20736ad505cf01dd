"""The table: which command may come in which state. No session checks what stands here.

Spec: RFC 9051 §3 (states), §6 (one section of commands per state)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Final


class State(Flag):
    """Spec: RFC 9051 §3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


class Needs(Enum):
    """What a command needs beside its state."""

    NOTHING = "nothing"
    ENCRYPTION = "encryption"
    """A password must not cross the net in clear. Spec: RFC 9051 §6.2.3, §11.3; RFC 8314 (attack row 21)."""
    CLEAR_TEXT = "clear text"
    """STARTTLS when TLS is on already. Spec: RFC 9051 §6.2.1."""
    NO_COMPRESSION = "no compression"
    """Spec: RFC 4978 §3."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a command is allowed."""

    states: State
    needs: Needs = Needs.NOTHING


_ANY: Final = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
_LOGGED_IN: Final = State.AUTHENTICATED | State.SELECTED

RULES: Final[dict[bytes, Rule]] = {
    # any state: RFC 9051 §6.1
    b"CAPABILITY": Rule(_ANY),
    b"ID": Rule(_ANY),
    b"LOGOUT": Rule(_ANY),
    b"NOOP": Rule(_ANY),
    # not authenticated: RFC 9051 §6.2
    b"AUTHENTICATE": Rule(State.NOT_AUTHENTICATED, Needs.ENCRYPTION),
    b"LOGIN": Rule(State.NOT_AUTHENTICATED, Needs.ENCRYPTION),
    b"STARTTLS": Rule(State.NOT_AUTHENTICATED, Needs.CLEAR_TEXT),
    # authenticated, also while a mailbox is selected: RFC 9051 §6.3
    b"APPEND": Rule(_LOGGED_IN),
    b"COMPRESS": Rule(_LOGGED_IN, Needs.NO_COMPRESSION),
    b"CREATE": Rule(_LOGGED_IN),
    b"DELETE": Rule(_LOGGED_IN),
    # RFC 5161 §3.1: clients must not after SELECT, but servers need not check, and real clients do it
    b"ENABLE": Rule(_LOGGED_IN),
    b"EXAMINE": Rule(_LOGGED_IN),
    b"GETMETADATA": Rule(_LOGGED_IN),
    b"GETQUOTA": Rule(_LOGGED_IN),
    b"GETQUOTAROOT": Rule(_LOGGED_IN),
    b"IDLE": Rule(_LOGGED_IN),
    b"LIST": Rule(_LOGGED_IN),
    b"LSUB": Rule(_LOGGED_IN),
    b"NAMESPACE": Rule(_LOGGED_IN),
    b"NOTIFY": Rule(_LOGGED_IN),
    b"RENAME": Rule(_LOGGED_IN),
    b"SELECT": Rule(_LOGGED_IN),
    b"SETMETADATA": Rule(_LOGGED_IN),
    b"SETQUOTA": Rule(_LOGGED_IN),
    b"STATUS": Rule(_LOGGED_IN),
    b"SUBSCRIBE": Rule(_LOGGED_IN),
    # RFC 8437: not with a compression whose history one account would leave to the next
    b"UNAUTHENTICATE": Rule(_LOGGED_IN, Needs.NO_COMPRESSION),
    b"UNSUBSCRIBE": Rule(_LOGGED_IN),
    # selected: RFC 9051 §6.4
    b"CHECK": Rule(State.SELECTED),
    b"CLOSE": Rule(State.SELECTED),
    b"COPY": Rule(State.SELECTED),
    b"EXPUNGE": Rule(State.SELECTED),
    b"FETCH": Rule(State.SELECTED),
    b"MOVE": Rule(State.SELECTED),
    b"REPLACE": Rule(State.SELECTED),
    b"SEARCH": Rule(State.SELECTED),
    b"SORT": Rule(State.SELECTED),
    b"STORE": Rule(State.SELECTED),
    b"THREAD": Rule(State.SELECTED),
    b"UID COPY": Rule(State.SELECTED),
    b"UID EXPUNGE": Rule(State.SELECTED),
    b"UID FETCH": Rule(State.SELECTED),
    b"UID MOVE": Rule(State.SELECTED),
    b"UID REPLACE": Rule(State.SELECTED),
    b"UID SEARCH": Rule(State.SELECTED),
    b"UID SORT": Rule(State.SELECTED),
    b"UID STORE": Rule(State.SELECTED),
    b"UID THREAD": Rule(State.SELECTED),
    b"UNSELECT": Rule(State.SELECTED),
}
"""Every command of this server, by its verb."""
