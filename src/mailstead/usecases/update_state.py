"""Which version runs here, which came before, how the last update went, and what to do for the next one.

A service never replaces itself: the machine does, by a command or a wish (`update_wishes`). Nobody is
asked for newer versions either; the newest that is known is the newest that this machine has seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.ports.versions import Underway
from mailstead.usecases.update_wishes import last_refusal
from mailstead.usecases.updates import order_of

KEPT: Final = timedelta(days=3650)
LINES_MAX: Final = 60
NOTES_MAX: Final = 10
_RAN: Final = "version"
_BEGIN: Final = re.compile(r"^(\S+Z) from (\S+) to ([^\s(]+)")
_DONE: Final = re.compile(r"^\S+Z done: (\S+) runs")
_BACK: Final = re.compile(
    r"^\S+Z (?:everything goes back to |FAILED: \S+ was not well)|is not well; everything goes back"
)


class Kind(StrEnum):
    """How the program is installed, which says how it is updated."""

    VERSIONS = "versions"
    """Versions beside each other: ``mailstead update``."""
    CONTAINER = "container"
    """An image: ``self-hosting/update.sh`` on the machine."""
    PIPX = "pipx"
    OTHER = "other"


class Ended(StrEnum):
    """How an update has ended."""

    DONE = "done"
    WENT_BACK = "went back"
    """The new version was not well, and code and data are as before."""
    UNDER_WAY = "under way"
    """Or cut off; then it goes back at the next start."""
    STAYED = "stayed"
    """It was given up before anything was changed."""


@dataclass(frozen=True, slots=True)
class LastUpdate:
    """What the machine's journal of updates says of the last one."""

    began_at: datetime
    old: str
    new: str
    ended: Ended
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """What is new in a version."""

    version: str
    """Empty: in what runs here, without a release of it."""
    text: tuple[str, ...]
    """Paragraphs and points, without markup; headings end with a colon."""


@dataclass(frozen=True, slots=True)
class UpdateView:
    """All of it."""

    version: str
    kind: Kind
    newest: str
    """Of those that this machine has seen; the one that runs, if there is no newer one."""
    failed: str
    """A version that was not well here; empty: there is none."""
    last: LastUpdate | None
    refusal: str
    """Why the last update that was wished for on the page came to nothing; empty: none did."""
    has_journal: bool
    """The journal can be read from here."""
    ran: tuple[tuple[str, datetime], ...]
    """Versions that this house has run with, and since when, the newest first."""
    notes: tuple[Notes, ...]


class Installed(Protocol):
    """What the machine knows of versions; nothing raises."""

    def kind(self) -> Kind:
        """How the program is installed."""

    def journal(self) -> Sequence[str] | None:
        """Lines of the journal of updates, the oldest first; None where it cannot be read from here."""

    def underway(self) -> Underway | None:
        """An update whose end is not reached."""

    def failed(self) -> str:
        """The last version that was not well here."""

    def seen(self) -> Sequence[str]:
        """Versions that lie on this machine."""

    def changelog(self) -> str:
        """What is new, in the form of Keep a Changelog; empty where the installation has none."""


class UpdateState:
    """For administrators of the server (NotAllowed)."""

    def __init__(self, installed: Installed, memory: Memory, clock: Clock, version: str) -> None:
        self._installed = installed
        self._memory = memory
        self._clock = clock
        self._version = version

    async def note_running(self) -> None:
        """Remember that this version runs here, from now on if it is for the first time; at the start of a process."""
        now = self._clock.now()
        await self._memory.remember_first(_RAN, self._version, now.isoformat().encode(), now, now + KEPT)

    async def look(self, actor: Actor) -> UpdateView:
        """Give it."""
        actor.must_be_admin()
        await self.note_running()
        ran = {
            version: datetime.fromisoformat(since.decode())
            for version, since in (await self._memory.recall_all(_RAN, self._clock.now())).items()
        }
        installed = self._installed
        journal, failed = installed.journal(), installed.failed()
        return UpdateView(
            self._version,
            installed.kind(),
            _newest([self._version, failed, *installed.seen()]),
            failed,
            last_update(journal or (), installed.underway()),
            last_refusal(journal or ()),
            journal is not None,
            tuple(sorted(ran.items(), key=lambda each: each[1], reverse=True)),
            tuple(notes_of(installed.changelog())),
        )


def last_update(journal: Sequence[str], underway: Underway | None) -> LastUpdate | None:
    """Give what a journal says of the last update; None: it knows of none."""
    begins = [at for at, line in enumerate(journal) if _BEGIN.match(line)]
    if not begins:
        return None
    lines = journal[begins[-1] :]
    found = _BEGIN.match(lines[0])
    assert found is not None
    try:
        began_at = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    if underway is not None:
        ended = Ended.UNDER_WAY
    elif any(_DONE.match(line) for line in lines):
        ended = Ended.DONE
    else:
        ended = Ended.WENT_BACK if any(_BACK.search(line) for line in lines) else Ended.STAYED
    return LastUpdate(began_at, found[2], found[3], ended, tuple(lines[-LINES_MAX:]))


def notes_of(changelog: str) -> list[Notes]:
    """Give the notes of the newest versions. Spec: Keep a Changelog 1.1.0 (headings of second and third order)."""
    notes: list[tuple[str, list[str]]] = []
    is_new = True  # the next line begins a paragraph
    for line in changelog.splitlines():
        text = line.strip()
        if line.startswith("## "):
            version = text.removeprefix("## ").split(" ")[0].strip("[]")
            notes.append(("" if version.casefold() == "unreleased" else version, []))
            is_new = True
        elif not notes or not text:
            is_new = True
        elif line.startswith("### "):
            notes[-1][1].append(f"{text.removeprefix('### ')}:")
            is_new = True
        elif text.startswith(("- ", "* ")) or is_new or not notes[-1][1]:
            notes[-1][1].append(text.removeprefix("- ").removeprefix("* "))
            is_new = False
        else:
            notes[-1][1][-1] += f" {text}"
    return [Notes(version, tuple(text)) for version, text in notes if text][:NOTES_MAX]


def _newest(versions: Sequence[str]) -> str:
    known = []
    for version in versions:
        try:
            known.append((order_of(version), version))
        except BadSettings:
            continue  # nothing, or the folder of something else
    return max(known, default=((), versions[0]))[1]
