"""What a WebSocket's handshake and its first frame say of who listens. Spec: reference forwardemail 4.5."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.types import Scope

from mailstead.services.api.errors import Refusal

LOG_IN_OCTETS_MAX: Final = 1024
MALFORMED: Final = 4400
WRONG: Final = 4401
REFUSED: Final = 4403
SILENT: Final = 4408
TOO_MANY: Final = 4429
CHANGED: Final = 4001
LATER: Final = 1013
"""Spec: RFC 6455 §7.4, IANA registry (try again later)."""
TRUE: Final = frozenset({"true", "1", "yes", "on"})
_SECRETS: Final = frozenset(
    {"username", "password", "token", "api_token", "authorization", "auth_token", "user", "pass"}
)
"""What must not be in an address, which is kept in logs and histories."""


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """The first frame, where it is one."""

    event: str
    username: str
    password: str = ""
    alias_id: str = ""


class Closed(Exception):
    """Ends a WebSocket with a code and a reason, which says nothing of a secret."""

    def __init__(self, code: int, reason: str) -> None:
        self.code: Final = code
        self.reason: Final = reason
        super().__init__(reason)


def log_in_of(message: dict[str, Any]) -> LogIn:
    """Read the first frame. Errors: Closed."""
    text = message.get("text")
    if text is None or len(text.encode("utf-8", "replace")) > LOG_IN_OCTETS_MAX:
        raise Closed(MALFORMED, "The first frame is a log-in, as JSON text of at most 1 KB")
    try:
        wanted = msgspec.json.decode(text, type=LogIn)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        wanted = None
    if wanted is None or wanted.event != "auth" or not wanted.username:
        raise Closed(MALFORMED, "The first frame is a log-in: event, username, password, alias_id")
    return wanted


def query_of(scope: Scope) -> dict[str, str]:
    """Give the query. Errors: Refusal, where it has credentials, or says something twice."""
    try:
        found = parse_qs(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except (UnicodeDecodeError, ValueError):
        raise Refusal(400, "The query is not well formed") from None
    if any(name.lower() in _SECRETS for name in found):
        raise Refusal(400, "Credentials do not belong in an address; send them in the Authorization field")
    if any(len(values) > 1 for values in found.values()):
        raise Refusal(400, "The query says something twice")
    return {name: values[0] for name, values in found.items()}
