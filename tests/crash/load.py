"""Clients that never forget what the server has acknowledged, and the ledger they write it in."""

from __future__ import annotations

import random
import re
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field

APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
COPYUID = re.compile(rb"\[COPYUID (\d+) (\d+) (\d+)\]")


@dataclass
class Entry:
    """One message and what is known of it."""

    account: str
    by_smtp: bool
    tries: int = 0
    is_acknowledged: bool = False
    mailbox: str = "INBOX"
    """Where it must be, once acknowledged; `moving_to` may hold it instead."""
    moving_to: str | None = None
    has_flag: bool = False


@dataclass
class Ledger:
    """What was tried and what was acknowledged, across kills."""

    entries: dict[str, Entry] = field(default_factory=dict)
    uids: dict[tuple[str, str, int, int], str] = field(default_factory=dict)
    """(account, mailbox, uidvalidity, uid) → message, for ever."""
    uidnext: dict[tuple[str, str, int], int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    def new(self, account: str, *, by_smtp: bool) -> str:
        with self.lock:
            self.count += 1
            key = f"{'s' if by_smtp else 'i'}{self.count}"
            self.entries[key] = Entry(account, by_smtp)
            return key

    def saw_uid(self, account: str, mailbox: str, uidvalidity: int, uid: int, key: str) -> None:
        with self.lock:
            known = self.uids.setdefault((account, mailbox, uidvalidity, uid), key)
        assert known == key, f"UID {uid} of {account} {mailbox} was {known} and is now {key}"


class Wire:
    """A socket with lines; any loss of the connection is an OSError."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.settimeout(20)
        self.file = self.socket.makefile("rb")

    def line(self) -> bytes:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("closed")
        return line

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def body(key: str, size: int) -> bytes:
    filler = (b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n" * (size // 73 + 1))[:size]
    return b"From: x@elsewhere.test\r\nSubject: crash %s\r\nMessage-ID: <%s@crash>\r\n\r\n%s\r\n" % (
        key.encode(),
        key.encode(),
        filler,
    )


def smtp_worker(port: int, ledger: Ledger, accounts: list[str], stop: threading.Event, chance: random.Random) -> None:
    """Deliver, and deliver again what was not acknowledged, until the server dies."""

    def reply(wire: Wire) -> bytes:
        while True:
            line = wire.line()
            if line[3:4] != b"-":
                return line

    try:
        wire = Wire(port)
        reply(wire)
        wire.socket.sendall(b"EHLO crash.test\r\n")
        reply(wire)
        with ledger.lock:
            again = [
                key
                for key, entry in ledger.entries.items()
                if entry.by_smtp and entry.tries == 1 and not entry.is_acknowledged
            ]
        while not stop.is_set():
            if again:
                key = again.pop()
                entry = ledger.entries[key]
                with ledger.lock:
                    if entry.tries != 1 or entry.is_acknowledged:
                        continue
                    entry.tries += 1
            else:
                key = ledger.new(chance.choice(accounts), by_smtp=True)
                entry = ledger.entries[key]
                entry.tries = 1
            wire.socket.sendall(b"MAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % entry.account.encode())
            answers = [reply(wire), reply(wire), reply(wire)]
            assert [answer[:1] for answer in answers] == [b"2", b"2", b"3"], answers
            wire.socket.sendall(body(key, chance.choice((200, 4000, 4000, 90_000))) + b".\r\n")
            answer = reply(wire)
            assert answer[:3] == b"250", answer
            entry.is_acknowledged = True
    except OSError:
        pass


def imap_worker(
    port: int, ledger: Ledger, account: str, password: str, stop: threading.Event, chance: random.Random
) -> None:
    """APPEND, STORE and MOVE messages of its own, until the server dies."""
    mine: list[str] = []
    uid_of: dict[str, int] = {}
    count = 0

    def command(wire: Wire, text: bytes, literal: bytes | None = None) -> bytes:
        nonlocal count
        count += 1
        tag = b"t%d " % count
        wire.socket.sendall(
            tag + text + (b"\r\n" if literal is None else b" {%d+}\r\n" % len(literal) + literal + b"\r\n")
        )
        untagged = b""
        while not (line := wire.line()).startswith(tag):
            untagged += line
        assert line.startswith(tag + b"OK"), (text, line)
        return untagged + line

    try:
        wire = Wire(port)
        wire.line()
        _start_tls(wire)
        command(wire, f"LOGIN {account} {password}".encode())
        command(wire, b"SELECT INBOX")
        while not stop.is_set():
            act = chance.random()
            if act < 0.5 or not mine:
                key = ledger.new(account, by_smtp=False)
                entry = ledger.entries[key]
                entry.tries = 1
                answer = command(wire, b"APPEND INBOX", body(key, chance.choice((200, 4000, 60_000))))
                entry.is_acknowledged = True
                uidvalidity, uid = map(int, APPENDUID.search(answer).groups())
                ledger.saw_uid(account, "INBOX", uidvalidity, uid, key)
                uid_of[key] = uid
                mine.append(key)
            elif act < 0.75:
                key = chance.choice(mine)
                command(wire, b"UID STORE %d +FLAGS.SILENT (\\Flagged)" % uid_of[key])
                ledger.entries[key].has_flag = True
            else:
                key = mine.pop(chance.randrange(len(mine)))
                entry = ledger.entries[key]
                entry.moving_to = "Archive"
                answer = command(wire, b"UID MOVE %d Archive" % uid_of[key])
                entry.mailbox, entry.moving_to = "Archive", None
                uidvalidity, _, uid = map(int, COPYUID.search(answer).groups())
                ledger.saw_uid(account, "Archive", uidvalidity, uid, key)
    except OSError:
        pass


def _start_tls(wire: Wire) -> None:
    import ssl

    wire.socket.sendall(b"t0 STARTTLS\r\n")
    wire.line()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    wire.file.close()
    wire.socket = context.wrap_socket(wire.socket)
    wire.file = wire.socket.makefile("rb")
