"""What this process has said of late, and a bundle for whoever helps: how the server is, without anybody's secrets.

In the bundle addresses of people have other names, the same one each time, and whatever is a secret of the settings is
taken out once more, should it ever have come into a text.
"""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.diagnosis import Diagnosis
from mailstead.model.envelope import Actor
from mailstead.ports.clock import Clock
from mailstead.telemetry.last_lines import LEVELS, Line, last_lines
from mailstead.usecases.audit import Notes

SHOWN_MAX: Final = 500
SECRET_CHARACTERS_MIN: Final = 4
_ADDRESS: Final = re.compile(r"[^\s@<>\"'(),:;=\[\]\\]+@((?:[\w-]+\.)+[\w-]+|\[[\w.:]+\])")
_KEPT_NAMES: Final = frozenset({"postmaster", "abuse", "mailer-daemon", "noreply-dmarc", "tls-reports"})


@dataclass(frozen=True, slots=True)
class LogTerms:
    """What is known of the process and its settings."""

    process: str
    """Which one it is, for people."""
    about: Mapping[str, str]
    """Versions and the like, for the bundle."""
    settings: Callable[[], str]
    """Gives the settings as text, secrets hidden."""
    secrets: Callable[[], Sequence[str]]
    """Gives the secrets of the settings, to look for them."""


@dataclass(frozen=True, slots=True)
class Found:
    """Lines that fit."""

    lines: Sequence[Line]
    """The newest first."""
    count: int
    """Of all that fit."""
    rooms: Sequence[str]
    """Which parts of the house have said something."""


class RecentLog:
    """All verbs are for administrators of the server (NotAllowed)."""

    def __init__(
        self,
        terms: LogTerms,
        clock: Clock,
        audit: Notes,
        examine: Callable[[Actor], Awaitable[Sequence[Diagnosis]]],
        lines: Callable[[], Sequence[Line]] = last_lines,
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._audit = audit
        self._examine = examine
        self._lines = lines

    @property
    def process(self) -> str:
        """Whose lines these are."""
        return self._terms.process

    def look(self, actor: Actor, *, level: str = "", room: str = "", text: str = "") -> Found:
        """Give the last lines of a level or a worse one, of a room, with a text in them; empty: whatever they are."""
        actor.must_be_admin()
        wanted = set(LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS)
        lines, sought = self._lines(), text.casefold()
        found = [
            line
            for line in reversed(lines)
            if line.level in wanted and (not room or line.room == room) and sought in line.text.casefold()
        ]
        return Found(found[:SHOWN_MAX], len(found), sorted({line.room for line in lines if line.room}))

    async def bundle(self, actor: Actor, *, has_doctor: bool) -> bytes:
        """Give a ZIP archive; `has_doctor`: with what the doctor says, which takes some seconds."""
        actor.must_be_admin()
        about = {**self._terms.about, "made at": f"{self._clock.now():%Y-%m-%d %H:%M:%S} UTC"}
        texts = {
            "about.txt": "".join(f"{name}: {value}\n" for name, value in about.items()),
            "settings.txt": self._terms.settings(),
            "log.txt": "".join(f"{line.text}\n" for line in self._lines()),
        }
        if has_doctor:
            texts["doctor.txt"] = "".join(_told(each) for each in await self._examine(actor))
        self._audit.note(actor, "log.bundle", "server")
        return await asyncio.to_thread(_packed, texts, self._terms.secrets())


def _told(each: Diagnosis) -> str:
    lines = [f"{each.status:<8} {each.key}: {each.found}"]
    lines += [f"         expected: {each.expected}"] if each.expected else []
    lines += [f"         to do: {each.advice}"] if each.advice else []
    return "\n".join(lines) + "\n"


def _packed(texts: Mapping[str, str], secrets: Sequence[str]) -> bytes:
    """Run in a thread: make the archive."""
    names: dict[str, str] = {}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in texts.items():
            file.writestr(f"mailstead-support/{name}", _without_people(_without(text, secrets), names))
    return archive.getvalue()


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SECRET_CHARACTERS_MIN:
            text = text.replace(secret, "(a secret)")
    return text


def _without_people(text: str, names: dict[str, str]) -> str:
    """Call people otherwise, each the same in all texts; their domains stay, as help is about those."""

    def other(found: re.Match[str]) -> str:
        local_part = found[0].rpartition("@")[0]
        if local_part.casefold() in _KEPT_NAMES:
            return found[0]
        return names.setdefault(found[0].casefold(), f"person-{len(names) + 1}") + f"@{found[1]}"

    return _ADDRESS.sub(other, text)
