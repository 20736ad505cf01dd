"""The table: which command is allowed in which state, and which need TLS. Spec: RFC 5804 §2."""

from __future__ import annotations

from typing import Final

from mailstead.proto.managesieve import types
from mailstead.proto.managesieve.types import State

_BEFORE: Final = frozenset({State.NON_AUTHENTICATED})
_AFTER: Final = frozenset({State.AUTHENTICATED})
_ANY: Final = _BEFORE | _AFTER

ALLOWED: Final[dict[type, frozenset[State]]] = {
    types.Capability: _ANY,
    types.StartTls: _BEFORE,
    types.Authenticate: _BEFORE,
    types.Unauthenticate: _AFTER,
    types.Logout: _ANY,
    types.Noop: _ANY,
    types.HaveSpace: _AFTER,
    types.PutScript: _AFTER,
    types.ListScripts: _AFTER,
    types.SetActive: _AFTER,
    types.GetScript: _AFTER,
    types.DeleteScript: _AFTER,
    types.RenameScript: _AFTER,
    types.CheckScript: _AFTER,
}

NEEDS_TLS: Final = frozenset({types.Authenticate})
"""Passwords never cross in clear text. Spec: RFC 8314 §4.1; attack row 21."""
