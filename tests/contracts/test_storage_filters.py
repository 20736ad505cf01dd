"""What filters keep in a store: scripts, preferences, small facts that run out, lessons about junk."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.errors import (
    LimitReached,
    NoSuchScript,
    PreconditionFailed,
    ScriptActive,
    ScriptExists,
    TryAgainLater,
)
from mailstead.model.filtering import SCRIPT_OCTETS_MAX, SCRIPTS_MAX, JunkCounts, SieveScript, SieveText
from mailstead.model.ids import AccountId
from mailstead.model.uidset import UidSet
from mailstead.ports.changebus import FILTERS

ACCOUNT = AccountId("0123456789abcdef")
ALL = UidSet([(1, 2**32 - 1)])


# scripts


async def test_scripts_are_put_replaced_listed_and_read(account):
    assert await account.scripts() == []
    await account.put_script("zwei", b"keep;")
    await account.put_script("eins", b"stop;")
    await account.put_script("zwei", b"discard;")
    assert await account.scripts() == [SieveScript("eins", 5, is_active=False), SieveScript("zwei", 8, is_active=False)]
    assert await account.script("zwei") == b"discard;"
    with pytest.raises(NoSuchScript):
        await account.script("drei")


async def test_one_script_at_most_is_active(account):
    await account.put_script("a", b"keep;")
    await account.put_script("b", b"stop;")
    await account.activate_script("a")
    await account.activate_script("b")
    assert [script.name for script in await account.scripts() if script.is_active] == ["b"]
    with pytest.raises(NoSuchScript):
        await account.activate_script("c")
    assert (await account.filtering()).script_name == "b"
    await account.activate_script(None)
    assert not any(script.is_active for script in await account.scripts())


async def test_replacing_the_active_script_keeps_it_active(account):
    await account.put_script("a", b"keep;")
    await account.activate_script("a")
    await account.put_script("a", b"stop;")
    filtering = await account.filtering()
    assert (filtering.script_name, filtering.script) == ("a", b"stop;")


async def test_a_script_is_exchanged_only_for_what_was_seen(account):
    first, second = SieveText("a", b"keep;"), SieveText("a", b"stop;")
    await account.exchange_script(None, first)
    await account.exchange_script(first, second)
    for seen in (None, first, SieveText("b", b"stop;")):
        with pytest.raises(PreconditionFailed):
            await account.exchange_script(seen, SieveText("a", b"discard;"))
    await account.put_script("b", b"keep;")
    with pytest.raises(ScriptExists):
        await account.exchange_script(second, SieveText("b", b"discard;"))
    await account.exchange_script(second, SieveText("c", b"discard;"))
    filtering = await account.filtering()
    assert (filtering.script_name, filtering.script) == ("c", b"discard;")
    assert [await account.script(name) for name in "ab"] == [b"stop;", b"keep;"]


async def test_of_two_who_exchange_a_script_at_once_one_is_told(account):
    before = SieveText("a", b"keep;")
    await account.exchange_script(None, before)
    outcomes = await asyncio.gather(
        *(account.exchange_script(before, SieveText("a", f"# {number}".encode())) for number in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", *["PreconditionFailed"] * 4]


async def test_the_active_script_is_not_deleted(account):
    await account.put_script("a", b"keep;")
    await account.activate_script("a")
    with pytest.raises(ScriptActive):
        await account.delete_script("a")
    await account.activate_script(None)
    await account.delete_script("a")
    with pytest.raises(NoSuchScript):
        await account.delete_script("a")


async def test_a_renamed_script_stays_active(account):
    await account.put_script("a", b"keep;")
    await account.put_script("b", b"stop;")
    await account.activate_script("a")
    with pytest.raises(ScriptExists):
        await account.rename_script("a", "b")
    with pytest.raises(NoSuchScript):
        await account.rename_script("c", "d")
    await account.rename_script("a", "c")
    assert await account.scripts() == [SieveScript("b", 5, is_active=False), SieveScript("c", 5, is_active=True)]


async def test_filtering_is_all_that_a_delivery_needs(account):
    await account.put_script("a", b"keep;")
    await account.put_script("b", b"stop;")
    await account.set_preferences({"vacation.enabled": b"1"})
    filtering = await account.filtering()
    assert (filtering.script_name, filtering.script, filtering.scripts) == ("", b"", {})
    assert filtering.preferences == {"vacation.enabled": b"1"}
    assert filtering.mailboxes["Junk"] == "\\Junk"
    assert filtering.mailboxes["INBOX"] is None
    await account.activate_script("a")
    filtering = await account.filtering()
    assert (filtering.script_name, filtering.script) == ("a", b"keep;")
    assert filtering.scripts == {}
    await account.put_script("a", b"Include b;")
    assert (await account.filtering()).scripts == {"a": b"Include b;", "b": b"stop;"}


async def test_attack_057_scripts_have_limits_and_names_are_only_keys(account, house):
    before = sorted(path.name for path in house.folder.rglob("*"))
    with pytest.raises(LimitReached):
        await account.put_script("big", b"#" * (SCRIPT_OCTETS_MAX + 1))
    names = ["../../x", "/etc/passwd", "'; DROP TABLE script; --", *(f"s{number}" for number in range(SCRIPTS_MAX - 3))]
    for name in names:
        await account.put_script(name, b"#" * 10)
    with pytest.raises(LimitReached):
        await account.put_script("one more", b"keep;")
    await account.put_script("../../x", b"#" * SCRIPT_OCTETS_MAX)
    assert sorted(script.name for script in await account.scripts()) == sorted(names)
    assert sorted(path.name for path in house.folder.rglob("*")) == before


async def test_changes_of_filters_are_told_and_wake_no_mailbox(account, house, wake):
    told = asyncio.Event()
    with house.bus.watch(FILTERS, told.set):
        for change in (
            account.put_script("a", b"keep;"),
            account.activate_script("a"),
            account.rename_script("a", "b"),
            account.activate_script(None),
            account.delete_script("b"),
            account.set_preferences({"k": b"v"}),
        ):
            wake.clear()
            told.clear()
            await change
            async with asyncio.timeout(10):
                await told.wait()
            assert not wake.is_set()


# preferences and small facts


async def test_preferences_are_set_and_removed(account):
    await account.set_preferences({"a": b"1", "b": b"2"})
    await account.set_preferences({"a": None, "b": b"3", "never there": None})
    assert await account.preferences() == {"b": b"3"}
    with pytest.raises(LimitReached):
        await account.set_preferences({"c": b"x" * 65_537})
    with pytest.raises(LimitReached):
        await account.set_preferences({f"k{number}": b"" for number in range(201)})
    assert await account.preferences() == {"b": b"3"}


async def test_a_fact_is_remembered_once_until_it_runs_out(account, house):
    now = house.clock.now()
    until = now + timedelta(days=7)
    assert await account.remember_first("vacation", "bob@x", now, until)
    assert not await account.remember_first("vacation", "bob@x", now + timedelta(days=6), until)
    assert await account.remember_first("duplicate", "bob@x", now, now + timedelta(seconds=1))
    assert await account.remembered("vacation", now) == {"bob@x"}
    assert await account.remembered("vacation", until) == frozenset()
    assert await account.remember_first("vacation", "bob@x", until, until + timedelta(days=7))


async def test_of_many_at_once_one_is_the_first(account, house):
    now = house.clock.now()
    first = await asyncio.gather(
        *(account.remember_first("vacation", "bob@x", now, now + timedelta(days=1)) for _ in range(20))
    )
    assert sorted(first) == [False] * 19 + [True]


async def test_remembered_facts_are_bounded(account, house, monkeypatch):
    monkeypatch.setattr("mailstead.storage.embedded.filters.REMEMBERED_MAX", 5)
    now = house.clock.now()
    for number in range(8):
        await account.remember_first("duplicate", f"m{number}", now, now + timedelta(days=number + 1))
    assert await account.remembered("duplicate", now) == {"m3", "m4", "m5", "m6", "m7"}


# junk


@pytest.fixture
def move(account):
    """Move all messages of one mailbox to another."""

    async def move(source: str, target: str):
        mailbox = await account.mailbox(source)
        return await account.move(mailbox.mailbox_id, ALL, target)

    return move


async def lessons(account):
    return [(lesson.is_junk, lesson.learned_as) for lesson in await account.junk_backlog(100)]


async def test_moving_into_junk_and_out_of_it_is_a_lesson(account, fill, move):
    await fill(1)
    assert await lessons(account) == []
    await move("INBOX", "Junk")
    (lesson,) = await account.junk_backlog(10)
    snapshot = await account.snapshot("Junk")
    (record,) = await account.fetch(snapshot.mailbox.mailbox_id, ALL, 0)
    assert (lesson.blob_id, lesson.size_octets) == (record.blob_id, record.size_octets)
    assert (lesson.is_junk, lesson.learned_as) == (True, None)
    await move("Junk", "INBOX")
    assert await lessons(account) == [(False, None)]
    await move("INBOX", "Archive")
    assert await lessons(account) == [(False, None)]


async def test_copies_and_appends_by_hand_are_lessons_and_deliveries_are_not(account, fill, make):
    inbox = await fill(1)
    await account.append("Junk", [make(2)], is_delivery=True)
    assert await lessons(account) == []
    await account.append("Junk", [make(3)])
    await account.copy(inbox.mailbox_id, ALL, "Junk")
    assert await lessons(account) == [(True, None), (True, None)]
    junk = await account.mailbox("Junk")
    await account.copy(junk.mailbox_id, ALL, "Archive")
    assert await lessons(account) == [(False, None)] * 3


async def test_throwing_away_is_no_lesson(account, make, move):
    await account.append("Junk", [make(1)], is_delivery=True)
    await move("Junk", "Trash")
    assert await lessons(account) == []


async def test_an_expunged_message_takes_its_lesson_along(account, fill, move):
    await fill(2)
    await move("INBOX", "Junk")
    junk = await account.mailbox("Junk")
    await account.expunge(junk.mailbox_id, UidSet([(1, 1)]), only_deleted=False)
    assert len(await account.junk_backlog(10)) == 1
    read = await account.junk_backlog(10)
    await account.delete_mailbox("Junk")
    assert await account.junk_backlog(10) == []
    with pytest.raises(TryAgainLater):
        await account.learn(read, {1: (0, 1)})
    assert await account.junk_counts([1]) == JunkCounts(0, 0, {})


async def test_learning_counts_and_takes_off_the_backlog(account, fill, move):
    await fill(3)
    await move("INBOX", "Junk")
    read = await account.junk_backlog(2)
    assert len(read) == 2
    await account.learn(read, {-(2**63): (0, 2), 2**63 - 1: (0, 1)})
    assert len(await account.junk_backlog(10)) == 1
    assert await account.junk_counts([-(2**63), 2**63 - 1, 5]) == JunkCounts(
        0, 2, {-(2**63): (0, 2), 2**63 - 1: (0, 1)}
    )


async def test_a_change_of_mind_is_unlearned(account, fill, move):
    await fill(1)
    await move("INBOX", "Junk")
    await account.learn(await account.junk_backlog(10), {7: (0, 1), 8: (0, 1)})
    await move("Junk", "INBOX")
    assert await lessons(account) == [(False, True)]
    await account.learn(await account.junk_backlog(10), {7: (1, -1), 8: (0, -3)})
    assert await account.junk_counts([7, 8]) == JunkCounts(1, 0, {7: (1, 0)})
    await move("INBOX", "Junk")
    await move("Junk", "INBOX")
    assert await lessons(account) == []


async def test_a_lesson_said_anew_while_it_was_read_is_not_learned_wrongly(account, fill, move):
    await fill(1)
    await move("INBOX", "Junk")
    read = await account.junk_backlog(10)
    await move("Junk", "INBOX")
    with pytest.raises(TryAgainLater):
        await account.learn(read, {7: (0, 1)})
    assert await account.junk_counts([7]) == JunkCounts(0, 0, {})
    again = await account.junk_backlog(10)
    await account.learn(again, {7: (1, 0)})
    with pytest.raises(TryAgainLater):  # another process has learned the same
        await account.learn(again, {7: (1, 0)})
    assert await account.junk_counts([7]) == JunkCounts(1, 0, {7: (1, 0)})


async def test_what_is_put_away_from_inbox_is_good_and_what_is_thrown_away_is_no_lesson(account, fill, move):
    await fill(2)
    await move("INBOX", "Archive")
    assert await lessons(account) == [(False, None)] * 2


async def test_what_is_forgotten_about_junk_is_not_taken_back_later(account, fill, move):
    await fill(2)
    await move("INBOX", "Junk")
    await account.learn(await account.junk_backlog(1), {7: (0, 1)})
    await account.forget_junk()
    assert await account.junk_backlog(10) == []
    assert await account.junk_counts([7]) == JunkCounts(0, 0, {})
    await move("Junk", "INBOX")
    assert {(each.is_junk, each.learned_as) for each in await account.junk_backlog(10)} == {(False, None)}
