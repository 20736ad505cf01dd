"""Which services there are, which of them are chosen, and where they listen."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mailstead.config.settings import Settings
from mailstead.model.errors import BadSettings

SERVICE_NAMES: Final = ("mx", "submission", "imap", "pop3", "sieve", "caldav", "carddav", "queue", "web", "api")
LISTENING: Final = ("mx", "submission", "imap", "pop3", "sieve")
"""Those whose conversations the driver holds."""
ALPN: Final = {"imap": b"imap", "submission": b"smtp"}
"""What clients offer on a port that mail shares with the web. Spec: reference chatmail, section 7.1."""
FURTHER_NAMES: Final = {"smtp": ("mx", "submission"), "worker": ("queue",)}


def chosen_services(names: Sequence[str]) -> tuple[str, ...]:
    """Give the services behind names: ``smtp`` means mx and submission, ``worker`` the queue. Errors: BadSettings."""
    chosen: list[str] = []
    for name in names:
        for service in FURTHER_NAMES.get(name, (name,)):
            if service not in SERVICE_NAMES:
                raise BadSettings(_unknown(service))
            if service not in chosen:
                chosen.append(service)
    return tuple(chosen)


def named_services(words: Sequence[str]) -> tuple[str, ...]:
    """Give the names in the words of a command line, each of which may hold several: ``mx,smtp``."""
    return tuple(name for word in words for part in word.split(",") if (name := part.strip()))


def with_services(settings: Settings, names: Sequence[str]) -> Settings:
    """Give the settings of a process that runs these services; those of the house are offered as before.

    Errors: BadSettings.
    """
    server = settings.server
    offered = server.offered_services or server.services
    return replace(settings, server=replace(server, services=chosen_services(names), offered_services=offered))


def place(at: str, settings: Settings) -> str:
    """Give an address to listen on with a host, if it names none and `server.ip_version` chooses one."""
    host = {"4": "0.0.0.0", "6": "[::]"}.get(settings.server.ip_version)  # noqa: S104  # ":25" asks for just that
    port = at.strip().removeprefix("*")
    return f"{host}{port}" if host and port.startswith(":") else at


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [*SERVICE_NAMES, *FURTHER_NAMES], 1, 0.5)
    nearest = f" (did you mean {near[0]}?)" if near else ""
    return (
        f"There is no service '{name}'{nearest}; services are {', '.join(SERVICE_NAMES)}; "
        "smtp means mx and submission, worker the queue"
    )
