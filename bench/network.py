"""A network of our own, with a DNS of our own: real ports and real resolvers, and nothing of the machine's is touched.

The process runs again in a network namespace with addresses of our choice, and in a mount namespace where
/etc/resolv.conf names our DNS server. So programs that know no other resolver than the system's ask it, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

NAME_SERVER_ADDRESS = "192.0.2.53"
"""Not 127.0.0.1, which libunbound, and so OpenDKIM, does not ask."""
SENDER_ADDRESS = "192.0.2.10"
"""Where mail from outside comes from: several filters spare 127.0.0.1."""
SINK_ADDRESS = "192.0.2.25"
SILENT_ADDRESS = "192.0.2.66"
INSIDE = "MAILSTEAD_BENCH_NETWORK"


def enter(folder: Path) -> None:
    """Make the network in namespaces that `run_inside` has opened; the resolver's file lies in the folder."""
    file = folder / "resolv.conf"
    file.write_text(f"nameserver {NAME_SERVER_ADDRESS}\n")
    file.chmod(0o644)
    commands = [["ip", "link", "set", "lo", "up"], ["mount", "--bind", str(file), "/etc/resolv.conf"]]
    commands += [
        ["ip", "address", "add", f"{address}/32", "dev", "lo"]
        for address in (NAME_SERVER_ADDRESS, SENDER_ADDRESS, SINK_ADDRESS, SILENT_ADDRESS)
    ]
    for command in commands:
        subprocess.run(command, check=True)


def run_inside() -> None:
    """Run this program again in namespaces of its own, unless it does so already."""
    if INSIDE in os.environ:
        return
    if os.geteuid() != 0:
        raise SystemExit("a network of our own needs root")
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "bench", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})


@contextlib.contextmanager
def running(command: Sequence[str | Path], **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground, and end it."""
    process = subprocess.Popen([str(word) for word in command], **how)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def txt(name: str, value: str) -> str:
    """A TXT record as a line of a zone file, in strings of at most 255 octets."""
    strings = " ".join(f'"{value[at : at + 250]}"' for at in range(0, len(value), 250))
    return f"{name}. TXT {strings}"


@contextlib.contextmanager
def dns_server(folder: Path, records: Sequence[str]) -> Iterator[None]:
    """Serve a root zone with these lines by Debian's Knot; all other names do not exist."""
    folder.mkdir()
    head = (
        "$TTL 3600",
        ". SOA ns.test. admin.test. 1 3600 600 86400 3600",
        ". NS ns.test.",
        f"ns.test. A {NAME_SERVER_ADDRESS}",
    )
    (folder / "root.zone").write_text("\n".join([*head, *records]) + "\n")
    (folder / "knot.conf").write_text(f"""
server:
  listen: {NAME_SERVER_ADDRESS}@53
  rundir: {folder}
database:
  storage: {folder}
log:
  - target: {folder}/log
    any: warning
zone:
  - domain: .
    file: {folder}/root.zone
""")
    with running(["/usr/sbin/knotd", "-c", folder / "knot.conf"]):
        _wait_for_dns()
        yield


def _wait_for_dns(limit_s: float = 20.0) -> None:
    import dns.message
    import dns.query
    import dns.rcode

    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError, dns.exception.Timeout):
            answer = dns.query.udp(dns.message.make_query("ns.test", "A"), NAME_SERVER_ADDRESS, 0.5)
            if answer.rcode() == dns.rcode.NOERROR:
                return
        time.sleep(0.05)
    raise RuntimeError("Knot does not answer")


@contextlib.contextmanager
def silent_host() -> Iterator[None]:
    """A host that swallows connections: nobody accepts, and the kernel has no room for more than the first."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server((SILENT_ADDRESS, 25), backlog=0))
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((SILENT_ADDRESS, 25))
        yield
