"""What an account's own filters work with: scripts, preferences, what was learned of junk."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailstead.model.ids import BlobId

SCRIPT_OCTETS_MAX = 65536
SCRIPTS_MAX = 50
"""Spec: attack row 57."""


@dataclass(frozen=True, slots=True)
class SieveScript:
    """A script's name and size. Spec: RFC 5804 §2.7."""

    name: str
    octets_count: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class SieveText:
    """A script's name and text."""

    name: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Filtering:
    """What a delivery needs to know of an account before it files a message; read at one moment."""

    script_name: str = ""
    """Of the active script; empty: none."""
    script: bytes = b""
    scripts: dict[str, bytes] = field(default_factory=dict)
    """All scripts by name where the active one has the word ``include`` (RFC 6609); else none, as they may be many."""
    preferences: dict[str, bytes] = field(default_factory=dict)
    mailboxes: dict[str, str | None] = field(default_factory=dict)
    """Names of all mailboxes with their special_use."""


@dataclass(frozen=True, slots=True)
class JunkCounts:
    """What was learned of some tokens."""

    good_total: int
    """Good messages learned in all."""
    junk_total: int
    counts: dict[int, tuple[int, int]]
    """Token → how many good and junk messages had it; unknown ones are not there."""


@dataclass(frozen=True, slots=True)
class JunkLesson:
    """A message that its owner has moved into Junk, or out of it."""

    blob_id: BlobId
    size_octets: int
    is_junk: bool
    learned_as: bool | None = None
    """How it was learned before (True: as junk), which is to be taken back; None: it was not."""
