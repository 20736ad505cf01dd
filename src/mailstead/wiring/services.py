"""Which services there are, and which of them the settings choose."""

from __future__ import annotations

from typing import Final

from mailstead.model.errors import BadSettings

SERVICE_NAMES: Final = ("mx", "submission", "imap", "pop3", "sieve", "queue", "web")
LISTENING: Final = ("mx", "submission", "imap", "pop3", "sieve")
"""Those whose conversations the driver holds."""
ALPN: Final = {"imap": b"imap", "submission": b"smtp"}
"""What clients offer on a port that mail shares with the web. Spec: reference chatmail, section 7.1."""
_SHORT_NAMES: Final = {"smtp": ("mx", "submission")}


def chosen_services(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the services behind names, ``smtp`` meaning mx and submission. Errors: BadSettings."""
    chosen: list[str] = []
    for name in names:
        for service in _SHORT_NAMES.get(name, (name,)):
            if service not in SERVICE_NAMES:
                raise BadSettings(f"There is no service '{name}'; services are {', '.join(SERVICE_NAMES)}, and smtp")
            if service not in chosen:
                chosen.append(service)
    return tuple(chosen)
