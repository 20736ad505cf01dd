r"""The junk filter as its owner trains it: by APPEND, COPY and MOVE into and out of \Junk, and what it says then."""

import pytest

from mailstead.config.settings import Policy, Settings
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, NotAllowed
from mailstead.model.ids import Uid
from mailstead.model.verdict import Decision
from mailstead.usecases.junk import LOOK_S, SUSPECT_FROM, JunkFilter
from mailstead.usecases.mailboxes import Draft
from usecases.flow import ANN, EVE, message, open_flow

PILLS = "cheap pills casino winner lottery prize viagra click http://pills.bad/offer\r\n"
WORK = "minutes of the meeting, budget draft and agenda for thursday's project review\r\n"


def letter(kind, number, sender=None):
    body = {"junk": PILLS, "good": WORK}[kind]
    return message(sender or f"{kind}{number}@{kind}.test", f"{kind} letter {number}", body=body)


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


class Owner:
    """What alice does with her mail, by the use cases that IMAP calls."""

    def __init__(self, flow, actor):
        self.flow, self.actor = flow, actor
        self.store = flow.house.mailboxes.of(actor)
        self.filter = flow.house.junk_filter

    async def append(self, mailbox, *octets):
        await self.flow.house.mailboxes.append(self.actor, mailbox, [Draft(each) for each in octets])

    async def everything(self, mailbox):
        snapshot = await self.store.snapshot(mailbox)
        return snapshot.mailbox.mailbox_id, snapshot.uids

    async def move(self, source, target):
        await self.store.move(*await self.everything(source), target)

    async def copy(self, source, target):
        await self.store.copy(*await self.everything(source), target)

    async def learned(self):
        return await self.filter.learned(self.actor)

    async def train(self, count=6):
        await self.append("Junk", *(letter("good", number) for number in range(count)))
        await self.move("Junk", "Archive")
        await self.append("Junk", *(letter("junk", number) for number in range(count)))


@pytest.fixture
async def alice(flow):
    return Owner(flow, await flow.actor("alice"))


async def test_each_way_into_and_out_of_junk_teaches(alice):
    await alice.append("Junk", letter("junk", 1), letter("junk", 2))
    assert await alice.learned() == (0, 2)
    await alice.append("INBOX", letter("junk", 3))
    assert await alice.learned() == (0, 2)
    await alice.copy("INBOX", "Junk")
    assert await alice.learned() == (0, 3)
    await alice.move("INBOX", "Junk")
    assert await alice.learned() == (0, 3)  # the same text, learned already
    await alice.move("Junk", "INBOX")
    assert await alice.learned() == (3, 0)


async def test_a_change_of_mind_takes_back_what_was_learned(alice):
    await alice.append("INBOX", letter("good", 1))
    for _ in range(3):
        await alice.move("INBOX", "Junk")
        assert await alice.learned() == (0, 1)
        await alice.move("Junk", "INBOX")
        assert await alice.learned() == (1, 0)


async def test_throwing_junk_away_teaches_nothing(alice):
    await alice.append("Junk", letter("junk", 1))
    await alice.move("Junk", "Trash")
    assert await alice.learned() == (0, 1)


async def test_what_filters_and_policy_file_teaches_nothing(flow, alice):
    await flow.script("alice", 'require "fileinto"; fileinto "Junk";')
    await flow.receive("alice", octets=letter("good", 1), mail_from=ANN)
    assert len(await flow.stored("alice", "Junk")) == 1
    assert await alice.learned() == (0, 0)


async def test_it_says_nothing_before_it_has_learned_enough(flow, alice):
    await alice.train(4)
    assert await alice.learned() == (4, 4)
    assert await alice.filter.explain(alice.actor, "Junk", Uid(5)) is None
    await flow.receive("alice", octets=letter("junk", 9, EVE), mail_from=EVE)
    assert len(await flow.stored("alice")) == 1


async def test_mail_like_what_was_called_junk_goes_to_junk_and_other_mail_does_not(flow, alice):
    await alice.train()
    before = len(await flow.stored("alice", "Junk"))
    queue_id = await flow.receive("alice", octets=letter("junk", 99, EVE), mail_from=EVE)
    await flow.receive("alice", octets=letter("good", 99, ANN), mail_from=ANN)
    assert len(await flow.stored("alice", "Junk")) == before + 1
    assert [b"good letter 99" in each for each in await flow.stored("alice")] == [True]
    [(_, _, reason, recipient)] = [each for each in await flow.trace(queue_id=queue_id) if each[0] == "junk-filter"]
    assert recipient == "alice@example.test"
    assert "like what you call junk" in reason
    assert "(0.9" in reason  # words, each with its probability


async def test_what_one_has_taught_is_nothing_to_others(flow, alice):
    await alice.train()
    await flow.receive("alice", "bob", octets=letter("junk", 99, EVE), mail_from=EVE)
    assert len(await flow.stored("bob")) == 1
    assert await flow.stored("alice") == []
    assert await Owner(flow, await flow.actor("bob")).learned() == (0, 0)


async def test_it_names_the_words_it_went_by(flow, alice):
    await alice.train()
    await alice.append("INBOX", letter("junk", 50), letter("good", 50))
    _, uids = await alice.everything("INBOX")
    bad, good = [await alice.filter.explain(alice.actor, "INBOX", uid) for uid in uids]
    assert bad.probability > 0.9 > SUSPECT_FROM > 0.5 > good.probability
    words = {each.word: each for each in bad.telling}
    assert words.keys() & {"pills", "casino", "lottery", "viagra", "winner", "prize"}
    assert all(each.junk_count and not each.good_count for each in words.values() if each.probability > 0.9)
    with pytest.raises(NoSuchMessage):
        await alice.filter.explain(alice.actor, "INBOX", Uid(999))


async def test_attack_053_only_the_owner_is_told(flow):
    with pytest.raises(NotAllowed):
        await flow.house.junk_filter.learned(Actor(None, None, is_admin=True))


async def test_good_mail_is_helped_against_other_scores(flow, alice):
    await alice.train()
    account = await flow.smtp.account("alice")
    flow.clock.advance(seconds=LOOK_S + 1)
    check = await alice.filter.judge(account.account_id, letter("good", 99))
    assert check.score < 0
    assert check.decision is Decision.ALLOW


async def test_new_lessons_are_learned_while_mail_comes(flow, alice):
    account = await flow.smtp.account("alice")
    assert await alice.filter.judge(account.account_id, letter("junk", 1)) is None
    await alice.train()
    flow.clock.advance(seconds=LOOK_S + 1)
    assert (await alice.filter.judge(account.account_id, letter("junk", 1))).score > 0


async def test_two_processes_learn_each_lesson_once(flow, alice):
    await alice.append("Junk", *(letter("junk", number) for number in range(120)))
    other = JunkFilter(flow.storage, flow.clock, b"another process" * 2)
    counts = [await alice.learned(), await other.learned(alice.actor)]
    assert counts[-1] == (0, 120)


async def test_a_message_of_any_kind_can_be_judged(alice, flow):
    await alice.train()
    account = await flow.smtp.account("alice")
    flow.clock.advance(seconds=LOOK_S + 1)
    for octets in (b"", b"\r\n", b"\xff" * 1000, b"Subject: =?utf-8?q?=ff?=\r\n\r\n\0", PILLS.encode() * 10_000):
        await alice.filter.judge(account.account_id, octets)


async def test_a_house_may_do_without(tmp_path):
    async with open_flow(tmp_path, settings=Settings(policy=Policy(learns_junk=False))) as flow:
        await Owner(flow, await flow.actor("alice")).train()
        await flow.receive("alice", octets=letter("junk", 99, EVE), mail_from=EVE)
        assert len(await flow.stored("alice")) == 1
