"""The certificates that the services show: whose they are, how long they are good, how the next one comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused
from mailstead.ports.clock import Clock
from mailstead.usecases.house_jobs import HouseJob, HouseJobs, Progress

RENEW: Final = "certificate"
"""Kind of the job."""
DAYS_SOON: Final = 14


class RenewedBy(StrEnum):
    """Who sees to it that there is a next one."""

    ACME = "acme"
    """This server orders it from an authority."""
    FILE = "file"
    """Whoever writes the file."""
    SELF = "self-signed"
    """This server makes it itself, at its start; programs do not trust it."""


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """A certificate in place."""

    file_name: str
    """Of the file without its folder."""
    names: tuple[str, ...]
    issuer: str
    is_self_signed: bool
    not_before: datetime
    not_after: datetime
    renewed_by: RenewedBy
    authority: str = ""
    """Whom it is ordered from: a host."""
    challenge: str = ""
    """How its names are proven, ``http-01`` …"""
    taken_at: datetime | None = None
    """When the file was written."""
    due_at: datetime | None = None
    """From when on the next one is ordered; None: not by us."""
    failed_at: datetime | None = None
    """When the last order failed; None: it has not."""
    failure: str = ""
    failure_count: int = 0
    """In a row."""
    again_at: datetime | None = None
    """When the next try is, after a failure."""

    def days_left(self, now: datetime) -> int:
        """Give whole days until it ends; below 0 when it has ended."""
        return (self.not_after - now).days


class CertificateFiles(Protocol):
    """What the machine has."""

    async def held(self) -> list[HeldCertificate]:
        """Give what is in place; a file that cannot be read is left out."""

    async def order(self) -> Mapping[str, Any]:
        """Order a new one now, and put it in place. Errors: MailsteadError, saying what to do."""


class CertificateCare:
    """All verbs are for administrators of the server (NotAllowed)."""

    def __init__(self, files: CertificateFiles, jobs: HouseJobs, clock: Clock) -> None:
        self._files = files
        self._jobs = jobs
        self._clock = clock

    async def look(self, actor: Actor) -> list[HeldCertificate]:
        """Give the certificates in place."""
        actor.must_be_admin()
        return await self._files.held()

    async def last_renewal(self, actor: Actor) -> HouseJob | None:
        """Give how the last order that somebody began went."""
        return await self._jobs.last(actor, RENEW)

    async def renew(self, actor: Actor, *, is_sure: bool = False) -> HouseJob | None:
        """Begin an order. None: the certificate is good for long, so it is to be asked whether that is meant.

        Errors: PolicyRefused, where no certificate is ordered here; Conflict, while other work is under way.
        """
        actor.must_be_admin()
        ordered = [each for each in await self._files.held() if each.renewed_by is RenewedBy.ACME]
        now = self._clock.now()  # after that, as what is due at once is due at the moment of the look
        if not ordered:
            raise PolicyRefused("No certificate is ordered here: acme.directory_url is empty, or a file is set")
        is_due = any(each.due_at is None or each.due_at <= now for each in ordered)
        if not (is_due or is_sure):
            return None

        async def work(_progress: Progress) -> Mapping[str, Any]:
            return await self._files.order()

        return await self._jobs.start(actor, RENEW, "", work)
