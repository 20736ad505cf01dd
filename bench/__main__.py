"""`python -m bench [--only a,b] [--rounds 3] [--quick] [--without-peers]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import memory
from bench.imap_client import ImapClient
from bench.messages import message
from bench.peers import DOMAIN, ROOT, System, start_mailstead, start_postfix_dovecot

OUT = ROOT / "bench" / "results"
RESULTS: list[dict[str, object]] = []


def account(number: int) -> str:
    return f"user{number}@{DOMAIN}"


def load(system: System, connections: int, count: int, size: int, accounts: int) -> dict[str, float]:
    """Deliver and wait until the last message is in its mailbox; messages per second over all of it."""
    stored_before = system.stored_count()
    command = [
        sys.executable,
        "-m",
        "bench.smtp_load",
        *map(str, (system.ports.smtp, connections, count, size, accounts)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    if result["acknowledged"] != count:
        raise RuntimeError(f"{system.name}: only {result['acknowledged']} of {count}: {result['failures']}")
    end = result["end"]
    if stored_before >= 0:
        limit = time.time() + 300
        while system.stored_count() < stored_before + count:
            if time.time() > limit:
                raise RuntimeError(f"{system.name}: {system.stored_count() - stored_before} of {count} arrived")
            time.sleep(0.02)
        end = max(end, time.time())
    return {
        "per_second": count / (end - result["begin"]),
        "acknowledged_per_second": count / (result["end"] - result["begin"]),
    }


def record(work: str, system: System, figure: str, values: list[float], unit: str) -> None:
    RESULTS.append(
        {
            "work": work,
            "system": system.name,
            "figure": figure,
            "unit": unit,
            "median": statistics.median(values),
            "values": values,
        }
    )
    print(f"  {work:34} {system.name:24} {figure:22} {statistics.median(values):12.4g} {unit}", flush=True)


def ratio(work: str, figure: str, target: str, *, more_is_better: bool) -> None:
    """Print ours against each peer's."""
    rows = [row for row in RESULTS if row["work"] == work and row.get("figure") == figure and "system" in row]
    word = "times their rate" if more_is_better else "of their time"
    for ours in (row for row in rows if row["system"].startswith("mailstead")):
        for row in (row for row in rows if not row["system"].startswith("mailstead")):
            value = ours["median"] / row["median"]
            RESULTS.append(
                {
                    "work": work,
                    "figure": f"{figure} ratio",
                    "of": ours["system"],
                    "to": row["system"],
                    "ratio": value,
                    "target": target,
                }
            )
            print(
                f"  {work:34} {ours['system']} / {row['system']} = {value:.3g} {word}   (target: {target})", flush=True
            )


def deliver(systems: list[System], rounds: int, quick: bool) -> None:
    for size, label, target, count in ((4096, "4 KB", ">= 4", 3000), (102400, "100 KB", ">= 2", 600)):
        for accounts in (100, 1):
            work = f"deliver {label}, {accounts} account(s)"
            if quick:
                count = min(count, 400)
            values: dict[str, list[float]] = {system.name: [] for system in systems}
            for _ in range(rounds):
                for system in systems:
                    values[system.name].append(load(system, 20, count, size, accounts)["per_second"])
            for system in systems:
                record(work, system, "rate", values[system.name], "messages/s")
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
        record(work, system, "time", values, "ms")
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
            record(work, system, "time", values[system.name], "ms")
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
        record(work, system, "rate", values[system.name], "MB/s")
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
            from bench.peers import PASSWORD

            client.command(f"LOGIN {account(93)} {PASSWORD}".encode())
            logged_in = time.perf_counter() - begin
            to_first, to_last, _ = client.timed(b"SELECT INBOX")
            client.close()
            if number > 1:
                first[system.name].append((logged_in + to_first) * 1000)
                whole[system.name].append((logged_in + to_last) * 1000)
    for system in systems:
        record(work, system, "time to first", first[system.name], "ms")
        record(work, system, "time to OK", whole[system.name], "ms")
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
        record(work, system, "index catch-up", [caught_up * 1000], "ms")
        for text in (b"invoice", b"budget review", b"sender4"):
            values = [client.timed(b'UID SEARCH TEXT "' + text + b'"')[1] * 1000 for _ in range(5)]
            record(work, system, f"'{text.decode()}'", values, "ms")
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
        record("start and idle", system, "idle memory", [before / 1e6], "MB (target < 120)")
        record("start and idle", system, "start to ports", [system.start_seconds], "s (target < 1.5)")
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
        record(work, system, "memory each", [(after - before) / count / 1024], "KiB (target <= 40)")


WORKS = {"idle": idle, "latency": latency, "deliver": deliver, "fetch": fetch, "select": select, "download": download}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run?")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--cipher", default="chacha20")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    folder = Path(tempfile.mkdtemp(prefix="mailstead-bench-"))
    folder.chmod(0o755)
    accounts = [account(number) for number in range(400)]
    systems: list[System] = []
    try:
        systems.append(start_mailstead(folder / "mailstead", accounts, MAILSTEAD_STORE_CIPHER=options.cipher))
        if not options.without_peers:
            if shutil.which("postconf", path="/usr/sbin") is None or shutil.which("doveadm") is None:
                raise SystemExit("Postfix and Dovecot are not installed: run `make setup-tools` as root")
            systems.extend(start_postfix_dovecot(folder / form, form, accounts) for form in ("maildir", "mdbox"))
        for name in options.only.split(","):
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
        shutil.rmtree(folder, ignore_errors=True)
        OUT.mkdir(exist_ok=True)
        facts = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "arguments": sys.argv[1:],
            "results": RESULTS,
        }
        file = OUT / f"{facts['at'].replace(':', '')}.json"
        file.write_text(json.dumps(facts, indent=1))
        print(f"raw results: {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
