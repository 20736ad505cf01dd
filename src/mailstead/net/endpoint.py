"""Where to listen: an address of this machine and a port, as settings write it."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.model.errors import BadSettings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen; `host` is empty for all addresses of the machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``127.0.0.1:2525``, ``[::1]:25``, ``localhost:25`` or ``:25``.

        Errors: BadSettings, with an example of what is right.
        """
        host, colon, port_text = text.strip().rpartition(":")
        example = "write address:port like 127.0.0.1:2525, [::1]:2525, or :2525 for all addresses"
        if not colon:
            raise BadSettings(f"'{text}' has no port; {example}")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise BadSettings(f"'{text}': an IPv6 address stands in brackets; {example}")
        if not (port_text.isascii() and port_text.isdigit() and int(port_text) <= 65535):
            raise BadSettings(f"'{text}': the port is a number from 0 to 65535; {example}")
        return cls("" if host == "*" else host, int(port_text))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
