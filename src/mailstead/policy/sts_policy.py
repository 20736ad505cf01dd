"""Our own MTA-STS policies: the text that is served, and the id that tells others when it has changed.

Reading those of others: `mailauth.mta_sts`.

Spec: RFC 8461 §3.1, §3.2.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

MAX_AGE_S: Final = 7 * 86400
"""Long enough to outlast an attack over a weekend, short enough to move house. Spec: RFC 8461 §3.2 (weeks or more)."""


def policy_text(mode: str, hostname: str) -> str:
    """Write the policy of a domain whose mail goes to one host. Spec: RFC 8461 §3.2."""
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {hostname}\r\nmax_age: {MAX_AGE_S}\r\n"


def policy_id(text: str) -> str:
    """Give the id of a policy: another text, another id; nothing needs to be counted. Spec: RFC 8461 §3.1."""
    return sha256(text.encode()).hexdigest()[:20]
