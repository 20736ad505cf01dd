"""What a page is told: of what something changed, which mail came unread; no more when the session is over."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAlias, RateLimited
from mailstead.model.flags import FLAGGED, FlagOperation
from mailstead.model.people import Listing
from mailstead.model.secret import Secret
from mailstead.model.uidset import UidSet
from mailstead.pim.card_form import CardForm
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.cards import ContactWish
from mailstead.usecases.live_news import NAMED_MAX, Arrival, Kind, LiveNews, LiveTerms, News
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.staging import Staging
from usecases.api_home import api_home, event

MESSAGE = b"From: =?utf-8?q?Bo=CC=88b?= <bob@example.test>\r\nSubject: Lunch\r\n\r\nHello, Alice\r\n"
LIMIT_S = 20
MAIL = frozenset({Kind.MAIL})


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def live_news(storage, bus, accounts):
    return LiveNews(AccountEvents(storage, bus), accounts, LiveTerms(of_account=2, in_all=3))


@pytest.fixture
async def actor(alice, accounts, peer):
    """As she logged in: who came in with nothing would be sent out at once."""
    return await accounts.log_in(str(alice.address), Secret("pw-never-in-a-log-alice"), peer, "web")


async def told(feed):
    async with asyncio.timeout(LIMIT_S):
        return await feed.next()


async def test_what_came_is_told_with_sender_and_subject(live_news, mailboxes, actor):
    async with live_news.watched(actor) as feed:
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        assert await told(feed) == News(MAIL, (Arrival("Bo\u0308b", "Lunch", "INBOX"),), 1)
        await mailboxes.append(actor, "Sent", [Draft(MESSAGE.replace(b"Lunch", b"Mine"))])
        assert await told(feed) == News(MAIL)  # something has changed, and nobody need be told what
        store = mailboxes.of(actor)
        inbox = await store.mailbox("INBOX")
        await store.store_flags(inbox.mailbox_id, UidSet.of([1]), FlagOperation.ADD, [FLAGGED])
        assert await told(feed) == News(MAIL)
    assert live_news.open_count == 0


async def test_what_programs_change_is_told_by_its_kind(live_news, mailboxes, storage, clock, actor):
    home = api_home(storage, clock)
    await home.calendars.find(actor, Listing())
    async with live_news.watched(actor) as feed:
        made = await home.events.create(actor, "default", event("one"))
        assert await told(feed) == News(frozenset({Kind.CALENDAR}))
        await home.events.delete(actor, made.object_id)
        assert await told(feed) == News(frozenset({Kind.CALENDAR}))
        await home.cards.create(actor, ContactWish(form=CardForm("Ada")))
        assert await told(feed) == News(frozenset({Kind.CONTACTS}))
        # Of what comes at once no kind is lost.
        await home.cards.create(actor, ContactWish(form=CardForm("Bea")))
        await mailboxes.append(actor, "Sent", [Draft(MESSAGE)])
        kinds = set()
        while kinds != {Kind.CONTACTS, Kind.MAIL}:
            kinds |= (await told(feed)).kinds


async def test_attack_010_what_waits_for_a_slow_page_is_bounded(live_news, mailboxes, actor):
    async with live_news.watched(actor) as feed, live_news.watched(actor) as other:
        drafts = [Draft(MESSAGE.replace(b"Lunch", b"Lunch %d" % number)) for number in range(NAMED_MAX + 7)]
        await mailboxes.append(actor, "INBOX", drafts)
        await told(other)
        news = await told(feed)
        assert news.arrival_count == len(drafts)
        assert [each.subject for each in news.arrivals] == [f"Lunch {number}" for number in range(7, NAMED_MAX + 7)]


async def test_attack_064_it_ends_when_the_password_is_another_one(live_news, mailboxes, accounts, admin, actor, bob):
    async with live_news.watched(actor) as feed:
        waiting = asyncio.create_task(told(feed))
        await accounts.set_password(admin, bob.address, Secret("pw-never-in-a-log-another"))
        await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
        assert (await waiting).arrival_count == 1  # what others change is nothing to her
        waiting = asyncio.create_task(told(feed))
        await accounts.set_password(admin, actor.address, Secret("pw-never-in-a-log-another"))
        assert await waiting is None
        assert feed.has_ended


async def test_attack_098_only_so_many_look_at_once(live_news, actor):
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(live_news.watched(actor))
        with pytest.raises(RateLimited):
            await stack.enter_async_context(live_news.watched(actor))
        assert live_news.open_count == 2
    assert live_news.open_count == 0
    async with live_news.watched(actor):
        assert live_news.open_count == 1


async def test_attack_092_who_has_no_mailbox_hears_nothing(live_news, admin):
    for nobody in (admin, Actor(None, None)):
        with pytest.raises(NoSuchAlias):
            async with live_news.watched(nobody):
                pass
