"""A mail exchanger that never forgets what it has taken, and misbehaves now and then."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections import defaultdict

MESSAGE_ID = re.compile(rb"^Message-ID: <([^@>]+)@", re.MULTILINE | re.IGNORECASE)


class Sink:
    """Listens on a free port; `taken` tells for each message when its 250 was sent (whether that arrived or not)."""

    def __init__(self, chance: random.Random, *, misbehaviour: float = 0.0) -> None:
        self._chance = chance
        self.misbehaviour = misbehaviour
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listening.getsockname()[1]
        self._is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._is_open = False
        self._listening.close()

    def _accept(self) -> None:
        while self._is_open:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as file:
                connection.settimeout(60)
                connection.sendall(b"220 sink ESMTP\r\n")
                while line := file.readline():
                    verb = line[:4].upper()
                    if verb == b"EHLO":
                        connection.sendall(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
                    elif verb == b"DATA":
                        connection.sendall(b"354 go on\r\n")
                        if not self._message(connection, file):
                            return
                    elif verb == b"QUIT":
                        connection.sendall(b"221 bye\r\n")
                        return
                    else:
                        connection.sendall(b"250 2.0.0 OK\r\n")
        except OSError:
            pass

    def _message(self, connection, file) -> bool:
        octets = b""
        while (line := file.readline()) not in {b".\r\n", b""}:
            octets += line
        if line == b"":
            return False
        dice = self._chance.random()
        if dice < self.misbehaviour / 3:
            return False  # gone without an answer, and without the message
        if dice < self.misbehaviour * 2 / 3:
            connection.sendall(b"451 4.3.0 not now\r\n")
            return True
        key = MESSAGE_ID.search(octets).group(1).decode()
        with self.lock:
            self.taken[key].append(time.monotonic())
        if dice < self.misbehaviour:
            with self.lock:
                self.taken[key][-1] = -time.monotonic()  # taken, but the 250 was never sent
            return False
        connection.sendall(b"250 2.0.0 taken\r\n")
        return True
