"""The structural check of encrypted mail: ours against the way of the relay's older filter in Python.

The peer is written here after the reference's description (section 5.1), not taken from the relay: Python's `email` package
with its default policy, whole payloads, `base64`, packets walked one by one. Both judge the same messages of 100 KB; both must let
them through. One process, one core.
"""

from __future__ import annotations

import argparse
import base64
import email
import email.policy
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import ratio, record
from mailstead.policy.encryption import Direction, structural_flaw

TARGET = "ours >= 3000/s"
SIZE = 100_000
BOUNDARY = b"18ec08f994d104ed_c864d34d33009306_b93cb46732c8cb7d"
"""As Delta Chat's core makes them."""


def message(number: int, size: int = SIZE) -> bytes:
    """Two session keys and protected data, armored, in the frame of RFC 3156; `size` octets in all, about."""
    body = bytes((number + at * 7) % 256 for at in range(size * 3 // 4 - 600))
    packets = b"".join(bytes([0xC1, 94]) + b"\x03" + b"k" * 93 for _ in range(2))
    packets += b"\xd2\xff" + len(body).to_bytes(4, "big") + body
    text = base64.b64encode(packets)
    lines = b"\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    head = (
        b'From: <alice1234@chat.test>\r\nTo: "hidden-recipients": ;\r\nSubject: [...]\r\nMIME-Version: 1.0\r\n'
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="%s"\r\n\r\n'
        b"--%s\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
        b"--%s\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n"
    )
    end = b"\r\n=AAAA\r\n-----END PGP MESSAGE-----\r\n\r\n--%s--\r\n"
    return head % (BOUNDARY, BOUNDARY, BOUNDARY) + lines + end % BOUNDARY


def ours(octets: bytes) -> bool:
    return structural_flaw(octets, Direction.OUTGOING) is None


def as_in_python(octets: bytes) -> bool:
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    if parsed.get_content_type() != "multipart/encrypted":
        return False
    parts = list(parsed.iter_parts())
    if len(parts) != 2 or parts[0].get_content_type() != "application/pgp-encrypted":
        return False
    if parts[0].get_payload(decode=True).strip() != b"Version: 1":
        return False
    armor = parts[1].get_payload().replace("\r\n", "\n").strip()
    if not armor.startswith("-----BEGIN PGP MESSAGE-----\n") or not armor.endswith("-----END PGP MESSAGE-----"):
        return False
    text = armor[len("-----BEGIN PGP MESSAGE-----") : -len("-----END PGP MESSAGE-----")]
    text = text[: text.rindex("=")] if "=" in text else text
    packets = base64.b64decode(text.replace("\n", ""), validate=True)
    at = 0
    while at < len(packets):
        tag, first, at = packets[at] & 0x3F, packets[at + 1], at + 2
        if first < 192:
            size = first
        elif first < 224:
            size, at = (first - 192 << 8) + packets[at] + 192, at + 1
        else:
            size, at = int.from_bytes(packets[at : at + 4], "big"), at + 4
        at += size
        if tag == 18:
            return at == len(packets)
        if tag not in {1, 3}:
            return False
    return False


def rate(check: Callable[[bytes], bool], messages: list[bytes], seconds: float) -> float:
    count, begin = 0, time.perf_counter()
    while (passed := time.perf_counter() - begin) < seconds:
        for octets in messages:
            if not check(octets):
                raise RuntimeError(f"{check.__name__} refuses an encrypted message")
        count += len(messages)
    return count / passed


def measure(folder: Path, options: argparse.Namespace) -> None:
    del folder
    messages = [message(number) for number in range(50)]
    work = "structural check, 100 KB"
    values: dict[str, list[float]] = {"mailstead": [], "email package": []}
    for _ in range(options.rounds):
        values["mailstead"].append(rate(ours, messages, 0.5 if options.quick else 3))
        values["email package"].append(rate(as_in_python, messages, 0.5 if options.quick else 3))
    for name, found in values.items():
        record(work, name, "rate", found, "messages/s")
    ratio(work, "rate", TARGET, more_is_better=True)
