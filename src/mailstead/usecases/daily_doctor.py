"""The doctor's daily round: what differs from before, once two runs agree, is told to the postmaster.

Of each thing it is remembered how it was in the last run, and what was told of it. A thing that is in the same new
state in two runs is told; what comes and goes is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from mailstead.model.address import Address
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.envelope import Actor
from mailstead.policy.names import POSTMASTER
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.doctor import Doctor
from mailstead.usecases.house_mail import HouseMail
from mailstead.usecases.routes import Routes
from mailstead.usecases.sealing import Sealing

_log = log.get("doctor")

EVERY: Final = timedelta(hours=23, minutes=50)
"""A little less than a day, so that it stays at its hour."""
KEPT: Final = timedelta(days=30)
_KIND: Final = "doctor"


class _Seen(msgspec.Struct, frozen=True):
    """What is remembered of one thing."""

    last: Health
    told: Health


@dataclass(frozen=True, slots=True)
class Difference:
    """A thing that is no longer as it was told."""

    before: Health
    now: Diagnosis


class DailyDoctor:
    """Goes round, compares, tells."""

    def __init__(
        self, storage: Storage, clock: Clock, doctor: Doctor, routes: Routes, sealing: Sealing, *, hostname: str
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._doctor = doctor
        self._mail = HouseMail(storage, routes, sealing, clock, hostname=hostname)

    async def go_round(self, actor: Actor, now: datetime) -> list[Difference]:
        """Do it if it is time; a chore of housekeeping, which comes more often. A new house is first set up."""
        memory = self._storage.memory
        if await memory.remember_first("turn", "doctor begun", b"", now, now + KEPT) is None:
            return []
        if await memory.remember_first("turn", _KIND, b"", now, now + EVERY) is not None:
            return []
        return await self.compare_now(actor)

    async def compare_now(
        self, actor: Actor, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> list[Difference]:
        """Look at everything, whatever the time, and compare."""
        return await self.compare(actor, await self._doctor.examine(actor, progress=progress))

    async def compare(self, actor: Actor, found: Sequence[Diagnosis]) -> list[Difference]:
        """Compare a run with those before, and tell what differs now for the second time: in the log and by mail.

        What was never told counts as good, so the first two runs tell what is wrong.
        """
        actor.must_be_admin()
        memory, now = self._storage.memory, self._clock.now()
        before = {
            key: msgspec.json.decode(value, type=_Seen) for key, value in (await memory.recall_all(_KIND, now)).items()
        }
        differences: list[Difference] = []
        seen: dict[str, bytes] = {}
        for diagnosis in found:
            earlier = before.get(diagnosis.key)
            told = earlier.told if earlier else Health.OK
            status = Health.OK if diagnosis.status is Health.SKIPPED else diagnosis.status
            if earlier and earlier.last is status is not told:
                differences.append(Difference(told, diagnosis))
                told = status
            seen[diagnosis.key] = msgspec.json.encode(_Seen(status, told))
        await memory.remember(_KIND, seen, now + KEPT)
        await memory.forget(_KIND, sorted(before.keys() - seen.keys()))
        await self._tell(differences)
        return differences

    async def _tell(self, differences: Sequence[Difference]) -> None:
        for each in differences:
            _log.warning(
                "the doctor has found a difference",
                thing=each.now.key,
                before=each.before.value,
                now=each.now.status.value,
                found=each.now.found,
                advice=each.now.advice,
            )
        domains = await self._storage.directory.domains()
        if not differences or not domains:
            return
        domain = domains[0].name
        worst = any(each.now.status is Health.ERROR for each in differences)
        what = f"{'problem' if worst else 'change'}{'s' * (len(differences) > 1)}"
        subject = f"{self._mail.hostname}: {len(differences)} {what}"
        await self._mail.send(domain, Address(POSTMASTER, domain), subject, text_of(differences))


def text_of(differences: Sequence[Difference]) -> str:
    """Give the differences for people."""
    blocks = []
    for each in differences:
        now = each.now
        lines = [f"{now.key}: was {each.before}, is {now.status}", f"  found     {now.found}"]
        lines += [f"  expected  {now.expected}"] if now.expected else []
        lines += [f"  to do     {now.advice}"] if now.advice else []
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n\nEverything again: mailstead doctor\n"
