"""Vacation by setting, without a script: kept as preferences of the account, run as the script that they stand for.

One engine answers in both ways, so what a script's ``vacation`` may not do, the setting cannot do either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused
from mailstead.ports.storage import AccountStore, Storage

SUBJECT_CHARACTERS_MAX: Final = 200
MESSAGE_OCTETS_MAX: Final = 16_384

_ENABLED: Final = "vacation.enabled"
_START: Final = "vacation.start"
_END: Final = "vacation.end"
_SUBJECT: Final = "vacation.subject"
_MESSAGE: Final = "vacation.message"


@dataclass(frozen=True, slots=True)
class Vacation:
    """What senders are told while somebody is away."""

    message: str
    subject: str = ""
    """Empty: ``Auto: `` and the subject of the message that is answered."""
    start: datetime | None = None
    """None: from now on."""
    end: datetime | None = None
    """None: until it is switched off."""

    def is_on(self, now: datetime) -> bool:
        """Whether it answers at that moment."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)

    def as_script(self) -> bytes:
        """Give the Sieve script that does the same. Spec: RFC 5230 §4."""
        subject = f":subject {_quoted(self.subject)} " if self.subject else ""
        return f'require "vacation";\r\nvacation {subject}{_quoted(self.message)};\r\n'.encode()


class Vacations:
    """What actors do with the vacation of their own account, and of no other."""

    def __init__(self, storage: Storage) -> None:
        self._accounts = storage.accounts

    async def get(self, actor: Actor) -> Vacation | None:
        """The vacation that is switched on, in its time or not; None: none is."""
        return vacation_of(await self._store(actor).preferences())

    async def set(self, actor: Actor, vacation: Vacation) -> None:
        """Switch a vacation on.

        Errors: PolicyRefused, for texts that are empty or too long, or an end before the start.
        """
        if not vacation.message.strip():
            raise PolicyRefused("The message is empty")
        await self.keep(actor, vacation, is_on=True)

    async def keep(self, actor: Actor, vacation: Vacation, *, is_on: bool) -> None:
        """Set the texts and times, whether they are switched on or kept for later. Errors: as `set`."""
        check_vacation(vacation, is_on=is_on)
        await self._store(actor).set_preferences(
            {
                _ENABLED: b"1" if is_on else None,
                _START: _moment_text(vacation.start),
                _END: _moment_text(vacation.end),
                _SUBJECT: vacation.subject.encode() or None,
                _MESSAGE: vacation.message.encode() or None,
            }
        )

    async def switch_off(self, actor: Actor) -> None:
        """Switch it off; the texts stay for the next time."""
        await self._store(actor).set_preferences({_ENABLED: None})

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)


def check_vacation(vacation: Vacation, *, is_on: bool) -> None:
    """Errors: PolicyRefused."""
    if is_on and not vacation.message.strip():
        raise PolicyRefused("The message is empty")
    if len(vacation.message.encode()) > MESSAGE_OCTETS_MAX:
        raise PolicyRefused(f"The message has at most {MESSAGE_OCTETS_MAX} octets")
    if len(vacation.subject) > SUBJECT_CHARACTERS_MAX or not vacation.subject.isprintable():
        raise PolicyRefused(f"The subject is one line of at most {SUBJECT_CHARACTERS_MAX} characters")
    if "\0" in vacation.message:
        raise PolicyRefused("The message has a NUL")
    if vacation.start and vacation.end and vacation.end <= vacation.start:
        raise PolicyRefused("The vacation ends before it starts")


def vacation_of(preferences: Mapping[str, bytes]) -> Vacation | None:
    """Read the vacation from an account's preferences; None: none is switched on."""
    if preferences.get(_ENABLED) != b"1":
        return None
    return kept_vacation(preferences) or Vacation("")


def kept_vacation(preferences: Mapping[str, bytes]) -> Vacation | None:
    """Read the vacation as it was set last, on or off; None: none ever was."""
    if not any(key in preferences for key in (_ENABLED, _START, _END, _SUBJECT, _MESSAGE)):
        return None
    return Vacation(
        preferences.get(_MESSAGE, b"").decode(),
        preferences.get(_SUBJECT, b"").decode(),
        _moment(preferences.get(_START)),
        _moment(preferences.get(_END)),
    )


def _moment_text(moment: datetime | None) -> bytes | None:
    return moment.astimezone(UTC).isoformat().encode() if moment else None


def _moment(text: bytes | None) -> datetime | None:
    return datetime.fromisoformat(text.decode()) if text else None


def _quoted(text: str) -> str:
    r"""Write a text as a string of Sieve; nothing in it can end it (attack row 60). Spec: RFC 5228 §2.4.2."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n") + '"'
