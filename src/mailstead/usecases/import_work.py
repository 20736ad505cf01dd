"""The work of imports from other providers: whichever worker takes one up does it until it ends, rests or is lost.

How far a mailbox is, is kept behind each batch that was stored. Between the two a worker may die: what the batch has
brought is then known by Message-ID and size (or octets), and comes once.

Spec: RFC 3501 §2.3.1.1 (UIDVALIDITY: another one, and the mailbox is gone through anew).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AccountLocked,
    LimitReached,
    MailboxExists,
    MailsteadError,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
    SourceFailed,
    SourceRefused,
    TryAgainLater,
)
from mailstead.model.ids import AccountId, Uid
from mailstead.model.mailbox import Mailbox
from mailstead.model.people import ObjectId
from mailstead.model.remote_imports import (
    ImportJob,
    ImportReason,
    ImportStatus,
    MailboxImport,
    NotTaken,
    RemoteMessage,
)
from mailstead.policy.remote_mailboxes import labelled
from mailstead.ports.changebus import ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.remote_source import RemoteSession, RemoteSource
from mailstead.ports.storage import AccountStore, Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.import_known import KnownMessages
from mailstead.usecases.imports import with_crlf
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.remote_imports import ImportSecrets, target_of

TOPIC: Final = AccountId("imports")
"""On which commits of the file of imports wake."""
AT_ONCE_MAX: Final = 2
"""Imports under way in one process."""
LOOK_S: Final = 15.0
"""How often what has become due is looked for, should nothing wake."""
LEASE: Final = timedelta(seconds=30)
"""So long an import rests when its process is killed."""
HOLD_S: Final = 8.0
WINDOW: Final = 200
"""Messages listed together."""
BATCH_COUNT: Final = 50
BATCH_OCTETS: Final = 4 * 1024 * 1024
FIRST_RETRY: Final = timedelta(seconds=30)
RETRY_MAX: Final = timedelta(hours=1)
FAILURES_MAX: Final = 12
"""Attempts in a row that got nowhere, over some seven hours; then the owner is asked."""
REST: Final = timedelta(minutes=5)
"""Until the next attempt, where something here stood in the way."""
PATIENCE: Final = timedelta(days=14)
"""Since the beginning: behind that, what stands in the way here is a question to the owner, too."""

_log = log.get("import")

Tell = Callable[[ImportJob], None]
"""Told how far an import is, after each step."""


class _Lost(Exception):
    """The lease is somebody else's, or the import was cancelled."""


@dataclass(slots=True)
class _Run:
    """What one attempt at an import carries with it."""

    job: ImportJob
    lease: str
    actor: Actor
    store: AccountStore
    tell: Tell
    own: Sequence[Mailbox] = ()
    known: dict[str, KnownMessages] = field(default_factory=dict)
    """By target; with labels one for the whole account, under the empty name."""
    has_advanced: bool = False


@dataclass(slots=True)
class _Batch:
    """What is settled of some messages in ascending order of UIDs, and not written down yet."""

    wanted: list[RemoteMessage] = field(default_factory=list)
    octets: int = 0
    duplicates: list[Uid] = field(default_factory=list)
    not_taken: list[NotTaken] = field(default_factory=list)
    imported: dict[Uid, int] = field(default_factory=dict)
    """Octets by UID."""


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A message that is fetched and goes in."""

    uid: Uid
    target: str
    draft: Draft
    message_id: str | None
    octets: bytes


class ImportWork:
    """One object per process; `run` works until it is told to stop."""

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        mailboxes: Mailboxes,
        source: RemoteSource,
        import_secrets: ImportSecrets,
        *,
        message_octets_max: int,
    ) -> None:
        self._directory = storage.directory
        self._jobs = storage.import_jobs
        self._bus = bus
        self._clock = clock
        self._mailboxes = mailboxes
        self._source = source
        self._secrets = import_secrets
        self._octets_max = message_octets_max
        self._tasks: dict[asyncio.Task[None], AccountId] = {}
        self._locked: dict[AccountId, float] = {}
        """Sealed accounts that are not open in this process, until when they are passed over."""

    async def run(self, stop: asyncio.Event) -> None:
        """Take up what is due; at the end give back what is under way."""
        wake = asyncio.Event()
        stopping = asyncio.create_task(stop.wait())
        try:
            with self._bus.watch(TOPIC, wake.set):
                while not stop.is_set():
                    wake.clear()
                    try:
                        await self.begin_what_is_due()
                    except MailsteadError as error:
                        _log.warning("imports cannot be read", error=error.public_text)
                    waking = asyncio.create_task(wake.wait())
                    await asyncio.wait(
                        {waking, stopping, *self._tasks}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    waking.cancel()
        finally:
            stopping.cancel()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def begin_what_is_due(self) -> int:
        """Begin as many as may run at once; gives how many. Errors: of the store."""
        now = self._clock.now()
        present_s = self._clock.monotonic_s()
        self._locked = {key: until_s for key, until_s in self._locked.items() if until_s > present_s}
        free = AT_ONCE_MAX - len(self._tasks)
        if free <= 0:
            return 0
        lease = secrets.token_hex(8)
        jobs = await self._jobs.lease(now, now + LEASE, lease, free, list(self._locked))
        for job in jobs:
            task = asyncio.create_task(self.work(job, lease))
            self._tasks[task] = job.account_id
            task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return len(jobs)

    async def settle(self) -> None:
        """Wait until what is under way has ended or rests."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def work(self, job: ImportJob, lease: str, tell: Tell | None = None) -> None:
        """Work on a leased import until it ends, rests, or is lost. What goes wrong is told in the import."""
        working = asyncio.create_task(self._attempt(job, lease, tell or (lambda _: None)))
        holding = asyncio.create_task(self._hold(job.job_id, lease))
        try:
            await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            was_done = working.done()
            for task in (working, holding):
                task.cancel()
            done, _ = await asyncio.gather(working, holding, return_exceptions=True)
            if isinstance(done, Exception):  # not even that could be written down: the lease runs out
                _log.warning("an import cannot be given back", account_id=job.account_id, cause=repr(done))
            if not was_done:  # told to stop, or lost: where it is lost, this changes nothing
                now = self._clock.now()
                await self._jobs.let_go(job.job_id, lease, now, ImportStatus.WAITING, due_at=now)

    async def _hold(self, job_id: ObjectId, lease: str) -> None:
        """Keep the lease; ends when it is lost. A cancelled import wakes."""
        wake = asyncio.Event()
        with self._bus.watch(TOPIC, wake.set):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HOLD_S):
                        await wake.wait()
                wake.clear()
                try:
                    if not await self._jobs.hold(job_id, lease, self._clock.now() + LEASE):
                        return
                except MailsteadError as error:
                    _log.warning("a lease cannot be kept", error=error.public_text)

    async def _attempt(self, job: ImportJob, lease: str, tell: Tell) -> None:
        account = await self._directory.account(job.account_id)
        if account is None:
            await self._jobs.remove(job.account_id)
            return
        actor = Actor(account.account_id, account.address, label="import")
        run = _Run(job, lease, actor, self._mailboxes.of(actor), tell)
        try:
            await self._import(run)
        except _Lost:
            return
        except OverQuota as error:
            await self._rest(run, ImportStatus.PAUSED, ImportReason.QUOTA, error.public_text)
        except SourceRefused as error:
            await self._rest(run, ImportStatus.PAUSED, ImportReason.REFUSED, error.public_text)
        except SourceFailed as error:
            await self._failed(run, ImportReason.UNREACHABLE, error.public_text)
        except AccountLocked as error:
            self._locked[job.account_id] = self._clock.monotonic_s() + REST.total_seconds()
            await self._hindered(run, ImportReason.LOCKED, error.public_text)
        except NoSuchAccount:
            await self._jobs.remove(job.account_id)
        except TryAgainLater as error:
            await self._hindered(run, ImportReason.HOUSE, error.public_text)
        except MailsteadError as error:
            await self._rest(run, ImportStatus.PAUSED, ImportReason.HOUSE, error.public_text)
        except Exception as error:  # noqa: BLE001 - the frontier: a bug rests this import, not the others
            metrics.BUGS.labels("import").inc()
            _log.exception("an import failed", account_id=job.account_id, exc_info=error)
            await self._failed(run, ImportReason.HOUSE, "Something went wrong here; the log says what")
        else:
            if await self._jobs.let_go(job.job_id, lease, self._clock.now(), ImportStatus.DONE):
                _log.info("an import is done", account_id=job.account_id, count=run.job.imported_count)
        if (told := await self._jobs.job(job.account_id)) is not None:
            tell(told)

    async def _failed(self, run: _Run, reason: ImportReason, text: str) -> None:
        """Try again later and later, then ask the owner."""
        count = 1 if run.has_advanced else run.job.failure_count + 1
        if count >= FAILURES_MAX:
            await self._rest(run, ImportStatus.PAUSED, reason, text)
            return
        delay = min(FIRST_RETRY * 2 ** (count - 1), RETRY_MAX)
        await self._rest(run, ImportStatus.WAITING, reason, text, delay, has_failed=True)

    async def _hindered(self, run: _Run, reason: ImportReason, text: str) -> None:
        """Wait for what stands in the way here to pass; not for ever, as the password is kept meanwhile."""
        is_patient = self._clock.now() - run.job.created_at < PATIENCE
        await self._rest(run, ImportStatus.WAITING if is_patient else ImportStatus.PAUSED, reason, text)

    async def _rest(
        self,
        run: _Run,
        status: ImportStatus,
        reason: ImportReason,
        text: str,
        delay: timedelta = REST,
        *,
        has_failed: bool = False,
    ) -> None:
        now = self._clock.now()
        due_at = now + delay if status is ImportStatus.WAITING else None
        await self._jobs.let_go(
            run.job.job_id, run.lease, now, status, reason=reason, text=text, due_at=due_at, has_failed=has_failed
        )
        _log.info("an import rests", account_id=run.job.account_id, status=status.value, reason=reason.value)

    # one attempt

    async def _import(self, run: _Run) -> None:
        run.own = await run.store.mailboxes()  # a locked account is found before anybody is asked
        async with self._source.connect(run.job.server, self._secrets.open(run.job)) as session:
            for mailbox in run.job.mailboxes:
                if not mailbox.is_done:
                    await self._mailbox(run, session, mailbox)

    async def _mailbox(self, run: _Run, session: RemoteSession, mailbox: MailboxImport) -> None:
        try:
            opened = await session.open(mailbox.name)
        except NoSuchMailbox:
            gone = NotTaken(mailbox.name, None, None, "The mailbox is not there any more")
            await self._advance(run, replace(mailbox, is_done=True), [gone])
            return
        if mailbox.uidvalidity != opened.uidvalidity:
            # What came before is found by its Message-ID; it is told as there already.
            mailbox = replace(
                mailbox,
                uidvalidity=opened.uidvalidity,
                last_uid=Uid(0),
                imported_count=0,
                imported_octets=0,
                duplicate_count=0,
                not_taken_count=0,
            )
        mailbox = replace(mailbox, message_count=max(opened.message_count, mailbox.settled_count))
        while window := await session.listing(mailbox.last_uid, WINDOW):
            batch = _Batch()
            for message in window:
                await self._look_at(run, mailbox, message, batch)
                if len(batch.wanted) >= BATCH_COUNT or batch.octets >= BATCH_OCTETS:
                    mailbox = await self._settle(run, session, mailbox, batch, message.uid)
                    batch = _Batch()
            if window[-1].uid > mailbox.last_uid:
                mailbox = await self._settle(run, session, mailbox, batch, window[-1].uid)
        # Some went there while it was gone through: the number of the beginning would never be reached.
        await self._advance(run, replace(mailbox, is_done=True, message_count=mailbox.settled_count), [])

    async def _look_at(self, run: _Run, mailbox: MailboxImport, message: RemoteMessage, batch: _Batch) -> None:
        """Decide by what is listed, before anything is fetched."""
        if message.size_octets > self._octets_max:
            batch.not_taken.append(_not_taken(mailbox, message, self._too_large))
        elif (await self._known(run, self._target(run, mailbox, message))).has(message.message_id, message.size_octets):
            batch.duplicates.append(message.uid)
        else:
            batch.wanted.append(message)
            batch.octets += message.size_octets

    async def _settle(
        self, run: _Run, session: RemoteSession, mailbox: MailboxImport, batch: _Batch, last_uid: Uid
    ) -> MailboxImport:
        """Fetch and store what is wanted, and write down how far it is. Errors: OverQuota, behind that."""
        try:
            if batch.wanted:
                await self._bring(run, session, mailbox, batch)
        except OverQuota:
            # Up to the first that is missing all is settled; what came behind it will be found as there already.
            missing = {each.uid for each in batch.wanted} - set(batch.imported) - set(batch.duplicates)
            missing -= {each.uid for each in batch.not_taken if each.uid is not None}
            settled_to = Uid(min(missing) - 1)
            if settled_to > mailbox.last_uid:
                await self._advance(run, _counted(mailbox, batch, settled_to), batch.not_taken)
            raise
        mailbox = _counted(mailbox, batch, last_uid)
        await self._advance(run, mailbox, batch.not_taken)
        return mailbox

    async def _bring(self, run: _Run, session: RemoteSession, mailbox: MailboxImport, batch: _Batch) -> None:
        staging = self._mailboxes.staging
        staging.take(batch.octets)
        try:
            incoming = await self._fetched(run, session, mailbox, batch)
            by_target: dict[str, list[_Incoming]] = {}
            for each in incoming:
                by_target.setdefault(each.target, []).append(each)
            try:
                for target, some in by_target.items():
                    await self._store(run, target, some, batch)
            except OverQuota:
                # As much as there is room for, from the first on.
                for each in incoming:
                    if each.uid not in batch.imported:
                        await self._store(run, each.target, [each], batch)
        finally:
            staging.give_back(batch.octets)

    async def _fetched(
        self, run: _Run, session: RemoteSession, mailbox: MailboxImport, batch: _Batch
    ) -> list[_Incoming]:
        """Fetch what is wanted; what is not taken after all is noted."""
        got = await session.octets(batch.wanted)
        incoming: list[_Incoming] = []
        twice: set[tuple[str, str | None, int | bytes]] = set()
        for message in batch.wanted:
            octets = got.get(message.uid, b"")
            if octets is None:
                batch.not_taken.append(_not_taken(mailbox, message, self._too_large))
                continue
            if not octets:
                reason = "It is empty" if message.uid in got else "The other server did not give it"
                batch.not_taken.append(_not_taken(mailbox, message, reason))
                continue
            octets = with_crlf(octets)
            target = self._target(run, mailbox, message)
            known = await self._known(run, target)
            message_id = message.message_id
            key = ("" if run.job.by_labels else target, message_id, len(octets) if message_id else octets)
            is_known = known.has(message_id, len(octets)) if message_id else await known.has_octets(octets)
            if is_known or key in twice:
                batch.duplicates.append(message.uid)
                continue
            twice.add(key)
            flags = message.flags
            if message.labels:
                flags |= labelled(message.labels).flags
            incoming.append(
                _Incoming(message.uid, target, Draft(octets, flags, message.internaldate), message_id, octets)
            )
        return incoming

    async def _store(self, run: _Run, target: str, incoming: Sequence[_Incoming], batch: _Batch) -> None:
        drafts = [each.draft for each in incoming]
        try:
            await self._append(run, target, drafts)
        except LimitReached:  # of keywords: mail is worth more than they are
            plain = [replace(draft, flags=frozenset(f for f in draft.flags if f[0] == "\\")) for draft in drafts]
            await self._append(run, target, plain)
        known = await self._known(run, target)
        for each in incoming:
            known.add(each.message_id, each.octets)
            batch.imported[each.uid] = len(each.octets)

    async def _append(self, run: _Run, target: str, drafts: Sequence[Draft]) -> None:
        try:
            await self._mailboxes.append(run.actor, target, drafts)
        except NoSuchMailbox:
            with contextlib.suppress(MailboxExists):  # somebody else was faster
                await run.store.create_mailbox(target)
                await run.store.subscribe(target, is_subscribed=True)
            await self._mailboxes.append(run.actor, target, drafts)

    async def _advance(self, run: _Run, mailbox: MailboxImport, not_taken: Sequence[NotTaken]) -> None:
        now = self._clock.now()
        some = sorted(
            (each for each in not_taken if each.uid is None or each.uid <= mailbox.last_uid),
            key=lambda each: each.uid or 0,
        )
        if not await self._jobs.advance(run.job.job_id, run.lease, now, mailbox, some):
            raise _Lost
        run.has_advanced = True
        mailboxes = tuple(mailbox if each.name == mailbox.name else each for each in run.job.mailboxes)
        run.job = replace(run.job, mailboxes=mailboxes, updated_at=now, not_taken=(*run.job.not_taken, *some))
        run.tell(run.job)

    async def _known(self, run: _Run, target: str) -> KnownMessages:
        """Give what the target holds, with labels the whole account: there a message is in one place only."""
        key = "" if run.job.by_labels else target
        known = run.known.get(key)
        if known is None:
            known = run.known[key] = KnownMessages(run.store)
            names = [each.name for each in run.own if each.is_selectable] if run.job.by_labels else [target]
            await known.read(names)
        return known

    def _target(self, run: _Run, mailbox: MailboxImport, message: RemoteMessage) -> str:
        """Give where a message goes."""
        return target_of(labelled(message.labels).place, run.own) if mailbox.by_labels else mailbox.target

    @property
    def _too_large(self) -> str:
        return f"It is larger than {self._octets_max} octets (smtp.message_octets_max)"


def _counted(mailbox: MailboxImport, batch: _Batch, last_uid: Uid) -> MailboxImport:
    """Give how far a mailbox is with what is settled of a batch up to a UID."""
    imported = [octets for uid, octets in batch.imported.items() if uid <= last_uid]
    mailbox = replace(
        mailbox,
        last_uid=last_uid,
        imported_count=mailbox.imported_count + len(imported),
        imported_octets=mailbox.imported_octets + sum(imported),
        duplicate_count=mailbox.duplicate_count + sum(uid <= last_uid for uid in batch.duplicates),
        not_taken_count=mailbox.not_taken_count
        + sum(each.uid is not None and each.uid <= last_uid for each in batch.not_taken),
    )
    return replace(mailbox, message_count=max(mailbox.message_count, mailbox.settled_count))


def _not_taken(mailbox: MailboxImport, message: RemoteMessage, reason: str) -> NotTaken:
    return NotTaken(mailbox.name, message.uid, message.seqnum, reason)
