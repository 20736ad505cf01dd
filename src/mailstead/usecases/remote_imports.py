"""Import from another provider over IMAP, as its owner sees it: look, begin, see how far it is, go on, cancel.

The work is done by `import_work`, in the background. The password is kept, encrypted, while the import has not ended
and no longer (and no longer than some days of a pause).

Spec: attack rows 37 (where we connect to), 61 (we are no tool for guessing others' passwords).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, Conflict, NoSuchImport, NotAllowed, RateLimited, SourceRefused
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import Mailbox, normal_name
from mailstead.model.people import ObjectId
from mailstead.model.remote_imports import ImportJob, ImportStatus, MailboxImport, RemoteMailbox, RemoteServer
from mailstead.model.secret import Secret
from mailstead.policy.remote_mailboxes import ALL, Place, covered, place_of, suggested
from mailstead.ports.clock import Clock
from mailstead.ports.remote_source import RemoteSession, RemoteSource
from mailstead.ports.storage import Storage
from mailstead.usecases.audit import Notes, Unnoted
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.passkeys import new_object_id

CHECKS_PER_HOUR: Final = 30
PASSWORD_KEPT: Final = timedelta(days=7)
"""Of an import that is paused."""
REPORT_KEPT: Final = timedelta(days=90)
NONCE_OCTETS: Final = 12
_CHECKS: Final = "import checks"


@dataclass(frozen=True, slots=True)
class Offered:
    """A mailbox that could be imported."""

    mailbox: RemoteMailbox
    target: str
    """Where it would go."""
    is_suggested: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What a log-in elsewhere has shown."""

    offered: tuple[Offered, ...]
    by_labels: bool
    """Mailboxes there are labels: who takes the one of all messages takes everything, each message once."""


class ImportSecrets:
    """Passwords at other providers under a key of the house, bound to their imports."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def seal(self, job_id: ObjectId, password: Secret) -> bytes:
        """Encrypt a password."""
        nonce = secrets.token_bytes(NONCE_OCTETS)
        return nonce + self._cipher.encrypt(nonce, password.reveal().encode(), job_id.encode())

    def open(self, job: ImportJob) -> Secret:
        """Give the password. Errors: SourceRefused, if there is none any more."""
        sealed = job.sealed_password
        try:
            if not sealed:
                raise InvalidTag
            octets = self._cipher.decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], job.job_id.encode())
        except (InvalidTag, ValueError):
            raise SourceRefused("The password at the other provider is needed again") from None
        return Secret(octets.decode())


class RemoteImports:
    """Verbs of an account's owner, or of who stands in for him. Errors of all: NotAllowed without account."""

    def __init__(
        self,
        storage: Storage,
        mailboxes: Mailboxes,
        source: RemoteSource,
        clock: Clock,
        import_secrets: ImportSecrets,
        audit: Notes | None = None,
    ) -> None:
        self._jobs = storage.import_jobs
        self._memory = storage.memory
        self._mailboxes = mailboxes
        self._source = source
        self._clock = clock
        self._secrets = import_secrets
        self._audit: Notes = audit or Unnoted()

    async def check(self, actor: Actor, server: RemoteServer, password: Secret) -> Checked:
        """Log in elsewhere and tell what is there, and where it would go.

        Errors: SourceRefused, SourceFailed, RateLimited; AccountLocked; of the store.
        """
        await self._count(actor)
        own = await self._mailboxes.of(actor).mailboxes()
        async with self._source.connect(server, password) as session:
            return await _checked(session, own, with_sizes=True)

    async def begin(
        self,
        actor: Actor,
        server: RemoteServer,
        password: Secret,
        chosen: Mapping[str, str] | None = None,
        *,
        lease: str = "",
        leased_until: datetime | None = None,
    ) -> ImportJob:
        """Begin an import, after a log-in that shows that it can be.

        `chosen`: names of mailboxes there, each with its target here (empty: as suggested); None: what is suggested.
        `lease`: whoever gives one does the work himself. With labels and the mailbox of all messages chosen, the others
        whose messages it holds are left out.
        Errors: as `check`; BadImport, for what is not there; BadMailboxName; Conflict, while one is under way.
        """
        account_id = _account_id(actor)
        there = await self._jobs.job(account_id)
        if there is not None and there.is_open:
            raise Conflict("An import is under way; cancel it first, or wait until it has ended")
        await self._count(actor)
        own = await self._mailboxes.of(actor).mailboxes()
        async with self._source.connect(server, password) as session:
            checked = await _checked(session, own, with_sizes=True)
        job_id, now = new_object_id(), self._clock.now()
        job = ImportJob(
            job_id=job_id,
            account_id=account_id,
            server=server,
            created_at=now,
            updated_at=now,
            mailboxes=_chosen(checked, chosen),
            by_labels=checked.by_labels,
            status=ImportStatus.RUNNING if lease else ImportStatus.WAITING,
            due_at=None if lease else now,
            sealed_password=self._secrets.seal(job_id, password),
        )
        await self._jobs.add(job, lease=lease, leased_until=leased_until)
        self._audit.note(actor, "import.begin", _object(actor), _domain(actor), host=server.host)
        return job

    async def status(self, actor: Actor) -> ImportJob:
        """Give the import that is under way, or the last one with its report. Errors: NoSuchImport."""
        job = await self._jobs.job(_account_id(actor))
        if job is None:
            raise NoSuchImport
        return job

    async def resume(self, actor: Actor, password: Secret | None = None) -> ImportJob:
        """Let an import that rests go on now; with a new password where that was the trouble.

        Errors: NoSuchImport; Conflict, for one that runs or has ended; SourceRefused, when the password is needed.
        """
        job = await self.status(actor)
        if password is None:
            self._secrets.open(job)
        sealed = None if password is None else self._secrets.seal(job.job_id, password)
        if not await self._jobs.set_waiting(job.job_id, self._clock.now(), sealed):
            raise Conflict("The import is running, or has ended")
        self._audit.note(actor, "import.resume", _object(actor), _domain(actor))
        return await self.status(actor)

    async def cancel(self, actor: Actor) -> ImportJob:
        """End an import; what has come stays, the password goes. Gives the report.

        Errors: NoSuchImport; Conflict, when it has ended already.
        """
        job = await self.status(actor)
        if not await self._jobs.cancel(job.job_id, self._clock.now()):
            raise Conflict("The import has ended")
        self._audit.note(actor, "import.cancel", _object(actor), _domain(actor))
        return await self.status(actor)

    async def dismiss(self, actor: Actor) -> None:
        """Throw the report of an ended import away. Errors: NoSuchImport; Conflict, while it has not ended."""
        job = await self.status(actor)
        if job.is_open:
            raise Conflict("The import has not ended")
        await self._jobs.remove(job.account_id)

    async def forget_old(self, now: datetime) -> int:
        """Remove passwords of long pauses, and old reports. A chore of housekeeping."""
        return await self._jobs.forget_old(now - PASSWORD_KEPT, now - REPORT_KEPT)

    async def _count(self, actor: Actor) -> None:
        """Count a log-in elsewhere. Errors: RateLimited."""
        account_id, now = _account_id(actor), self._clock.now()
        counts = await self._memory.count(_CHECKS, {account_id: 1}, now, now + timedelta(hours=1))
        if counts[account_id] > CHECKS_PER_HOUR:
            raise RateLimited("Too many log-ins at other providers; please wait an hour")


def target_of(place: Place, own: Sequence[Mailbox]) -> str:
    """Give the mailbox here that a place means: of that special use, whatever it is called, else by name."""
    if place.special_use is not None:
        for mailbox in own:
            if mailbox.special_use == place.special_use:
                return mailbox.name
    return place.name


async def _checked(session: RemoteSession, own: Sequence[Mailbox], *, with_sizes: bool) -> Checked:
    listed = await session.mailboxes(with_sizes=with_sizes)
    by_labels = session.has_labels
    wanted = suggested(((each.name, each.special_use) for each in listed), by_labels=by_labels)
    return Checked(
        tuple(
            Offered(each, target_of(place_of(each.levels, each.special_use), own), each.name in wanted)
            for each in listed
        ),
        by_labels,
    )


def _chosen(checked: Checked, chosen: Mapping[str, str] | None) -> tuple[MailboxImport, ...]:
    """Give the mailboxes of a new import, in the order of the list. Errors: BadImport, BadMailboxName."""
    offered = {each.mailbox.name: each for each in checked.offered}
    if chosen is None:
        chosen = {name: "" for name, each in offered.items() if each.is_suggested}
    for name in chosen:
        if name not in offered:
            raise BadImport(f"There is no mailbox {name[:100]} at the other provider")
    has_all = checked.by_labels and any(offered[name].mailbox.special_use == ALL for name in chosen)
    taken = tuple(
        MailboxImport(
            name=name,
            target=normal_name(chosen[name]) if chosen[name] else each.target,
            message_count=each.mailbox.message_count,
            size_octets=each.mailbox.size_octets,
            by_labels=checked.by_labels and each.mailbox.special_use == ALL,
        )
        for name, each in offered.items()
        if name in chosen and not (has_all and covered(each.mailbox.special_use))
    )
    if not taken:
        raise BadImport("No mailbox is chosen")
    return taken


def _account_id(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed
    return actor.account_id


def _object(actor: Actor) -> str:
    return str(actor.address or actor.account_id)


def _domain(actor: Actor) -> str:
    return actor.address.domain if actor.address is not None else ""
