"""`python -m bench [--only a,b] [--rounds 3] [--quick] [--without-peers]`."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import (
    api,
    backup,
    chat,
    dav,
    dkim,
    encryption,
    inbound_auth,
    log_in,
    memory,
    network,
    outbound,
    queue_depth,
    report,
    webmail,
    webmail_pages,
)
from bench.imap_client import ImapClient
from bench.messages import message
from bench.peers import PASSWORD, ROOT, System, account, start_mailstead, start_postfix_dovecot
from bench.report import ratio, record
from bench.smtp_load import Job, as_text, delivered, sample


def deliver(systems: list[System], rounds: int, quick: bool) -> None:
    for size, label, target, count in ((4096, "4 KB", ">= 4", 3000), (102400, "100 KB", ">= 2", 600)):
        messages = as_text(sample(size))
        for accounts in (100, 1):
            work = f"deliver {label}, {accounts} account(s)"
            if quick:
                count = min(count, 400)
            recipients = [account(number % accounts) for number in range(count)]
            values: dict[str, list[float]] = {system.name: [] for system in systems}
            for _ in range(rounds):
                for system in systems:
                    values[system.name].append(delivered(system, Job(system.ports.smtp, 20, recipients, messages)))
            for system in systems:
                record(work, system.name, "rate", values[system.name], "messages/s")
            ratio(work, "rate", target, more_is_better=True)


def latency(systems: list[System], rounds: int, quick: bool) -> None:
    import smtplib

    work = "end of DATA to EXISTS"
    for system in systems:
        idler = ImapClient(system, account(90))
        idler.command(b"SELECT INBOX")
        idler.send(b"IDLE")
        idler.file.readline()
        client = smtplib.SMTP("127.0.0.1", system.ports.smtp)
        client.ehlo("bench.test")
        values = []
        for number in range(20 if quick else 100):
            client.mail("sender@sender.test")
            client.rcpt(account(90))
            client.putcmd("data")
            client.getreply()
            begin = time.perf_counter()
            client.sock.sendall(message(4096, number) + b".\r\n")
            while b"EXISTS" not in idler.file.readline():
                pass
            values.append((time.perf_counter() - begin) * 1000)
            client.getreply()
            time.sleep(0.05)
        client.quit()
        idler.close()
        record(work, system.name, "time", values, "ms")
    ratio(work, "time", "< 0.5 and < 5 ms", more_is_better=False)


def fill(system: System, name: str, count: int, size: int) -> None:
    client = ImapClient(system, name)
    for at in range(0, count, 1000):
        client.append(b"INBOX", [message(size, at + n) for n in range(min(1000, count - at))])
    client.close()


def fetch(systems: list[System], rounds: int, quick: bool) -> None:
    count = 1000 if quick else 10_000
    commands = (
        ("list with ENVELOPE", b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        ("HEADER.FIELDS", b"FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES)])"),
    )
    for system in systems:
        fill(system, account(91), count, 4096)
    for name, command in commands:
        work = f"fetch {count}: {name}"
        values: dict[str, list[float]] = {system.name: [] for system in systems}
        for number in range(rounds + 1):
            for system in systems:
                client = ImapClient(system, account(91))
                client.command(b"SELECT INBOX")
                seconds = client.timed(command)[1]
                client.close()
                if number:  # the first warms the index
                    values[system.name].append(seconds * 1000)
        for system in systems:
            record(work, system.name, "time", values[system.name], "ms")
        ratio(work, "time", "<= 1", more_is_better=False)


def download(systems: list[System], rounds: int, quick: bool) -> None:
    count = 300 if quick else 10_000
    work = f"download {count} x 100 KB"
    values: dict[str, list[float]] = {system.name: [] for system in systems}
    for system in systems:
        fill(system, account(92), count, 102_400)
    for _ in range(rounds):
        for system in systems:
            client = ImapClient(system, account(92))
            client.command(b"SELECT INBOX")
            _, seconds, octets = client.timed(b"FETCH 1:* BODY.PEEK[]")
            client.close()
            if octets < count * 95_000:
                raise RuntimeError(f"{system.name}: only {octets} octets came")
            values[system.name].append(octets / seconds / 1e6)
    for system in systems:
        record(work, system.name, "rate", values[system.name], "MB/s")
    ratio(work, "rate", ">= 0.8", more_is_better=True)


def select(systems: list[System], rounds: int, quick: bool) -> None:
    count = 2000 if quick else 100_000
    work = f"log-in and SELECT of {count}"
    first: dict[str, list[float]] = {system.name: [] for system in systems}
    whole: dict[str, list[float]] = {system.name: [] for system in systems}
    for system in systems:
        fill(system, account(93), count, 700)
    for number in range(2 * rounds + 2):
        for system in systems:
            client = ImapClient(system, account(93), log_in=False)
            begin = time.perf_counter()
            client.command(f"LOGIN {account(93)} {PASSWORD}".encode())
            logged_in = time.perf_counter() - begin
            to_first, to_last, _ = client.timed(b"SELECT INBOX")
            client.close()
            if number > 1:
                first[system.name].append((logged_in + to_first) * 1000)
                whole[system.name].append((logged_in + to_last) * 1000)
    for system in systems:
        record(work, system.name, "time to first", first[system.name], "ms")
        record(work, system.name, "time to OK", whole[system.name], "ms")
    ratio(work, "time to first", "<= 1", more_is_better=False)
    ratio(work, "time to OK", "(told for honesty)", more_is_better=False)
    search(systems, count)


def search(systems: list[System], count: int) -> None:
    work = f"SEARCH TEXT in {count}"
    ours = [system for system in systems if system.name == "mailstead"]
    for system in ours:
        client = ImapClient(system, account(93))
        client.command(b"SELECT INBOX")
        caught_up = client.timed(b'UID SEARCH TEXT "caught up once"')[1]
        record(work, system.name, "index catch-up", [caught_up * 1000], "ms")
        for text in (b"invoice", b"budget review", b"sender4"):
            values = [client.timed(b'UID SEARCH TEXT "' + text + b'"')[1] * 1000 for _ in range(5)]
            record(work, system.name, f"'{text.decode()}'", values, "ms")
        client.close()


def idle(systems: list[System], rounds: int, quick: bool) -> None:
    count = 500 if quick else 10_000
    work = f"{count} idle TLS connections"
    for system in systems:
        if not system.pids:
            continue
        pid = system.pids[0]
        warm = ImapClient(system, account(0))
        warm.command(b"SELECT INBOX")
        warm.close()
        accounts = 400
        before = memory.resident_octets(pid)
        record("start and idle", system.name, "idle memory", [before / 1e6], "MB (target < 120)")
        record("start and idle", system.name, "start to ports", [system.start_seconds], "s (target < 1.5)")
        holder = subprocess.Popen(
            [sys.executable, "-m", "bench.memory", str(system.ports.imaps), str(count), str(accounts)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None and holder.stdin is not None
        line = holder.stdout.readline()
        if "idle" not in line:
            raise RuntimeError("the holder of idle connections failed")
        time.sleep(5)
        after = memory.resident_octets(pid)
        holder.stdin.close()
        holder.wait()
        record(work, system.name, "memory each", [(after - before) / count / 1024], "KiB (target <= 40)")


WORKS = {"idle": idle, "latency": latency, "deliver": deliver, "fetch": fetch, "select": select, "download": download}
"""They share their systems."""
WORKS_ALONE = {
    "dkim": dkim.measure,
    "inbound-auth": inbound_auth.measure,
    "outbound": outbound.measure,
    "queue-100k": queue_depth.measure,
    "encryption": encryption.measure,
    "chat": chat.measure,
    "backup": backup.measure,
    "dav": dav.measure,
    "log-in": log_in.measure,
    "dav-puts": dav.puts,
    "api": api.measure,
    "webmail": webmail.measure,
    "web": webmail_pages.measure,
}
"""They start what they need …"""
ON_LOOPBACK = {"dkim", "chat", "encryption", "backup", "dav", "dav-puts", "log-in", "api", "webmail", "web"}
"""… in a network of our own, but for these."""


def with_mailboxes(folder: Path, names: list[str], options: argparse.Namespace) -> None:
    """Mailstead, and Postfix with Dovecot, side by side."""
    accounts = [account(number) for number in range(400)]
    systems: list[System] = []
    try:
        systems.append(start_mailstead(folder / "mailstead", accounts, MAILSTEAD_STORE_CIPHER=options.cipher))
        if not options.without_peers:
            if shutil.which("postconf", path="/usr/sbin") is None or shutil.which("doveadm") is None:
                raise SystemExit("Postfix and Dovecot are not installed: run `make setup-tools` as root")
            systems.extend(start_postfix_dovecot(folder / form, form, accounts) for form in ("maildir", "mdbox"))
        for name in names:
            chosen = systems
            if name == "deliver":
                more = start_mailstead(
                    folder / "workers", accounts, "mailstead --workers 2", MAILSTEAD_SERVER_WORKERS="2"
                )
                systems.append(more)
                chosen = [systems[0], more, *systems[1:-1]]
            WORKS[name](chosen, options.rounds, options.quick)
            if name == "deliver":
                systems.remove(more)
                more.stop()
    finally:
        for system in systems:
            system.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=0, help="how many `backup` has; 0: 20,000")
    parser.add_argument("--only", default=",".join((*WORKS, *WORKS_ALONE)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run?")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--peers", default="radicale,xandikos", help="of `dav`")
    parser.add_argument("--cipher", default="chacha20")
    parser.add_argument(
        "--store", default="", help="of `webmail` and `web`: where what was filled is kept, or is already"
    )
    parser.add_argument("--system", default="mailstead", help="of `webmail`: what to call what is measured")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(WORKS) - set(WORKS_ALONE):
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    alone = [name for name in names if name in WORKS_ALONE]
    if set(alone) - ON_LOOPBACK:
        network.run_inside()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    folder = Path(tempfile.mkdtemp(prefix="mailstead-bench-"))
    folder.chmod(0o755)
    try:
        if set(alone) - ON_LOOPBACK:
            network.enter(folder)
        if shared := [name for name in names if name in WORKS]:
            with_mailboxes(folder, shared, options)
        for name in alone:
            place = folder / name
            place.mkdir()
            WORKS_ALONE[name](place, options)
            shutil.rmtree(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        report.save()


if __name__ == "__main__":
    main()
