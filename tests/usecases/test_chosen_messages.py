"""Many messages at once: moved, flagged, labelled and removed, wherever they lie; never those of others."""

import pytest

from mailstead.model.errors import BadMailboxName, BadMessage, LimitReached, NotAllowed, PolicyRefused
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.people import Listing
from mailstead.usecases.chosen_messages import AT_ONCE_MAX, ChosenMessages
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import LABELS_MAX, MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.staging import Staging


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def messages(mailboxes):
    return Messages(mailboxes)


@pytest.fixture
def chosen(mailboxes):
    return ChosenMessages(mailboxes)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def mail(number, answers=0):
    to = f"In-Reply-To: <{answers}@b.test>\r\nReferences: <{answers}@b.test>\r\n" if answers else ""
    return f"From: a@b.test\r\nSubject: S{number}\r\nMessage-ID: <{number}@b.test>\r\n{to}\r\nHello\r\n".encode()


@pytest.fixture
async def ids(messages, actor):
    """Two in INBOX, one in Sent that is of the conversation of the first, one in Junk."""
    places = (("INBOX", mail(1)), ("INBOX", mail(2)), ("Sent", mail(3, answers=1)), ("Junk", mail(4)))
    return [(await messages.append(actor, folder, octets, [])).place.object_id for folder, octets in places]


async def flags_in(messages, actor, folder):
    found = await messages.find(actor, MessageQuery(folder=folder), Listing(limit=100))
    return {view.record.flags for view in found.items}


async def counts(mailboxes, actor):
    return {each.name: each.message_count for each in await mailboxes.of(actor).mailboxes() if each.message_count}


async def test_they_move_from_wherever_they_are(chosen, mailboxes, actor, ids):
    assert await chosen.move(actor, ids, "Work/Deep") == 4
    assert await counts(mailboxes, actor) == {"Work/Deep": 4}
    assert await chosen.move(actor, ids, "Archive") == 0  # they have other ids by now
    found = {each.name for each in await mailboxes.of(actor).mailboxes() if each.is_subscribed}
    assert "Work/Deep" in found
    with pytest.raises(BadMailboxName):
        await chosen.move(actor, ids, "a//b")


async def test_those_of_one_folder(chosen, actor, ids):
    assert await chosen.within(actor, ids, "INBOX") == ids[:2]
    assert await chosen.within(actor, ids, "Sent") == [ids[2]]
    assert await chosen.within(actor, ids, "Nowhere") == []


async def test_all_of_a_conversation(chosen, messages, actor, ids):
    more = [(await messages.append(actor, "INBOX", mail(n, answers=1), [])).place.object_id for n in range(10, 13)]
    assert await chosen.conversations_of(actor, [more[-1]]) == [ids[0], *more]


async def test_flags_and_labels(chosen, messages, actor, ids):
    assert await chosen.flag(actor, ids, SEEN, is_set=True) == 4
    assert await chosen.flag(actor, ids[:2], FLAGGED, is_set=True) == 2
    assert await chosen.flag(actor, ids[:2], "Work", is_set=True) == 2
    assert await flags_in(messages, actor, "INBOX") == {frozenset({SEEN, FLAGGED, "Work"})}
    await chosen.flag(actor, ids[:2], "work", is_set=False)
    await chosen.flag(actor, ids[:2], SEEN, is_set=False)
    assert await flags_in(messages, actor, "INBOX") == {frozenset({FLAGGED})}
    assert await flags_in(messages, actor, "Junk") == {frozenset({SEEN})}
    for bad in ("two words", "", "(x)", "\\Recent2", "\\Recent"):
        with pytest.raises(BadMessage):
            await chosen.flag(actor, ids, bad, is_set=True)


async def test_more_labels_than_a_message_has_change_nothing(chosen, messages, actor, ids):
    for number in range(LABELS_MAX):
        await chosen.flag(actor, ids[1:2], f"l{number}", is_set=True)
    with pytest.raises(LimitReached):
        await chosen.flag(actor, ids, "more", is_set=True)
    await chosen.flag(actor, ids[1:2], "L1", is_set=True)  # it has that one
    for folder in ("INBOX", "Sent"):
        assert all("more" not in flags for flags in await flags_in(messages, actor, folder))


async def test_they_are_removed(chosen, mailboxes, actor, ids):
    assert await chosen.delete(actor, [*ids[:3], *ids[:3], "nonsense", "0" * 24]) == 3
    assert await counts(mailboxes, actor) == {"Junk": 1}
    assert await chosen.delete(actor, ids[:3]) == 0


async def test_attack_092_ids_of_others_mean_nothing(chosen, mailboxes, actor, ids, bob, actor_of, admin):
    before = await counts(mailboxes, actor)
    for verb in (chosen.move(actor_of(bob), ids, "Archive"), chosen.delete(actor_of(bob), ids)):
        assert await verb == 0
    assert await counts(mailboxes, actor) == before
    with pytest.raises(NotAllowed):
        await chosen.delete(admin, ids)


async def test_attack_010_not_too_many_at_once(chosen, actor, ids):
    with pytest.raises(PolicyRefused):
        await chosen.delete(actor, ids * AT_ONCE_MAX)
