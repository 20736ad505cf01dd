"""Credentials for the TURN server that carries calls: the client gets a name that runs out, and its password.

Both sides compute the password from a secret that they share, so that the TURN server need not ask us: the "REST"
scheme of coturn and others (``use-auth-secret``), for which there is no RFC.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime, timedelta
from typing import Final

LIFE: Final = timedelta(days=5)


def turn_announcement(server: str, secret: bytes, now: datetime) -> str:
    """Give ``HOST:PORT:EXPIRY:PASSWORD``, as Delta Chat reads it; `server` is ``HOST:PORT``.

    Spec: reference chatmail, section 6.4
    """
    name = str(int((now + LIFE).timestamp()))
    return f"{server}:{name}:{turn_password(secret, name)}"


def turn_password(secret: bytes, name: str) -> str:
    """Give the password of a TURN user: base64 of HMAC-SHA-1."""
    return base64.b64encode(hmac.digest(secret, name.encode("ascii"), "sha1")).decode("ascii")
