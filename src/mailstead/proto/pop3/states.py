"""The table: which command is allowed in which state, and which need TLS.

Spec: RFC 1939 §3; RFC 2449 §5 and §6; RFC 2595 §4; RFC 5034 §4; RFC 6856 §2.
"""

from __future__ import annotations

from typing import Final

from mailstead.proto.pop3 import types
from mailstead.proto.pop3.types import State

_BEFORE: Final = frozenset({State.AUTHORIZATION})
_AFTER: Final = frozenset({State.TRANSACTION})
_ANY: Final = _BEFORE | _AFTER

ALLOWED: Final[dict[type, frozenset[State]]] = {
    types.Capa: _ANY,
    types.Stls: _BEFORE,
    types.Auth: _BEFORE,
    types.User: _BEFORE,
    types.Pass: _BEFORE,
    types.Utf8: _BEFORE,
    types.Stat: _AFTER,
    types.List: _AFTER,
    types.Uidl: _AFTER,
    types.Retr: _AFTER,
    types.Top: _AFTER,
    types.Dele: _AFTER,
    types.Rset: _AFTER,
    types.Noop: _AFTER,
    types.Quit: _ANY,
}

NEEDS_TLS: Final = frozenset({types.Auth, types.User, types.Pass})
"""Passwords never cross in clear text. Spec: RFC 8314 §4.1; attack row 21."""
