"""A started Mailstead for tests: a real process on free ports, stopped by its process id."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

DOMAIN = "example.test"
ALICE = f"alice@{DOMAIN}"
BOB = f"bob@{DOMAIN}"
PASSWORD = "pw-never-in-a-log-7Xq"
MAILSTEAD = str(Path(sys.executable).with_name("mailstead"))
PORT_NAMES = ("mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "sieves")


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Give ports that are free for TCP and UDP, and stay so until a server takes them.

    They are below those that Linux gives to outgoing connections. A name in the abstract name space keeps each from other
    processes of tests; it goes when this process ends.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)
        if _is_free(address, port):
            found.append(port)
    return found


def _is_free(address: str, port: int) -> bool:
    with (
        socket.socket(socket.AF_UNIX) as reservation,
        socket.socket(socket.AF_INET) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind((address, port))
            udp.bind((address, port))
            reservation.bind(f"\0mailstead-test-port-{port}")
        except OSError:
            return False
        reservation.detach()  # kept open
        return True


def loopback_block() -> str:
    """Give the beginning of addresses that only this process of tests uses, for what needs an address of its own."""
    process_id = os.getpid()
    return f"127.{1 + process_id // 250 % 250}.{process_id % 250}"


@dataclass
class Server:
    """One data folder and the process that serves it."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=lambda: [MAILSTEAD])
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))

    @property
    def environment(self) -> dict[str, str]:
        def at(name: str) -> str:
            return f"127.0.0.1:{self.port[name]}"

        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling anew costs each command a second
        return {
            **inherited,
            "MAILSTEAD_SERVER_DATA_DIR": str(self.folder / "data"),
            "MAILSTEAD_SERVER_HOSTNAME": "localhost",
            "MAILSTEAD_MX_LISTEN": at("mx"),
            "MAILSTEAD_SUBMISSION_LISTEN": at("submission"),
            "MAILSTEAD_SUBMISSION_LISTEN_TLS": at("submissions"),
            "MAILSTEAD_IMAP_LISTEN": at("imap"),
            "MAILSTEAD_IMAP_LISTEN_TLS": at("imaps"),
            "MAILSTEAD_POP3_LISTEN": at("pop3"),
            "MAILSTEAD_POP3_LISTEN_TLS": at("pop3s"),
            "MAILSTEAD_SIEVE_LISTEN": at("sieve"),
            "MAILSTEAD_SIEVE_LISTEN_TLS": at("sieves"),
            "MAILSTEAD_SERVER_LOG_FORMAT": "json",
            # Nothing goes to the Internet: a resolver that is not there, and senders that are not looked up. Tests of
            # both have settings of their own.
            "MAILSTEAD_DNS_SERVERS": "127.0.0.1:9",
            "MAILSTEAD_AUTHENTICATION_IS_ENABLED": "false",
            **self.settings,
        }

    def run(self, *arguments: str, stdin: str | None = None, expect: int = 0) -> str:
        """Run a mailstead command on this data folder."""
        done = self.complete(*arguments, stdin=stdin)
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def complete(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return subprocess.run(
            [MAILSTEAD, *arguments], env=self.environment, input=stdin, capture_output=True, text=True, timeout=120
        )

    def prepare(self, *addresses: str) -> None:
        """Make the stores, the domain and accounts with `PASSWORD`."""
        self.run("init", "--domain", DOMAIN)
        for address in addresses:
            self.run("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")

    def start(self, limit_s: float = 30.0) -> None:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [*self.command, "serve", *self.arguments],
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        end = time.monotonic() + limit_s
        for name in self.port:
            while True:
                assert self.process.poll() is None, f"the server has ended:\n{self.log()[-3000:]}"
                try:
                    socket.create_connection(("127.0.0.1", self.port[name]), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < end, f"nothing answers at {name}:\n{self.log()[-3000:]}"
                    time.sleep(0.01)  # its log says "ready" in a file: the port is as quick to ask

    def kill(self) -> None:
        """SIGKILL the whole group."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def check(self) -> list[dict[str, object]]:
        """Findings of `mailstead check`."""
        done = subprocess.run(
            [MAILSTEAD, "--json", "check"], env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode in {0, 1}, done.stderr
        assert done.stdout, f"nothing was said (exit {done.returncode}): {done.stderr}"
        return json.loads(done.stdout)


def tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
