"""Synthetic messages: text of words, and attachments in base64, from a fixed seed."""

from __future__ import annotations

import base64
import random

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "is",
    "was",
    "for",
    "it",
    "with",
    "as",
    "his",
    "on",
    "be",
    "at",
    "by",
    "had",
    "not",
    "are",
    "but",
    "from",
    "or",
    "have",
    "an",
    "they",
    "which",
    "one",
    "you",
    "were",
    "her",
    "all",
    "she",
    "there",
    "would",
    "their",
    "we",
    "him",
    "been",
    "has",
    "when",
    "who",
    "will",
    "more",
    "no",
    "if",
    "out",
    "so",
    "said",
    "what",
    "up",
    "its",
    "about",
    "into",
    "than",
    "them",
    "can",
    "only",
    "other",
    "new",
    "some",
    "could",
    "time",
    "these",
    "two",
    "may",
    "then",
    "do",
    "first",
    "any",
    "my",
    "now",
    "such",
    "like",
    "our",
    "over",
    "man",
    "me",
    "even",
    "most",
    "made",
    "after",
    "also",
    "did",
    "many",
    "before",
    "must",
    "through",
    "back",
    "years",
    "where",
    "much",
    "your",
    "way",
    "well",
    "down",
    "should",
    "because",
    "each",
    "just",
    "those",
    "people",
    "how",
    "too",
    "little",
    "state",
    "good",
    "very",
    "make",
    "world",
    "still",
    "own",
    "see",
    "men",
    "work",
    "long",
    "get",
    "here",
    "between",
    "both",
    "life",
    "being",
    "under",
    "never",
    "day",
    "same",
    "another",
    "know",
    "while",
    "last",
    "might",
    "us",
    "great",
    "old",
    "year",
    "off",
    "come",
    "since",
    "against",
    "go",
    "came",
    "right",
    "used",
    "take",
    "three",
    "invoice",
    "meeting",
    "schedule",
    "report",
    "budget",
    "customer",
    "contract",
    "delivery",
    "attached",
    "project",
    "deadline",
    "review",
]


def message(size_octets: int, number: int, seed: int = 7) -> bytes:
    """A message of about that size: plain text up to 8 KB, above that text with a base64 attachment."""
    chance = random.Random(seed * 1_000_003 + number)
    names = ("alice", "bob", "carol", "dave", "erin", "frank")
    sender = chance.choice(names)
    header = (
        f"From: {sender.title()} Example <{sender}@sender.test>\r\n"
        f"To: Somebody <user@example.test>\r\n"
        f"Subject: {' '.join(chance.choices(WORDS, k=6))} {number}\r\n"
        f"Date: Mon, {1 + number % 28:02d} Sep 2026 {number % 24:02d}:{number % 60:02d}:00 +0000\r\n"
        f"Message-ID: <{number}.{chance.randrange(1 << 40)}@sender.test>\r\n"
        "MIME-Version: 1.0\r\n"
    )
    text_octets = min(size_octets, 8192) - len(header) - 60
    lines: list[str] = []
    have = 0
    while have < text_octets:
        line = " ".join(chance.choices(WORDS, k=11))
        lines.append(line)
        have += len(line) + 2
    text = "\r\n".join(lines) + "\r\n"
    if size_octets <= 8192:
        return (header + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text).encode()
    raw = chance.randbytes((size_octets - have - len(header)) * 56 // 78)
    attachment = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    return (
        header.encode()
        + b'Content-Type: multipart/mixed; boundary="b0"\r\n\r\n--b0\r\nContent-Type: text/plain\r\n\r\n'
        + text.encode()
        + b'--b0\r\nContent-Type: application/octet-stream; name="a.bin"\r\n'
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + attachment
        + b"--b0--\r\n"
    )
