"""Every way in which a walk finds its matches gives the same ones: windows, a full look, order put in at once."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.mime.facts import message_facts
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.message import NewMessage, Wanted
from mailstead.model.search import And, Contains, HasFlag, Not, Or, TextField, Uids
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import newest_first

DAY = datetime(2026, 11, 1, tzinfo=UTC)
COUNT = 600
NEEDLE = Contains(TextField.BODY, "needle")
WAYS = {
    "windows": {"WINDOW": 3, "WINDOWS": 10**6, "RARE": 10**6, "WIDE": 10**6, "ALONE": 0},
    "one_by_one": {"WINDOW": 3, "WINDOWS": 10**6, "RARE": 10**6, "WIDE": 10**6, "ALONE": 10**6},
    "wide": {"WINDOW": 3, "WINDOWS": 10**6, "RARE": 10**6, "WIDE": 0, "FEW": 5, "SOME": 5, "ALONE": 0},
    "rare": {"WINDOW": 10, "RARE": 1},
    "few": {"WINDOW": 5, "WINDOWS": 1, "RARE": 10**6},
    "some": {"WINDOW": 5, "WINDOWS": 1, "FEW": 5},
    "many": {"WINDOW": 5, "WINDOWS": 1, "FEW": 5, "SOME": 5},
    "merged_here": {"MERGED_IN_SQL_MAX": 0, "WINDOW": 7},
}
KEYS = {
    "needle": (NEEDLE, lambda one: one[3]),
    "flagged": (HasFlag(FLAGGED), lambda one: one[5]),
    "needle_unread": (And((NEEDLE, Not(HasFlag(SEEN)))), lambda one: one[3] and not one[4]),
    "needle_flagged": (And((HasFlag(FLAGGED), And((NEEDLE,)))), lambda one: one[3] and one[5]),
    "needle_in_odd": (And((NEEDLE, Uids(UidSet.of(range(1, COUNT, 2))))), lambda one: one[3] and one[2] % 2),
    "two": (And((NEEDLE, Contains(TextField.BODY, "hay"))), lambda one: False),
    "either": (Or((NEEDLE, Contains(TextField.BODY, "is nowhere"), HasFlag(FLAGGED))), lambda one: one[3] or one[5]),
    "long": (Contains(TextField.BODY, "a needle " * 20), lambda one: False),
}


@pytest.fixture
async def filled(files, account_id):
    """Two mailboxes with dates that have nothing to do with the order of arrival; and what is in them."""
    opened = files.open()
    await opened.accounts.create(account_id, [("INBOX", None), ("Archive", None)])
    account = opened.accounts.of(account_id)
    chance, model = random.Random(5), []
    for name, count in (("INBOX", COUNT), ("Archive", 100)):
        mailbox_id, messages = (await account.mailbox(name)).mailbox_id, []
        for uid in range(1, count + 1):
            hours, has_needle, is_seen, is_flagged = (
                chance.randrange(200),
                *(chance.random() < p for p in (0.4, 0.7, 0.1)),
            )
            octets = f"Message-ID: <{name}{uid}@x>\r\n\r\n{'a needle' if has_needle else 'hay'}\r\n".encode()
            flags = frozenset([SEEN] * is_seen + [FLAGGED] * is_flagged)
            messages.append(NewMessage(octets, message_facts(octets), DAY + timedelta(hours=hours), flags))
            at_s = int((DAY + timedelta(hours=hours)).timestamp())
            model.append((at_s, mailbox_id, uid, has_needle, is_seen, is_flagged))
        await account.append(name, messages)
    while await account.index_some(1000):
        pass
    return account, model


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_gives_the_same(filled, monkeypatch, way):
    account, model = filled
    for name, value in WAYS[way].items():
        assert hasattr(newest_first, name)
        monkeypatch.setattr(newest_first, name, value)
    both = sorted({one[1] for one in model})
    for mailbox_ids in (both, both[:1]):
        for name, (key, matches) in KEYS.items():
            expected = sorted((one[:3] for one in model if one[1] in mailbox_ids and matches(one)), reverse=True)
            found = await account.newest(mailbox_ids, key, 7, 1000, Wanted.NARROW)
            assert found.message_count == len(expected), name
            assert [(box, record.uid) for box, record in found.messages] == [one[1:] for one in expected[7:]], name
            marks, before = [], None
            while True:
                page = await account.conversations(mailbox_ids, [], key, before, 90)
                marks += [tuple(one.mark) for one in page.conversations]
                if not page.has_more:
                    break
                before = page.conversations[-1].mark
            assert marks == expected, name


@pytest.mark.parametrize(("widest", "asks_for_all"), [(10**6, False), (1, True)])
async def test_what_fills_the_page_soon_is_not_asked_of_the_whole_index(filled, monkeypatch, widest, asks_for_all):
    """Two of five match: the first window tells how wide the next must be, unless that is too wide."""
    account, model = filled
    asked = []
    everything = newest_first.Walk._everything
    monkeypatch.setattr(newest_first, "WINDOW", 10)
    monkeypatch.setattr(newest_first, "RARE", widest)
    monkeypatch.setattr(newest_first.Walk, "_everything", lambda walk: asked.append(1) or everything(walk))
    inbox = min(one[1] for one in model)
    page = await account.conversations([inbox], [], NEEDLE, None, 50)
    expected = sorted((one[:3] for one in model if one[1] == inbox and one[3]), reverse=True)
    assert [tuple(one.mark) for one in page.conversations] == expected[:50]
    assert bool(asked) is asks_for_all
