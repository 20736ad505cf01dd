"""Moving in from another provider over IMAP: nothing is lost, nothing comes twice, whatever happens on the way."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    BadImport,
    Conflict,
    NoSuchImport,
    NotAllowed,
    RateLimited,
    SourceFailed,
    SourceRefused,
)
from mailstead.model.remote_imports import ImportReason, ImportStatus, RemoteMessage
from mailstead.model.secret import Secret
from mailstead.policy.label_names import keyword_of
from mailstead.usecases import import_work, remote_imports
from mailstead.usecases.sealed_accounts import SealedAccounts
from services.smtp.smtp_house import ADMIN, PASSWORD
from usecases.moving_in import ALICE, mail, moving_in, source_of

CLIENT = Peer("192.0.2.1", 50000, 2993, tls_version="TLSv1.3")


@pytest.fixture
async def moving(tmp_path):
    async with moving_in(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Windows and batches of few messages, so that few messages make several."""
    monkeypatch.setattr(import_work, "WINDOW", 7)
    monkeypatch.setattr(import_work, "BATCH_COUNT", 3)


async def fill(moving):
    await moving.fill("INBOX", *(mail(number, "\\Seen", "$Work") for number in range(1, 18)))
    await moving.fill("Sent", mail(30, "\\Answered", "\\Seen"))
    await moving.fill("Projekte/Größe & Co", mail(40), mail(41, message_id=False))
    await moving.fill("Trash", mail(50))


def octets_of(held):
    return {name: sorted(octets for octets, _, _ in messages) for name, messages in held.items()}


async def test_a_look_tells_what_is_there_and_where_it_would_go(moving):
    await fill(moving)
    checked = await moving.imports.check(moving.alice, moving.server, Secret(PASSWORD))
    assert not checked.by_labels
    found = {
        each.mailbox.name: (each.mailbox.message_count, each.target, each.is_suggested) for each in checked.offered
    }
    assert found == {
        "INBOX": (17, "INBOX", True),
        "Archive": (0, "Archive", True),
        "Drafts": (0, "Drafts", True),
        "Junk": (0, "Junk", False),
        "Projekte": (0, "Projekte", True),
        "Projekte/Größe & Co": (2, "Projekte/Größe & Co", True),
        "Sent": (1, "Sent", True),
        "Trash": (1, "Trash", False),
    }
    sizes = {each.mailbox.name: each.mailbox.size_octets for each in checked.offered}
    assert sizes["Sent"] == len(mail(30).octets)
    with pytest.raises(NoSuchImport):
        await moving.imports.status(moving.alice)


async def test_all_that_is_suggested_comes_with_flags_and_dates(moving):
    await fill(moving)
    begun = await moving.begin()
    assert (begun.status, begun.message_count) == (ImportStatus.WAITING, 20)
    told = []
    [job] = await moving.house.storage.import_jobs.lease(
        moving.clock.now(), moving.clock.now() + timedelta(minutes=1), "mine", 1
    )
    await moving.work.work(job, "mine", told.append)
    there = await moving.held(moving.bob)
    trash = there.pop("Trash")
    assert len(trash) == 1
    assert await moving.held() == there
    done = await moving.imports.status(moving.alice)
    assert (done.status, done.imported_count, done.settled_count, done.message_count) == (ImportStatus.DONE, 20, 20, 20)
    assert done.imported_octets == sum(len(octets) for messages in there.values() for octets, _, _ in messages)
    assert (done.duplicate_count, done.not_taken_count, done.current, done.sealed_password) == (0, 0, "", b"")
    counts = [each.settled_count for each in told]
    assert counts == sorted(counts)
    assert len(set(counts)) >= 8
    # Nothing there was touched.
    assert "\\Seen" not in {
        flag for _, flags, _ in (await moving.held(moving.bob))["Projekte/Größe & Co"] for flag in flags
    }


async def test_a_second_import_brings_only_what_is_new(moving):
    await fill(moving)
    await moving.begin()
    await moving.run()
    await moving.fill("INBOX", mail(90), mail(91, message_id=False))
    await moving.begin()
    done = await moving.run()
    assert (done.status, done.imported_count, done.duplicate_count) == (ImportStatus.DONE, 2, 20)
    there = await moving.held(moving.bob)
    del there["Trash"]
    assert octets_of(await moving.held()) == octets_of(there)


async def test_the_same_message_twice_in_a_mailbox_comes_once_and_in_two_mailboxes_twice(moving):
    await moving.fill("INBOX", mail(1), mail(1), mail(2, message_id=False), mail(2, message_id=False))
    await moving.fill("Sent", mail(1))
    await moving.begin()
    done = await moving.run()
    assert (done.imported_count, done.duplicate_count) == (3, 2)
    assert {name: len(messages) for name, messages in (await moving.held()).items()} == {"INBOX": 2, "Sent": 1}


async def test_chosen_mailboxes_go_where_they_are_sent(moving):
    await fill(moving)
    job = await moving.begin({"Sent": "Old/Sent", "Trash": ""})
    assert [(each.name, each.target) for each in job.mailboxes] == [("Sent", "Old/Sent"), ("Trash", "Trash")]
    await moving.run()
    assert {name: len(messages) for name, messages in (await moving.held()).items()} == {"Old/Sent": 1, "Trash": 1}
    with pytest.raises(BadImport):
        await moving.begin({"Nowhere": ""})
    with pytest.raises(BadImport):
        await moving.begin({})


@pytest.mark.parametrize(("step", "stored_count"), [(1, 0), (3, 3), (4, 3), (5, 1), (9, 3), (10, 0), (12, 2)])
async def test_a_worker_that_dies_between_storing_and_writing_down_loses_and_doubles_nothing(
    moving, step, stored_count, monkeypatch
):
    """A process that is killed runs nothing more: no lease is given back, and what was stored is not written down.

    Steps 1, 2 and 11 are of empty mailboxes, 3 to 9 the batches of INBOX, 10 its end.
    """
    await fill(moving)
    await moving.begin()
    jobs = moving.house.storage.import_jobs
    now = moving.clock.now()
    [job] = await jobs.lease(now, now + import_work.LEASE, "dying", 1)
    died = asyncio.Event()
    advance, count = type(jobs).advance, 0

    async def advance_or_die(self, job_id, lease, *rest):
        nonlocal count
        if lease == "dying":
            count += 1
            if count == step:
                died.set()
                await asyncio.Event().wait()
        return await advance(self, job_id, lease, *rest)

    async def let_go(self, *_args, **_options):
        return True

    with monkeypatch.context() as dying:
        dying.setattr(type(jobs), "advance", advance_or_die)
        dying.setattr(type(jobs), "let_go", let_go)
        task = asyncio.create_task(moving.work.work(job, "dying"))
        await died.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    worker = moving.other_worker()
    assert await worker.begin_what_is_due() == 0
    moving.clock.advance(seconds=import_work.LEASE.total_seconds())
    assert await worker.begin_what_is_due() == 1
    await worker.settle()
    done = await moving.imports.status(moving.alice)
    assert (done.status, done.settled_count, done.duplicate_count) == (ImportStatus.DONE, 20, stored_count)
    there = await moving.held(moving.bob)
    del there["Trash"]
    assert await moving.held() == there


async def test_a_worker_that_is_told_to_stop_gives_it_back_at_once(moving, monkeypatch):
    await fill(moving)
    await moving.begin()
    stop, begun = asyncio.Event(), asyncio.Event()
    octets = type(source_of(moving)).connect

    @contextlib.asynccontextmanager
    async def slow(self, server, password):
        async with octets(self, server, password) as session:
            begun.set()
            await asyncio.Event().wait()
            yield session

    with monkeypatch.context() as slowed:
        slowed.setattr(type(source_of(moving)), "connect", slow)
        running = asyncio.create_task(moving.work.run(stop))
        await begun.wait()
        assert (await moving.imports.status(moving.alice)).status is ImportStatus.RUNNING
        stop.set()
        await running
    assert (await moving.imports.status(moving.alice)).status is ImportStatus.WAITING
    assert (await moving.run()).status is ImportStatus.DONE


async def test_what_is_begun_wakes_a_worker_and_what_is_cancelled_stops_it(moving, monkeypatch):
    await fill(moving)
    stop, begun, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    connect = type(source_of(moving)).connect

    @contextlib.asynccontextmanager
    async def slow(self, server, password):
        async with connect(self, server, password) as session:
            try:
                begun.set()
                await asyncio.Event().wait()
                yield session
            finally:
                ended.set()

    running = asyncio.create_task(moving.work.run(stop))
    job = await moving.begin({"Sent": ""})
    while (await moving.imports.status(moving.alice)).is_open:
        await asyncio.sleep(0)  # not a wait: the turn of the work that brings the mail
    monkeypatch.setattr(type(source_of(moving)), "connect", slow)
    # Begun without looking first, as looking would be slow too.
    again = replace(job, job_id="2" * 24, due_at=moving.clock.now(), created_at=moving.clock.now())
    await moving.house.storage.import_jobs.add(
        replace(again, sealed_password=moving.work._secrets.seal(again.job_id, Secret(PASSWORD)))
    )
    await begun.wait()
    with pytest.raises(Conflict):
        await moving.begin()
    cancelled = await moving.imports.cancel(moving.alice)
    assert (cancelled.status, cancelled.sealed_password) == (ImportStatus.CANCELLED, b"")
    await ended.wait()
    stop.set()
    await running
    assert (await moving.imports.status(moving.alice)).status is ImportStatus.CANCELLED
    with pytest.raises(Conflict):
        await moving.imports.cancel(moving.alice)
    with pytest.raises(Conflict):
        await moving.imports.resume(moving.alice, Secret(PASSWORD))
    await moving.imports.dismiss(moving.alice)
    with pytest.raises(NoSuchImport):
        await moving.imports.status(moving.alice)


async def test_a_lost_connection_is_tried_again_later_and_later_and_nothing_comes_twice(moving, monkeypatch):
    await fill(moving)
    await moving.begin()
    session_type = await _session_type(moving)
    octets, count = session_type.octets, 0

    async def lost(self, messages):
        nonlocal count
        count += 1
        if count in {2, 4}:
            moving.hang_up()
            # What the provider has hung up on answers no more.
        return await octets(self, messages)

    monkeypatch.setattr(session_type, "octets", lost)
    job = await moving.run()
    assert (job.status, job.reason) == (ImportStatus.WAITING, ImportReason.UNREACHABLE)
    assert job.due_at == moving.clock.now() + import_work.FIRST_RETRY
    assert job.imported_count == 3
    assert await moving.work.begin_what_is_due() == 0
    for _ in range(2):
        moving.clock.advance(seconds=30)
        job = await moving.run()
    assert (job.status, job.imported_count, job.duplicate_count) == (ImportStatus.DONE, 20, 0)
    there = await moving.held(moving.bob)
    del there["Trash"]
    assert await moving.held() == there


async def _session_type(moving):
    async with source_of(moving).connect(moving.server, Secret(PASSWORD)) as session:
        return type(session)


async def test_a_provider_that_stays_away_ends_in_a_question_to_the_owner(moving):
    await fill(moving)
    await moving.begin()
    moving.stop_provider()
    waits = []
    for _ in range(import_work.FAILURES_MAX):
        job = await moving.run()
        if job.due_at is not None:
            waits.append((job.due_at - moving.clock.now()).total_seconds())
            moving.clock.advance(seconds=waits[-1])
    assert (job.status, job.reason) == (ImportStatus.PAUSED, ImportReason.UNREACHABLE)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert (await moving.imports.resume(moving.alice)).status is ImportStatus.WAITING


async def test_a_password_that_is_changed_meanwhile_is_asked_for_again(moving, caplog):
    await fill(moving)
    await moving.begin()
    await moving.house.accounts.set_password(
        Actor(None, None, is_admin=True), moving.bob.address, Secret("pw-never-in-a-log-new")
    )
    job = await moving.run()
    assert (job.status, job.reason) == (ImportStatus.PAUSED, ImportReason.REFUSED)
    assert "user name or password" in job.text
    await moving.imports.resume(moving.alice, Secret("pw-never-in-a-log-new"))
    assert (await moving.run()).status is ImportStatus.DONE
    assert "pw-never-in-a-log" not in caplog.text + repr(job)


async def test_a_full_account_is_told_half_way_and_goes_on_when_there_is_room(tmp_path):
    async with moving_in(tmp_path, quotas={"alice": 20_000}) as moving:
        drafts = [mail(number, size=3000 + number) for number in range(1, 11)]
        await moving.fill("INBOX", *drafts)
        await moving.begin({"INBOX": ""})
        job = await moving.run()
        assert (job.status, job.reason) == (ImportStatus.PAUSED, ImportReason.QUOTA)
        assert job.imported_count == job.settled_count == 6
        assert len((await moving.held())["INBOX"]) == 6
        await moving.imports.resume(moving.alice)
        assert (await moving.run()).reason is ImportReason.QUOTA
        await moving.house.storage.accounts.set_quota(moving.alice.account_id, None)
        await moving.imports.resume(moving.alice)
        job = await moving.run()
        assert (job.status, job.imported_count, job.settled_count) == (ImportStatus.DONE, 10, 10)
        assert octets_of(await moving.held()) == {"INBOX": sorted(draft.octets for draft in drafts)}


async def test_what_is_not_taken_is_told_with_its_number_and_why(moving):
    """The largest message here may have 100,000 octets."""
    await moving.fill("INBOX", mail(1), mail(2, size=100_001), mail(3), mail(4, size=100_000))
    await moving.begin()
    done = await moving.run()
    assert (done.status, done.imported_count, done.not_taken_count) == (ImportStatus.DONE, 3, 1)
    [lost] = done.not_taken
    assert (lost.mailbox, lost.uid, lost.seqnum) == ("INBOX", 2, 2)
    assert "larger than 100000 octets" in lost.reason


async def test_messages_that_go_there_meanwhile_cost_nothing_else(moving, monkeypatch):
    await moving.fill("INBOX", *(mail(number) for number in range(1, 18)))
    await moving.begin({"INBOX": ""})
    session_type = await _session_type(moving)
    octets, count = session_type.octets, 0
    store = moving.house.storage.accounts.of(moving.bob.account_id)

    async def fewer(self, messages):
        nonlocal count
        count += 1
        if count == 2:
            from mailstead.model.uidset import UidSet

            mailbox = await store.mailbox("INBOX")
            await store.expunge(mailbox.mailbox_id, UidSet.of([1, 2, 5, 12]), only_deleted=False)
        return await octets(self, messages)

    monkeypatch.setattr(session_type, "octets", fewer)
    done = await moving.run()
    assert done.status is ImportStatus.DONE
    wanted = {mail(number).octets for number in range(1, 18)} - {mail(5).octets, mail(12).octets}
    assert set(octets_of(await moving.held())["INBOX"]) >= wanted
    assert done.settled_count == done.message_count
    assert {each.reason for each in done.not_taken} <= {"The other server did not give it"}


async def test_another_uidvalidity_begins_a_mailbox_anew_and_doubles_nothing(moving, monkeypatch):
    await moving.fill("Lists", *(mail(number) for number in range(1, 9)))
    await moving.begin({"Lists": ""})
    session_type = await _session_type(moving)
    octets, count = session_type.octets, 0
    store = moving.house.storage.accounts.of(moving.bob.account_id)

    async def renewed(self, messages):
        nonlocal count
        count += 1
        if count == 2:
            await store.delete_mailbox("Lists")
            await moving.fill("Lists", *(mail(number) for number in range(1, 9)))
            moving.hang_up()
        return await octets(self, messages)

    monkeypatch.setattr(session_type, "octets", renewed)
    first = await moving.run()
    assert (first.status, first.imported_count) == (ImportStatus.WAITING, 3)
    moving.clock.advance(seconds=30)
    done = await moving.run()
    assert (done.status, done.imported_count, done.duplicate_count) == (ImportStatus.DONE, 5, 3)
    assert octets_of(await moving.held())["Lists"] == sorted(mail(number).octets for number in range(1, 9))


async def test_a_mailbox_that_went_is_told_and_the_others_come(moving):
    await fill(moving)
    await moving.begin()
    store = moving.house.storage.accounts.of(moving.bob.account_id)
    await store.delete_mailbox("Projekte/Größe & Co")
    done = await moving.run()
    assert (done.status, done.imported_count) == (ImportStatus.DONE, 18)
    assert [(each.mailbox, each.uid) for each in done.not_taken] == [("Projekte/Größe & Co", None)]


async def test_more_keywords_than_a_mailbox_holds_cost_keywords_and_no_mail(moving):
    for number in range(1, 41):
        await moving.fill(f"L{number:02}", mail(number, *(f"k{number}-{word}" for word in range(4)), "\\Seen"))
    await moving.begin({f"L{number:02}": "All" for number in range(1, 41)})
    done = await moving.run()
    held = (await moving.held())["All"]
    assert (done.imported_count, len(held)) == (40, 40)
    assert all("\\Seen" in flags for _, flags, _ in held)
    assert len({flag for _, flags, _ in held for flag in flags if flag.startswith("k")}) == 100


async def test_an_account_that_is_removed_takes_its_import_with_it(moving):
    await fill(moving)
    await moving.begin()
    await moving.house.accounts.remove(Actor(None, None, is_admin=True), moving.alice.address)
    assert await moving.work.begin_what_is_due() == 1
    await moving.work.settle()
    assert await moving.house.storage.import_jobs.job(moving.alice.account_id) is None


async def test_a_sealed_account_waits_until_its_owner_comes(moving):
    await fill(moving)
    key = SealedAccounts.new_recovery_key()
    await moving.house.sealed_accounts.seal(ADMIN, ALICE, Secret(PASSWORD), key, CLIENT)
    await moving.house.accounts.log_in(str(ALICE), Secret(PASSWORD), CLIENT, "imap")
    await moving.begin()
    await moving.house.unlocking.lock(moving.alice.account_id)
    job = await moving.run()
    assert (job.status, job.reason) == (ImportStatus.WAITING, ImportReason.LOCKED)
    # This process passes it over for a while, another one may have the account open.
    await moving.imports.resume(moving.alice)
    assert await moving.work.begin_what_is_due() == 0
    await moving.house.accounts.log_in(str(ALICE), Secret(PASSWORD), CLIENT, "imap")
    moving.clock.advance(seconds=import_work.REST.total_seconds())
    job = await moving.run()
    assert (job.status, job.imported_count) == (ImportStatus.DONE, 20)


async def test_attack_073_a_sealed_account_that_nobody_opens_does_not_keep_the_password_for_ever(moving):
    await fill(moving)
    await moving.house.sealed_accounts.seal(
        ADMIN, ALICE, Secret(PASSWORD), SealedAccounts.new_recovery_key(), CLIENT
    )  # fmt: skip
    await moving.house.accounts.log_in(str(ALICE), Secret(PASSWORD), CLIENT, "imap")
    await moving.begin()
    await moving.house.unlocking.lock(moving.alice.account_id)
    assert (await moving.run()).status is ImportStatus.WAITING
    moving.clock.advance(days=15)
    job = await moving.run()
    assert (job.status, job.reason) == (ImportStatus.PAUSED, ImportReason.LOCKED)
    moving.clock.advance(days=8)
    assert await moving.imports.forget_old(moving.clock.now()) == 1
    assert (await moving.imports.status(moving.alice)).sealed_password == b""


async def test_attack_073_the_password_is_encrypted_and_goes_with_a_long_pause(moving):
    await fill(moving)
    await moving.begin()
    jobs = moving.house.storage.import_jobs
    kept = await jobs.job(moving.alice.account_id)
    assert kept.sealed_password
    assert PASSWORD.encode() not in kept.sealed_password
    # It opens for its own import only.
    with pytest.raises(SourceRefused):
        moving.work._secrets.open(replace(kept, job_id="f" * 24))
    moving.stop_provider()
    for _ in range(import_work.FAILURES_MAX):
        job = await moving.run()
        moving.clock.advance(hours=1)
    assert job.status is ImportStatus.PAUSED
    moving.clock.advance(days=6)
    await moving.imports.forget_old(moving.clock.now())
    assert (await jobs.job(moving.alice.account_id)).sealed_password
    moving.clock.advance(days=2)
    await moving.imports.forget_old(moving.clock.now())
    assert (await jobs.job(moving.alice.account_id)).sealed_password == b""
    with pytest.raises(SourceRefused):
        await moving.imports.resume(moving.alice)
    assert (await moving.imports.resume(moving.alice, Secret(PASSWORD))).status is ImportStatus.WAITING


async def test_attack_061_we_are_no_tool_for_guessing_passwords_elsewhere(moving, monkeypatch):
    monkeypatch.setattr(remote_imports, "CHECKS_PER_HOUR", 3)
    for _ in range(3):
        with pytest.raises(SourceRefused):
            await moving.imports.check(moving.alice, moving.server, Secret("wrong"))
    for verb in (moving.imports.check, moving.imports.begin):
        with pytest.raises(RateLimited):
            await verb(moving.alice, moving.server, Secret(PASSWORD))
    moving.clock.advance(hours=1)
    await moving.imports.check(moving.alice, moving.server, Secret(PASSWORD))


async def test_a_server_that_is_not_there_is_told_at_once(moving):
    with pytest.raises(SourceFailed):
        await moving.imports.check(moving.alice, replace(moving.server, host="nowhere.test"), Secret(PASSWORD))
    moving.stop_provider()
    with pytest.raises(SourceFailed):
        await moving.begin()


async def test_only_an_account_imports(moving):
    for verb in (moving.imports.status, moving.imports.cancel, moving.imports.resume, moving.imports.dismiss):
        with pytest.raises(NotAllowed):
            await verb(Actor(None, None, is_admin=True))
    with pytest.raises(NotAllowed):
        await moving.imports.check(Actor(None, None, is_admin=True), moving.server, Secret(PASSWORD))


class Labelled:
    """Makes a session look like one of a provider with labels."""

    def __init__(self, session, labels, all_mail="Archive"):
        self._session, self._labels, self._all_mail = session, labels, all_mail
        self.has_labels = True

    async def mailboxes(self, *, with_sizes=True):
        found = await self._session.mailboxes(with_sizes=with_sizes)
        return [replace(each, special_use="\\All") if each.name == self._all_mail else each for each in found]

    async def listing(self, after, limit):
        found = await self._session.listing(after, limit)
        return [RemoteMessage(*each[:-1], self._labels.get(each.message_id, ())) for each in found]

    def __getattr__(self, name):
        return getattr(self._session, name)


def with_labels(moving, monkeypatch, labels):
    connect = type(source_of(moving)).connect

    @contextlib.asynccontextmanager
    async def labelled(self, server, password):
        async with connect(self, server, password) as session:
            yield Labelled(session, labels)

    monkeypatch.setattr(type(source_of(moving)), "connect", labelled)


async def test_labels_place_each_message_once(moving, monkeypatch):
    labels = {
        "1@provider.test": ("\\Inbox", "work", "Größe"),
        "2@provider.test": ("\\Sent", "\\Important"),
        "3@provider.test": ("work", "b and c"),
        "5@provider.test": ("\\Draft",),
    }
    with_labels(moving, monkeypatch, labels)
    await moving.fill("Archive", *(mail(number) for number in range(1, 6)))
    await moving.fill("INBOX", mail(1))
    await moving.fill("work", mail(1), mail(3))
    await moving.fill("Trash", mail(9))
    checked = await moving.imports.check(moving.alice, moving.server, Secret(PASSWORD))
    assert [each.mailbox.name for each in checked.offered if each.is_suggested] == ["Archive"]
    job = await moving.begin({"Archive": "", "INBOX": "", "work": "", "Trash": ""})
    assert [each.name for each in job.mailboxes] == ["Archive", "Trash"]
    done = await moving.run()
    assert (done.status, done.imported_count, done.duplicate_count) == (ImportStatus.DONE, 6, 0)
    held = await moving.held()
    assert octets_of(held) == {
        "INBOX": [mail(1).octets],
        "Sent": [mail(2).octets],
        "b and c": [mail(3).octets],
        "Archive": [mail(4).octets],
        "Drafts": [mail(5).octets],
        "Trash": [mail(9).octets],
    }
    assert held["INBOX"][0][1] == {"work", keyword_of("Größe")}
    assert held["Sent"][0][1] == {"$Important"}
    assert held["b and c"][0][1] == {"work"}
    await moving.begin()
    assert (await moving.run()).duplicate_count == 5


async def test_labels_chosen_one_by_one_double_nothing_either(moving, monkeypatch):
    with_labels(moving, monkeypatch, {})
    await moving.fill("INBOX", mail(1), mail(2))
    await moving.fill("work", mail(1), mail(3))
    await moving.begin({"INBOX": "", "work": ""})
    done = await moving.run()
    assert (done.imported_count, done.duplicate_count) == (3, 1)
    assert {name: len(each) for name, each in (await moving.held()).items()} == {"INBOX": 2, "work": 1}
