"""What the filters have learned, as administrators see it, and a new start; on the house's own lessons."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAccount, NotAllowed
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.junk import LOOK_S
from mailstead.usecases.junk_training import JunkTraining
from mailstead.wiring.house import ADMINISTRATOR
from usecases.flow import EVE, open_flow
from usecases.test_junk import Owner, letter

ALICE = Address.parse("alice@example.test")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


@pytest.fixture
async def alice(flow):
    return Owner(flow, await flow.actor("alice"))


@pytest.fixture
def training(flow):
    house = flow.house
    return JunkTraining(house.storage, house.accounts, house.junk_filter, Unnoted())


async def of_alice(training):
    _, (found,) = await training.look(ADMINISTRATOR, "alice")
    return found.learned


async def test_numbers_of_one_and_of_all(flow, alice, training):
    await alice.train()
    await alice.learned()
    learned = await of_alice(training)
    assert (learned.good_count, learned.junk_count, learned.judges) == (6, 6, True)
    assert learned.training.learned_at == flow.clock.now()
    overall, page = await training.look(ADMINISTRATOR)
    assert (overall.judging_count, overall.good_count, overall.junk_count) == (1, 6, 6)
    assert overall.account_count == len(page) > 1
    assert [str(each.address) for each in page if each.learned.judges] == [str(ALICE)]
    assert (await training.look(ADMINISTRATOR, "", overall.account_count - 1))[1] == [page[-1]]


async def test_lessons_are_judged_before_they_are_learned(alice, training):
    await alice.train()
    await alice.learned()
    before = (await of_alice(training)).training
    await alice.append("Junk", letter("junk", 20), letter("junk", 21))  # like what it knows
    await alice.append("Junk", letter("good", 20))  # not: it would have taken it for good
    await alice.learned()
    after = (await of_alice(training)).training
    assert after.judged_count - before.judged_count == 3
    assert after.right_count - before.right_count == 2
    await alice.move("Junk", "Archive")  # a change of mind says nothing about what it would have known
    await alice.learned()
    assert (await of_alice(training)).training.judged_count == after.judged_count


async def test_one_that_begins_anew_knows_nothing_and_can_learn_again(flow, alice, training):
    await alice.train()
    await alice.learned()
    await alice.append("Junk", letter("junk", 30))  # waits to be learned
    await training.forget(ADMINISTRATOR, ALICE)
    learned = await of_alice(training)
    assert (learned.good_count, learned.junk_count, learned.right_percent) == (0, 0, None)
    assert learned.training.learned_at is None
    assert await alice.learned() == (0, 0)
    account = await flow.smtp.account("alice")
    flow.clock.advance(seconds=LOOK_S + 1)
    assert await alice.filter.judge(account.account_id, letter("junk", 1, EVE)) is None
    # What it once learned is not taken back again when the message moves on.
    await alice.move("Junk", "Archive")
    assert await alice.learned() == (7, 0)


async def test_all_begin_anew(flow, alice, training):
    bob = Owner(flow, await flow.actor("bob"))
    for each in (alice, bob):
        await each.append("Junk", letter("junk", 1))
        await each.learned()
    assert (await training.look(ADMINISTRATOR))[0].junk_count == 2
    assert await training.forget_all(ADMINISTRATOR) == (await training.look(ADMINISTRATOR))[0].account_count
    assert (await training.look(ADMINISTRATOR))[0].junk_count == 0


async def test_attack_092_only_for_administrators_of_the_server(flow, alice, training):
    for actor in (alice.actor, Actor(None, None)):
        for verb in (
            lambda actor=actor: training.look(actor),
            lambda actor=actor: training.forget(actor, ALICE),
            lambda actor=actor: training.forget_all(actor),
        ):
            with pytest.raises(NotAllowed):
                await verb()
    with pytest.raises(NoSuchAccount):
        await training.forget(ADMINISTRATOR, Address.parse("nobody@example.test"))
