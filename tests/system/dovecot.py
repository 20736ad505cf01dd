"""Debian's Dovecot on loopback, in the foreground, with Maildirs that a test fills: another provider to move away from."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from system.certificates import Pair
from system.server import free_ports

PROGRAM = "/usr/sbin/dovecot"
PASSWORD = "pw-never-in-a-log-elsewhere"


@dataclass
class Dovecot:
    """One user, ``carol``. `folder` must be one that others may enter: mail is read by the user ``mail``."""

    folder: Path
    pair: Pair
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.imap, self.imaps = free_ports(2)
        self.owner = pwd.getpwnam("mail")
        self.maildir = self.folder / "mail" / "carol" / "Maildir"
        for part in ("run", "state", "mail/carol/Maildir"):
            (self.folder / part).mkdir(parents=True)

    def add(self, mailbox: str, number: int, octets: bytes, letters: str, moment_s: int) -> None:
        """Put a message into a mailbox, written as its folder is called (``Sent``, ``Work.A&APw-``; empty: INBOX)."""
        folder = self.maildir / f".{mailbox}" if mailbox else self.maildir
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        path = folder / "cur" / f"{moment_s}.{number}.provider:2,{letters}"
        path.write_bytes(octets)
        os.utime(path, (moment_s, moment_s))

    def start(self) -> None:
        """Start, and wait until it listens."""
        for path, _, names in os.walk(self.folder / "mail"):
            for each in (path, *(os.path.join(path, name) for name in names)):
                os.chown(each, self.owner.pw_uid, self.owner.pw_gid)
        (self.folder / "users").write_text(f"carol:{{PLAIN}}{PASSWORD}\n")
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{self.pair.certificate}
ssl_key = <{self.pair.key}
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:~/Maildir
namespace inbox {{
  inbox = yes
  mailbox "Gesendet" {{
    special_use = \\Sent
    auto = no
  }}
  mailbox "Papier" {{
    special_use = \\Trash
    auto = no
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {self.folder}/users
}}
userdb {{
  driver = static
  args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={self.folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = {self.imaps}
    ssl = yes
  }}
}}
""")
        self.process = subprocess.Popen([PROGRAM, "-F", "-c", str(configuration)], start_new_session=True)
        end = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.log()
            try:
                socket.create_connection(("127.0.0.1", self.imaps), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, self.log()
                time.sleep(0.02)  # another process gives no sign when it listens

    def log(self) -> str:
        """What it has written."""
        path = self.folder / "dovecot.log"
        return path.read_text("utf-8", "replace")[-2000:] if path.exists() else ""

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
