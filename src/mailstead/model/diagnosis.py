"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How it is with a thing."""

    OK = "ok"
    WARNING = "warning"
    """Mail flows, but something is not as it should be."""
    ERROR = "error"
    """Mail is lost, refused or in danger."""
    SKIPPED = "skipped"
    """Not looked at, or not wanted; the reason is told."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at, in plain words."""

    name: str
    """A fixed name, the same in each run: ``mx``, ``dkim m20300101-rsa``, ``disk`` …"""
    status: Health
    found: str
    expected: str = ""
    advice: str = ""
    """What to do; empty where nothing needs to be done."""
    domain: str = ""
    """The domain of ours that it is about; empty: the house."""

    @property
    def key(self) -> str:
        """What tells it from all others of a run."""
        return f"{self.domain} {self.name}".strip()
