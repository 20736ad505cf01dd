"""DKIM side by side in one run: ours, dkimpy, and the bare key operation that neither can go below.

Run: .venv/bin/python -m bench.dkim [--rounds 31] [--seconds 0.2]

Figures are processor time, the best of many short rounds in which the systems take turns: a busy machine hurts all
alike. *plain* bodies are words with single spaces, as most are; *spaced* ones have double spaces and spaces at line ends,
so that the relaxed form has work to do. Verifying includes the look-up of a key that is in the cache.
"""

from __future__ import annotations

import argparse
import random
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import dkim as dkimpy
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.report import RESULTS
from mailstead.mailauth.dkim import SigningKey, load_key, new_keys, public_record, sign, verify
from mailstead.model.authentication import Result
from mailstead.ports.resolver import Answer

NOW = datetime.now(UTC)
TARGET = 1.3
SIZES = (4096, 102_400)
NAMES = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]


def message(octets: int, *, is_spaced: bool) -> bytes:
    """A message with a usual header of so many octets in all."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghij", k=chance.randint(2, 9))) for _ in range(500)]
    received = "".join(
        f"Received: from mx{hop}.example.test (mx{hop}.example.test [192.0.2.{hop}])\r\n"
        f"\tby mx.example.org with ESMTPS id 4f{hop}; Fri, 27 Nov 2026 10:00:00 +0000\r\n"
        for hop in range(3)
    )
    header = (
        f"{received}From: Alice Adams <alice@example.test>\r\nTo: Bob <bob@example.org>\r\n"
        "Subject: What we talked about yesterday\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n"
        "Message-ID: <4711.0815@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    lines = [header]
    size = len(header)
    while size < octets:
        line = " ".join(chance.choices(words, k=11))
        if is_spaced and chance.random() < 0.4:
            line = line.replace(" ", "  ", 1) + " "
        lines.append(line + "\r\n")
        size += len(lines[-1])
    return "".join(lines).encode()


def finished(coroutine: object) -> object:
    """Run a coroutine that never waits, as the key is in the cache, without the cost of a loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waited")


class Zone:
    def __init__(self, records: dict[str, bytes]) -> None:
        self.answers = {name: Answer((record,)) for name, record in records.items()}

    async def txt(self, name: str) -> Answer[bytes]:
        return self.answers[name]


def best_us(works: dict[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, float]:
    """Time all works in turns; microseconds each."""
    best = dict.fromkeys(works, float("inf"))
    counts = {}
    for name, work in works.items():
        begin = time.thread_time()
        work()
        counts[name] = max(1, int(seconds / rounds / max(time.thread_time() - begin, 1e-6)))
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.thread_time()
            for _ in range(counts[name]):
                work()
            best[name] = min(best[name], (time.thread_time() - begin) / counts[name] * 1e6)
    return best


def of_dkimpy(
    key: SigningKey, octets: bytes, record: bytes
) -> tuple[Callable[[], object], Callable[[], object]] | None:
    if key.algorithm == "rsa-sha256":
        private = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    else:
        try:
            import nacl.signing  # noqa: F401
        except ImportError:
            return None
        private = b64encode(key.private_key.private_bytes_raw())

    def signs() -> bytes:
        return dkimpy.sign(
            octets,
            key.selector.encode(),
            key.domain.encode(),
            private,
            canonicalize=(b"relaxed", b"relaxed"),
            signature_algorithm=key.algorithm.encode(),
            include_headers=NAMES,
        )

    signed = signs() + octets
    return signs, lambda: dkimpy.verify(signed, dnsfunc=lambda name, timeout=5: record)


def bare(key: SigningKey) -> tuple[Callable[[], object], Callable[[], object]]:
    """The key operation alone, over as many octets as a header has."""
    octets = bytes(range(250)) * 3
    private, public = key.private_key, key.private_key.public_key()
    if key.algorithm == "rsa-sha256":
        padding, hashing = PKCS1v15(), SHA256()
        signature = private.sign(octets, padding, hashing)
        return lambda: private.sign(octets, padding, hashing), lambda: public.verify(
            signature, octets, padding, hashing
        )
    digest = sha256(octets).digest()
    signature = private.sign(digest)
    return lambda: private.sign(digest), lambda: public.verify(signature, digest)


def run(rounds: int = 31, seconds: float = 0.2) -> list[dict[str, object]]:
    """Measure all; one row per algorithm, size, kind of body and direction. Times in microseconds."""
    rows: list[dict[str, object]] = []
    pair = new_keys("example.test", NOW, "bench")
    zone = Zone({f"{key.selector}._domainkey.{key.domain}": public_record(key).encode() for key in pair})
    for stored in pair:
        key = load_key(stored)
        record = public_record(stored).encode()
        for size in SIZES:
            for is_spaced in (False, True):
                octets = message(size, is_spaced=is_spaced)
                signed = sign(octets, [key], NOW) + octets
                [found] = finished(verify(signed, zone, NOW))
                assert found.result is Result.PASS
                theirs = of_dkimpy(key, octets, record)
                if theirs:
                    assert theirs[1]()
                for direction, mine in (
                    ("sign", lambda key=key, octets=octets: sign(octets, [key], NOW)),
                    ("verify", lambda signed=signed: finished(verify(signed, zone, NOW))),
                ):
                    at = 0 if direction == "sign" else 1
                    works = {
                        "ours": mine,
                        "bare": bare(key)[at],
                        "sha256": lambda octets=octets: sha256(octets).digest(),
                    }
                    if theirs:
                        works["dkimpy"] = theirs[at]
                    best = best_us(works, rounds, seconds)
                    rows.append(
                        {
                            "work": f"dkim {direction}",
                            "algorithm": key.algorithm,
                            "octets": size,
                            "body": "spaced" if is_spaced else "plain",
                            "ours_us": best["ours"],
                            "bare_us": best["bare"],
                            "sha256_us": best["sha256"],
                            "dkimpy_us": best.get("dkimpy"),
                            "ours_to_bare": best["ours"] / best["bare"],
                            "ours_to_bare_and_hash": best["ours"] / (best["bare"] + best["sha256"]),
                            "dkimpy_to_ours": best["dkimpy"] / best["ours"] if theirs else None,
                            "target": f"<= {TARGET} times bare (4 KB, RSA)",
                        }
                    )
    return rows


def show(rows: list[dict[str, object]]) -> None:
    print(
        f"{'':24} {'octets':>7} {'body':7} {'ours':>8} {'dkimpy':>8} {'bare':>8} {'sha256':>7}"
        "   ours/bare  ours/(bare+sha)  dkimpy/ours"
    )
    for row in rows:
        theirs = f"{row['dkimpy_us']:8.0f}" if row["dkimpy_us"] else "       -"
        factor = f"{row['dkimpy_to_ours']:11.1f}" if row["dkimpy_us"] else "          -"
        print(
            f"{row['work']:11} {row['algorithm'].partition('-')[0]:12} {row['octets']:7} {row['body']:7}"
            f" {row['ours_us']:8.1f} {theirs} {row['bare_us']:8.1f} {row['sha256_us']:7.1f}"
            f" {row['ours_to_bare']:11.2f} {row['ours_to_bare_and_hash']:16.2f} {factor}"
        )
    print(f"microseconds, best of the rounds; target: at most {TARGET} times bare for 4 KB with RSA", flush=True)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """As one work of the benchmark."""
    del folder
    rows = run(3, 0.02) if options.quick else run()
    RESULTS.extend(rows)
    show(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dkim", description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each figure")
    options = parser.parse_args()
    show(run(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
