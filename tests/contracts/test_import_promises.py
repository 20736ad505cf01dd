"""The port of imports from other providers: one for each account, leases, and passwords that do not stay."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.errors import Conflict
from mailstead.model.ids import AccountId, Uid, UidValidity
from mailstead.model.people import ObjectId
from mailstead.model.remote_imports import (
    ImportJob,
    ImportReason,
    ImportStatus,
    MailboxImport,
    NotTaken,
    RemoteSecurity,
    RemoteServer,
)
from mailstead.storage.embedded import import_jobs

MINUTE = timedelta(minutes=1)
ALICE, BOB = AccountId("a" * 16), AccountId("b" * 16)
FIRST = ObjectId("1" * 24)
SERVER = RemoteServer("imap.example.net", "alice@example.net", RemoteSecurity.STARTTLS, 1143)
MAILBOXES = (MailboxImport("INBOX", "INBOX", 3, 3000), MailboxImport("Sent Items", "Sent", 2, by_labels=True))


@pytest.fixture
def jobs(storage):
    return storage.import_jobs


@pytest.fixture
def now(house):
    return house.clock.now()


@pytest.fixture
def job(now):
    return ImportJob(
        FIRST, ALICE, SERVER, now, now, MAILBOXES, by_labels=True, due_at=now, sealed_password=b"sealed"
    )  # fmt: skip


async def leased(jobs, now, lease="w1", limit=5, passed_over=()):
    return await jobs.lease(now, now + MINUTE, lease, limit, passed_over)


async def test_what_was_added_comes_back_whole_and_after_a_restart(house, jobs, job):
    assert await jobs.job(ALICE) is None
    await jobs.add(job)
    assert await jobs.job(ALICE) == job
    await house.opened[-1].close()
    house.opened.pop()
    assert await (await house.open()).import_jobs.job(ALICE) == job


async def test_of_two_begun_at_once_one_wins_and_an_ended_one_makes_room(jobs, job, now):
    other = replace(job, job_id=ObjectId("2" * 24))
    results = await asyncio.gather(jobs.add(job), jobs.add(other), return_exceptions=True)
    assert sorted(type(each) for each in results if each is not None) == [Conflict]
    there = await jobs.job(ALICE)
    await jobs.add(replace(job, account_id=BOB, job_id=ObjectId("3" * 24)))
    assert await jobs.cancel(there.job_id, now)
    third = replace(job, job_id=ObjectId("4" * 24), mailboxes=MAILBOXES[:1])
    await jobs.add(third)
    assert await jobs.job(ALICE) == third


async def test_a_lease_is_one_workers_until_it_runs_out(jobs, job, now):
    await jobs.add(job)
    assert await leased(jobs, now, passed_over=[ALICE]) == []
    [taken] = await leased(jobs, now)
    assert (taken.job_id, taken.status, taken.sealed_password) == (FIRST, ImportStatus.RUNNING, b"sealed")
    assert await leased(jobs, now, "w2") == []
    assert await jobs.hold(FIRST, "w1", now + 3 * MINUTE)
    assert await leased(jobs, now + 2 * MINUTE, "w2") == []
    later = now + 3 * MINUTE
    assert [each.job_id for each in await leased(jobs, later, "w2")] == [FIRST]
    assert not await jobs.hold(FIRST, "w1", later + MINUTE)
    assert not await jobs.advance(FIRST, "w1", later, MAILBOXES[0], ())
    assert not await jobs.let_go(FIRST, "w1", later, ImportStatus.DONE)
    assert await jobs.let_go(FIRST, "w2", later, ImportStatus.DONE)


async def test_an_import_begun_with_a_lease_is_nobody_elses(jobs, job, now):
    running = replace(job, status=ImportStatus.RUNNING, due_at=None)
    await jobs.add(running, lease="mine", leased_until=now + MINUTE)
    assert await leased(jobs, now) == []
    assert await jobs.advance(FIRST, "mine", now, MAILBOXES[0], ())
    assert len(await leased(jobs, now + MINUTE)) == 1


async def test_how_far_it_is_is_kept_and_only_the_first_that_were_not_taken(jobs, job, now, monkeypatch):
    monkeypatch.setattr(import_jobs, "NOT_TAKEN_MAX", 2)
    await jobs.add(job)
    await leased(jobs, now)
    inbox = replace(
        MAILBOXES[0], uidvalidity=UidValidity(7), last_uid=Uid(12), imported_count=1, imported_octets=500,
        duplicate_count=1, not_taken_count=1, is_done=True,
    )  # fmt: skip
    lost = [NotTaken("INBOX", Uid(number), number, "It is empty") for number in (3, 4, 5)]
    assert await jobs.advance(FIRST, "w1", now, inbox, lost[:1])
    assert await jobs.advance(FIRST, "w1", now, inbox, lost[1:])
    kept = await jobs.job(ALICE)
    assert kept.mailboxes == (inbox, MAILBOXES[1])
    assert kept.not_taken == tuple(lost[:2])
    assert (kept.settled_count, kept.message_count, kept.current, kept.size_octets) == (3, 5, "Sent Items", None)


async def test_a_failure_waits_and_counts_until_something_comes_of_it(jobs, job, now):
    await jobs.add(job)
    await leased(jobs, now)
    due_at = now + 5 * MINUTE
    back = {"reason": ImportReason.UNREACHABLE, "text": "It does not answer", "due_at": due_at, "has_failed": True}
    assert await jobs.let_go(FIRST, "w1", now, ImportStatus.WAITING, **back)
    waiting = await jobs.job(ALICE)
    assert (waiting.failure_count, waiting.due_at, waiting.text) == (1, due_at, "It does not answer")
    assert await leased(jobs, due_at - MINUTE) == []
    assert len(await leased(jobs, due_at)) == 1
    assert await jobs.advance(FIRST, "w1", due_at, MAILBOXES[0], ())
    assert (await jobs.job(ALICE)).failure_count == 0


@pytest.mark.parametrize("way", ["done", "cancelled"])
async def test_the_password_goes_when_an_import_ends(jobs, job, now, way):
    await jobs.add(job)
    await leased(jobs, now)
    if way == "done":
        assert await jobs.let_go(FIRST, "w1", now, ImportStatus.DONE)
    else:
        assert await jobs.cancel(FIRST, now)
    ended = await jobs.job(ALICE)
    assert (ended.status, ended.sealed_password, ended.ended_at) == (ImportStatus(way), b"", now)
    assert not await jobs.cancel(FIRST, now)
    assert not await jobs.set_waiting(FIRST, now)
    assert not await jobs.hold(FIRST, "w1", now + MINUTE)


async def test_a_paused_import_goes_on_with_its_password_or_another(jobs, job, now):
    await jobs.add(job)
    await leased(jobs, now)
    assert not await jobs.set_waiting(FIRST, now)  # it runs
    assert await jobs.let_go(FIRST, "w1", now, ImportStatus.PAUSED, reason=ImportReason.QUOTA, text="Full")
    assert await leased(jobs, now + 60 * MINUTE) == []
    assert await jobs.set_waiting(FIRST, now)
    [again] = await leased(jobs, now)
    assert (again.sealed_password, again.reason) == (b"sealed", ImportReason.NONE)
    assert await jobs.let_go(FIRST, "w1", now, ImportStatus.PAUSED, reason=ImportReason.REFUSED)
    assert await jobs.set_waiting(FIRST, now, b"another")
    assert (await jobs.job(ALICE)).sealed_password == b"another"


async def test_old_passwords_and_old_reports_are_forgotten(jobs, job, now):
    await jobs.add(job)
    await jobs.add(replace(job, account_id=BOB, job_id=ObjectId("2" * 24)))
    await leased(jobs, now)
    await jobs.let_go(FIRST, "w1", now, ImportStatus.PAUSED)
    await jobs.let_go(ObjectId("2" * 24), "w1", now, ImportStatus.DONE)
    assert await jobs.forget_old(now, now) == 0
    assert await jobs.forget_old(now + MINUTE, now + MINUTE) == 2
    assert (await jobs.job(ALICE)).sealed_password == b""
    assert await jobs.job(BOB) is None
    await jobs.remove(ALICE)
    assert await jobs.job(ALICE) is None
