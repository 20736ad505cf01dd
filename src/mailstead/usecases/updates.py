"""An update of the program that tries itself before anybody can reach it, and goes back, data included.

The steps are those of ADR 29. Until the note is made, nothing of the data has been touched by the new version; from
then on whoever comes next, this process or another after a power cut, goes back, or finds that the end was reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadSettings
from mailstead.ports.versions import MachineFailed, Underway, VersionHost

_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+)*)(?:(\.dev|a|b|rc|\.post)(\d+))?(?:\+[0-9a-z.]+)?")
_STAGES: Final = {".dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, ".post": 1}

Order = tuple[tuple[int, ...], int, int]


class UpdateFailed(Exception):  # a fact, in the manner of model.errors
    """It did not come to a new version; the text says why, and which version runs now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    old: str
    new: str
    """The version that runs now."""


def order_of(version: str) -> Order:
    """Give by what versions are ordered. Errors: BadSettings, for what is no version of ours."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise BadSettings(f"{version!r} is no version; write it as 1.2.0")
    numbers = [int(number) for number in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), _STAGES[found[2]], int(found[3] or 0)


class Updates:
    """The verbs `run` and `recover`; only for administrators (NotAllowed)."""

    def __init__(self, host: VersionHost) -> None:
        self._host = host

    def run(self, actor: Actor, wanted: str = "", limit_s: float = 60.0) -> Outcome:
        """Update to a version, or to the newest; within `limit_s` it must be well.

        A newest that was not well here before is left alone; the outcome says which version runs.

        Errors: NotAllowed; UpdateFailed, and then the old version runs; BadSettings (no version, or an older one);
        TryAgainLater (another update runs).
        """
        actor.must_be_admin()
        host = self._host
        with host.alone():
            self._recover()
            old = host.current()
            if wanted and self._is_there(old, wanted):
                return Outcome(old, old)
            with _told(f"nothing was changed, and {old} goes on"):
                new = host.obtain(wanted)
                if self._is_there(old, new):
                    return Outcome(old, old)
                if not wanted and new == host.failed():
                    # Or a timer would stop the service each night, in vain.
                    host.say(f"{new} was not well here before, and {old} stays; to try it again, name it")
                    return Outcome(old, old)
                if not host.is_serving():
                    raise MachineFailed("the service does not run; start it first, so that it is known to work")
                host.say(f"from {old} to {new}")
                host.install(new)
                host.back_up(old)
            with _told(f"{new} cannot take over a copy of the data; nothing was changed, and {old} goes on"):
                try:
                    host.drill(new)
                except MachineFailed:
                    host.note_failed(new)
                    raise
            # From here on the way leads through, or back: one that ended in between would leave nobody running.
            with host.uninterrupted():
                self._cross(old, new, limit_s)
            host.note_failed("")
            host.prune(frozenset({old, new}))
            host.say(f"done: {new} runs")
            return Outcome(old, new)

    def recover(self, actor: Actor) -> bool:
        """Go back where an update was cut off; whether there was one. The service is left to whoever starts it.

        Errors: NotAllowed, UpdateFailed, TryAgainLater.
        """
        actor.must_be_admin()
        with self._host.alone():
            return self._recover(starts=False)

    @staticmethod
    def _is_there(old: str, new: str) -> bool:
        """Whether it is the version that runs. Errors: BadSettings, for an older one."""
        if order_of(new) == order_of(old):
            return True
        if order_of(new) < order_of(old):
            raise BadSettings(
                f"{new} is older than {old}, which runs: an older version cannot read what a newer one has written. "
                "To go back to a day, restore a backup of that day with the version of that day"
            )
        return False

    def _cross(self, old: str, new: str, limit_s: float) -> None:
        host = self._host
        host.say(f"{old} stops; this cannot be interrupted until {new} or {old} runs")
        try:
            host.stop_service()
            snapshot = host.back_up(old)
            host.note(Underway(old, new, snapshot))
        except MachineFailed as error:
            host.start_service()
            raise UpdateFailed(f"The last backup could not be made, and {old} runs again: {error}") from None
        try:
            host.say(f"{new} is tried where nobody reaches it")
            host.start_trial(new, limit_s)
            host.try_out(new, limit_s)
            host.end_trial()
            host.switch(new)
        except MachineFailed as error:
            host.say(f"{new} is not well: {error}")
            host.note_failed(new)
            self._go_back(Underway(old, new, snapshot))
            raise UpdateFailed(f"{new} was not well, and {old} runs again, with all mail: {error}") from None
        host.note(None)
        with _told(f"{new} was well in its trial, and does not start now; the data are its own"):
            host.start_service()

    def _recover(self, *, starts: bool = True) -> bool:
        underway = self._host.noted()
        if underway is None:
            return False
        self._host.say(f"an update to {underway.new} was cut off")
        with self._host.uninterrupted():
            self._go_back(underway, starts=starts)
        return True

    def _go_back(self, underway: Underway, *, starts: bool = True) -> None:
        host, old = self._host, underway.old
        host.say(f"everything goes back to {old}")
        with _told(f"the way back to {old} is not done: see the reason, then run `mailstead update --recover`; the "
                   f"backup is {underway.snapshot}, and what {underway.new} had is put aside"):  # fmt: skip
            host.end_trial()
            host.put_aside()
            host.restore(old, underway.snapshot)
            host.switch(old)
            host.note(None)
        if starts:
            with _told(f"{old} does not start on the data that came back"):
                host.start_service()
        host.remove_aside()


@contextmanager
def _told(meaning: str) -> Iterator[None]:
    """Let what the machine refuses be the end of the update, with what that means."""
    try:
        yield
    except MachineFailed as error:
        raise UpdateFailed(f"{meaning[0].upper()}{meaning[1:]}: {error}") from None
