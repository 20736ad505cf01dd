"""An update that is wished for on the page, and begun by the machine: a service never replaces itself.

The wish is a small file in the data folder. Whoever takes it is root and trusts nothing of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings, MailsteadError, PolicyRefused
from mailstead.ports.clock import Clock
from mailstead.ports.versions import MachineFailed
from mailstead.usecases.audit import Notes
from mailstead.usecases.updates import Outcome, UpdateFailed, Updates, order_of

WISH_OCTETS_MAX: Final = 4096
_VERSION_CHARACTERS_MAX: Final = 40
_REFUSED: Final = "the update that was wished for came to nothing: "
_REFUSED_LINE: Final = re.compile(rf"^\S+Z {_REFUSED}(.*)")
_BEGIN: Final = re.compile(r"^\S+Z from \S+ to ")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished for."""

    version: str
    """Empty: the newest."""
    who: str
    at: datetime


class WishPlace(Protocol):
    """Where the one wish lies, as the service sees it."""

    def is_watched(self) -> bool:
        """Whether the machine takes wishes from here."""

    def read(self) -> bytes | None:
        """Give the wish that waits. Errors: BadSettings, for what lies there and is no plain small file."""

    def put(self, content: bytes) -> None:
        """Leave a wish, whole or not at all. Errors: Conflict, where one waits."""

    def take_back(self) -> None:
        """Remove it; one that was taken meanwhile is no error."""


class WishTaker(Protocol):
    """Where the machine takes the wish, as root."""

    def take(self) -> bytes | None:
        """Remove the wish for good, and give what it said; None: there is none.

        Errors: BadSettings, for no plain small file (it is removed); MachineFailed, where it cannot be removed.
        """

    def say(self, text: str) -> None:
        """Tell the journal of updates."""


def checked_version(text: str) -> str:
    """Give a version as a wish may name it; empty: the newest. Errors: BadSettings."""
    if not text:
        return ""
    if len(text) > _VERSION_CHARACTERS_MAX or not text.isascii():
        raise BadSettings("That is no version; write it as 1.2.0")
    order_of(text)
    return text


def wish_of(content: bytes) -> Wish:
    """Read a wish, of which nothing is trusted. Errors: BadSettings."""
    try:
        said = json.loads(content)
        version, who, at = said["version"], said["who"], said["at"]
        if not (isinstance(version, str) and isinstance(who, str) and isinstance(at, str)):
            raise TypeError
        moment = datetime.fromisoformat(at)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadSettings("the wish cannot be read") from None
    return Wish(checked_version(version), who, moment)


class UpdateWishes:
    """For administrators of the server (NotAllowed)."""

    def __init__(self, place: WishPlace, audit: Notes, clock: Clock, version: str) -> None:
        self._place = place
        self._audit = audit
        self._clock = clock
        self._version = version

    def is_watched(self, actor: Actor) -> bool:
        """Whether the machine takes wishes."""
        actor.must_be_admin()
        return self._place.is_watched()

    def waiting(self, actor: Actor) -> Wish | None:
        """Give the wish that waits; what cannot be read is told as one for the newest, so that it can be taken back."""
        actor.must_be_admin()
        try:
            content = self._place.read()
            return None if content is None else wish_of(content)
        except BadSettings:
            return Wish("", "?", self._clock.now())

    def leave(self, actor: Actor, version: str = "") -> None:
        """Wish for a version, or the newest.

        Errors: BadSettings (no version, or not newer than the one that runs), PolicyRefused (nobody takes wishes here),
        Conflict (one waits).
        """
        actor.must_be_admin()
        checked_version(version)
        if version and order_of(version) <= order_of(self._version):
            raise BadSettings(f"{version} is not newer than {self._version}, which runs")
        if not self._place.is_watched():
            raise PolicyRefused("This machine takes no wishes for updates")
        wish = {"version": version, "who": actor.name, "at": self._clock.now().isoformat()}
        self._place.put(json.dumps(wish).encode())
        self._audit.note(actor, "update.wish", version or "newest")

    def take_back(self, actor: Actor) -> None:
        """Take it back, unless it was taken."""
        actor.must_be_admin()
        self._place.take_back()
        self._audit.note(actor, "update.take-back", "server")


def run_wanted(
    actor: Actor, taker: WishTaker, make_updates: Callable[[], Updates], limit_s: float = 60.0
) -> Outcome | None:
    """Take the wish and do it; None: there is none. It is gone before anything begins, so a failure does not repeat.

    Errors: as `make_updates`, `Updates.run` and `WishTaker.take`; the journal has them too.
    """
    actor.must_be_admin()
    try:
        content = taker.take()
        outcome = None if content is None else make_updates().run(actor, wish_of(content).version, limit_s)
    except (MailsteadError, MachineFailed, UpdateFailed) as error:
        taker.say(_REFUSED + " ".join(str(error).split()))
        raise
    if outcome is not None and outcome.old == outcome.new:
        taker.say(f"{_REFUSED}{outcome.new} goes on, as nothing newer is there that was well")
    return outcome


def last_refusal(journal: Sequence[str]) -> str:
    """Give why the last wish came to nothing; empty where an update began after it, or none was refused."""
    told = ""
    for line in journal:
        found = _REFUSED_LINE.match(line)
        if found:
            told = found[1]
        elif _BEGIN.match(line):
            told = ""
    return told
