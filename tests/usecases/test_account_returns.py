"""Accounts brought back from a backup: what is refused before anything begins, and where it comes back to."""

import asyncio

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, AddressTaken, Conflict, NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.usecases.account_returns import AccountReturns, Way
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.house_jobs import HouseJobs

NAME = "2026-01-01T03-07-00.000000Z-abcdef"
ALICE, GONE, SEALED = (Address.parse(f"{name}@example.test") for name in ("alice", "gone", "sealed"))
PASSWORD = Secret("pw-never-in-a-log-returns")


class Place:
    """A snapshot with three accounts."""

    def __init__(self):
        self.brought = []
        self.asked = []
        self.may_end = asyncio.Event()

    async def look(self, name):
        self.asked.append(name)
        accounts = [
            Account(AccountId(str(each)), each, None, is_sealed=each == SEALED) for each in (ALICE, GONE, SEALED)
        ]
        return NAME, "1.2.0", 3000, [(each, 1000) for each in accounts]

    async def bring_back(self, name, address, below, beside, progress):
        progress(1, 1)
        self.brought.append((name, str(address), below, beside and str(beside.address)))
        return {"imported_count": 1}

    async def try_out(self, name, progress):
        await self.may_end.wait()
        return {"findings": [], "name": name}


@pytest.fixture
def place():
    return Place()


@pytest.fixture
async def jobs(storage, clock):
    jobs = HouseJobs(storage.memory, clock, Unnoted())
    yield jobs
    await jobs.close()


@pytest.fixture
def returns(place, storage, accounts, jobs, clock):
    return AccountReturns(place, storage, accounts, jobs, clock)


async def test_what_is_in_a_snapshot_is_told_beside_what_is_here(returns, admin, alice):
    contents = await returns.look(admin)
    assert f"{contents.made_at:%Y-%m-%d %H:%M}" == "2026-01-01 03:07"
    assert [(str(each.address), each.is_here, each.is_sealed, each.size_octets) for each in contents.accounts] == [
        ("alice@example.test", True, False, 1000),
        ("gone@example.test", False, False, 1000),
        ("sealed@example.test", False, True, 1000),
    ]


async def test_a_folder_has_the_day_of_the_backup_and_is_never_one_that_is_there(
    returns, admin, alice, storage, jobs, place
):
    await returns.begin(admin, "", ALICE, Way.FOLDER)
    await jobs.settle()
    store = storage.accounts.of(alice.account_id)
    await store.create_mailbox("Restored 2026-01-01 03.07/INBOX")
    await returns.begin(admin, "", ALICE, Way.FOLDER)
    await jobs.settle()
    first = "Restored 2026-01-01 03.07"
    assert [each[2] for each in place.brought] == [first, f"{first} (2)"]
    assert place.brought[0][:2] == (NAME, "alice@example.test")
    job, _ = await returns.last(admin)
    assert job.result == {"imported_count": 1, "folder": f"{first} (2)", "beside": ""}


async def test_an_account_that_is_gone_has_no_folder_but_comes_back_to_its_place(returns, admin, place, jobs):
    with pytest.raises(NoSuchAccount):
        await returns.begin(admin, "", GONE, Way.FOLDER)
    await returns.begin(admin, "", GONE, Way.PLACE)
    await jobs.settle()
    assert place.brought == [(NAME, "gone@example.test", "", None)]


async def test_beside_is_a_new_account_and_never_one_that_is_there(returns, admin, alice, accounts, place, jobs):
    with pytest.raises(AddressTaken):
        await returns.begin(admin, "", ALICE, Way.BESIDE, (ALICE, PASSWORD))
    with pytest.raises(PolicyRefused):
        await returns.begin(admin, "", ALICE, Way.BESIDE, (Address.parse("alice2@example.test"), Secret("x")))
    assert place.brought == []
    await returns.begin(admin, "", ALICE, Way.BESIDE, (Address.parse("alice2@example.test"), PASSWORD))
    await jobs.settle()
    assert place.brought == [(NAME, "alice@example.test", "", "alice2@example.test")]
    assert "alice2@example.test" in [str(each.address) for each in await accounts.list(admin)]


async def test_what_is_sealed_or_not_in_it_is_refused_before_anything_begins(returns, admin, place):
    with pytest.raises(AccountLocked):
        await returns.begin(admin, "", SEALED, Way.PLACE)
    with pytest.raises(NoSuchAccount, match="in this backup"):
        await returns.begin(admin, "", Address.parse("nobody@example.test"), Way.PLACE)
    assert place.brought == []


async def test_a_trial_is_of_the_snapshot_that_was_named_and_not_beside_other_work(returns, place, admin, alice, jobs):
    await returns.try_out(admin, NAME)
    with pytest.raises(Conflict):
        await returns.begin(admin, "", ALICE, Way.FOLDER)
    place.may_end.set()
    await jobs.settle()
    _, job = await returns.last(admin)
    assert (job.subject, job.result) == (NAME, {"findings": [], "name": NAME})


async def test_attack_092_only_for_administrators_of_the_server(returns, alice, actor_of, place):
    for actor in (Actor(None, None), actor_of(alice)):
        for verb in (
            lambda actor=actor: returns.look(actor),
            lambda actor=actor: returns.begin(actor, "", ALICE, Way.PLACE),
            lambda actor=actor: returns.try_out(actor, NAME),
            lambda actor=actor: returns.last(actor),
        ):
            with pytest.raises(NotAllowed):
                await verb()
    assert place.asked == []
