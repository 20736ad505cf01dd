"""What passes between this process and the supervisor of the machine (systemd): readiness told, reloads taken.

Spec: sd_notify(3): lines of text in one datagram to the socket that the environment names.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Final

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"


def notify(state: str) -> bool:
    """Tell the supervisor a state such as ``READY=1``; whether one was there to be told.

    A supervisor that has gone is no reason to fail: mail is served with it or without.
    """
    where = os.environ.get(SOCKET_VARIABLE, "")
    if not where.startswith(("/", "@")):
        return False
    address = f"\0{where[1:]}" if where[0] == "@" else where  # the abstract name space, as systemd writes it
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as outgoing:
            outgoing.connect(address)
            outgoing.sendall(state.encode())
    except OSError:
        return False
    return True


def hang_up_means_reload() -> bool:
    """Whether SIGHUP asks to look at files anew. From a terminal that closes, it means the end."""
    return not (sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty())
