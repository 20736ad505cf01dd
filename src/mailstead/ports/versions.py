"""What an update asks of the machine: versions of the program beside each other, one of which a service runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class MachineFailed(Exception):  # a fact, in the manner of model.errors
    """The machine did not do what was asked; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Underway:
    """An update whose end is not reached, as noted on the disk: the data may be those of either version."""

    old: str
    new: str
    snapshot: str
    """The last backup of the old version, made when nobody wrote any more."""


class VersionHost(Protocol):
    """Each verb ends when it is done, and may be called again. Errors of each: MachineFailed."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep other updates out. Errors: TryAgainLater."""

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Let neither Ctrl-C nor a lost line end this process."""

    def say(self, text: str) -> None:
        """Tell people and the log."""

    def current(self) -> str:
        """The version that the service runs."""

    def is_serving(self) -> bool:
        """Whether the service runs."""

    def obtain(self, wanted: str) -> str:
        """Fetch a version, the newest for an empty text, and give which it is. Nothing is installed yet."""

    def install(self, version: str) -> None:
        """Install what was fetched beside the others."""

    def back_up(self, version: str) -> str:
        """Let a version make a backup; gives the snapshot."""

    def drill(self, version: str) -> None:
        """Let a version take over a copy of the newest backup, and look it over."""

    def stop_service(self) -> None:
        """Stop it; what it had promised is done."""

    def start_service(self) -> None:
        """Start it with the current version, and wait until it is ready."""

    def note(self, underway: Underway | None) -> None:
        """Keep on the disk that an update is under way, or is not any more. While it is, the service stays down."""

    def noted(self) -> Underway | None:
        """What was noted."""

    def note_failed(self, version: str) -> None:
        """Remember the last version that was not well; an empty text forgets it."""

    def failed(self) -> str:
        """The last version that was not well here, if there is one."""

    def start_trial(self, version: str, limit_s: float) -> None:
        """Start a version on the real data, where nobody reaches it and it reaches nobody; wait until it is ready."""

    def try_out(self, version: str, limit_s: float) -> None:
        """See whether all its ports answer and a message comes through it."""

    def end_trial(self) -> None:
        """Stop it, if it runs."""

    def switch(self, version: str) -> None:
        """Make a version the current one, with its units."""

    def put_aside(self) -> None:
        """Move the data away, within their folder."""

    def restore(self, version: str, snapshot: str) -> None:
        """Let a version bring a snapshot back into the empty folder."""

    def remove_aside(self) -> None:
        """Remove what was put aside."""

    def prune(self, kept: frozenset[str]) -> None:
        """Remove all other versions."""
