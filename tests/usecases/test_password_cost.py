"""What is proposed for a machine, and what becomes of hashes that cost otherwise."""

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.usecases import passwords as module
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.password_cost import ITERATIONS_MAX, is_too_cheap, propose
from mailstead.usecases.passwords import COST_MIN_KIB, MAIN_COST, HashCost, Passwords, cost_of
from usecases.coming_in import ALICE, RIGHT, WRONG
from usecases.test_accounts import log_in, scram

LOW, HIGH = HashCost(1, COST_MIN_KIB), HashCost(2, 40 * 1024)


def machine(mib_per_s):
    """A machine that fills so much memory in a second, without a clock."""
    return lambda cost: cost.iterations * cost.memory_kib / 1024 / mib_per_s


@pytest.mark.parametrize(
    ("mib_per_s", "proposed"),
    [
        (10, MAIN_COST),  # however slow
        (400, MAIN_COST),
        (1000, HashCost(2, 32 * 1024)),
        (3000, HashCost(2, 128 * 1024)),
        (20_000, HashCost(7, 256 * 1024)),
        (1_000_000, HashCost(ITERATIONS_MAX, 256 * 1024)),
    ],
)
def test_as_dear_as_log_ins_can_bear(mib_per_s, proposed):
    best, tried = propose(0.1, machine(mib_per_s))
    assert best.cost == proposed
    assert best in tried
    assert not is_too_cheap(best.cost)
    assert best.seconds <= 0.1 or best.cost == MAIN_COST


def test_what_disturbs_a_measurement_does_not_make_hashes_cheaper():
    calls = []

    def disturbed(cost):
        calls.append(cost)
        return machine(3000)(cost) * (5 if len(calls) % 3 else 1)

    assert propose(0.1, disturbed)[0].cost == HashCost(2, 128 * 1024)


@pytest.fixture
async def opened(storage, bus, clock, domains):
    """Makes accounts' use cases with another cost, over the same store."""
    made = []

    def make(cost):
        made.append(
            Accounts(storage, bus, clock, passwords=Passwords(clock, cost), decoy_key=b"", scram_iteration_count=4096)
        )
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.mark.parametrize(("before", "after"), [(LOW, HIGH), (HIGH, LOW)])
async def test_a_hash_of_another_cost_is_made_anew_at_the_next_log_in(opened, admin, peer, storage, before, after):
    alice = await opened(before).create(admin, Address.parse(ALICE), RIGHT)
    now = opened(after)
    session = await log_in(now, peer)
    await now.close()  # it is written behind the log-in
    credentials = await storage.directory.credentials(alice.address)
    assert cost_of(credentials.password.argon2id) == after
    again = opened(after)
    assert (await log_in(again, peer)).fingerprint == session.fingerprint  # sessions do not notice
    await scram(again, peer)
    with pytest.raises(AuthenticationFailed):
        await log_in(again, peer, WRONG)


async def test_a_password_changed_meanwhile_is_not_put_back(opened, admin, peer, storage):
    alice = await opened(LOW).create(admin, Address.parse(ALICE), RIGHT)
    before = (await storage.directory.credentials(alice.address)).password
    now = opened(HIGH)
    new = Secret("pw-never-in-a-log-new")
    await now.set_password(admin, alice.address, new)
    changed = await storage.directory.credentials(alice.address)
    await now._rehashing.run((await storage.directory.credentials(alice.address)), before, RIGHT)
    assert (await storage.directory.credentials(alice.address)).password == changed.password
    await log_in(now, peer, new)


async def test_a_wrong_password_does_not_make_a_hash_anew(opened, admin, peer, storage):
    alice = await opened(LOW).create(admin, Address.parse(ALICE), RIGHT)
    now = opened(HIGH)
    with pytest.raises(AuthenticationFailed):
        await log_in(now, peer, WRONG)
    await now.close()
    assert cost_of((await storage.directory.credentials(alice.address)).password.argon2id) == LOW


async def test_attack_062_accounts_whose_hash_is_cheaper_yet_answer_no_quicker(opened, admin, peer, monkeypatch):
    await opened(LOW).create(admin, Address.parse(ALICE), RIGHT)
    now = opened(HIGH)
    work = []
    fits, made = module._fits, module._argon2id

    def counted(cost):
        work.append(cost.iterations * cost.memory_kib)

    monkeypatch.setattr(module, "_fits", lambda octets, phc: counted(cost_of(phc)) or fits(octets, phc))
    monkeypatch.setattr(module, "_argon2id", lambda octets, cost: counted(cost) or made(octets, cost))
    totals = []
    for username in (ALICE, "nobody@example.test"):
        work.clear()
        with pytest.raises(AuthenticationFailed):
            await log_in(now, peer, WRONG, username)
        totals.append(sum(work))
    assert totals[0] == pytest.approx(totals[1], rel=0.01)
