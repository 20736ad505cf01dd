"""Leaving a list: one click only for what is signed, else mail from the own address, else a link; remembered."""

from datetime import timedelta

import pytest

from mailauth.zones import UNAVAILABLE
from mailstead.mailauth.dkim import load_key, new_keys, public_record, sign
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchMessage, PolicyRefused, WebFailed, WebRefused
from mailstead.model.people import Listing
from mailstead.model.queue import QueueQuery
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from mailstead.usecases.emails import Emails
from mailstead.usecases.identities import Identities
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from mailstead.usecases.unsubscribing import FORM, ONE_CLICK, Unsubscribing, Way
from services.smtp.smtp_house import HOSTNAME
from usecases.flow import NOW, PEER, message, open_flow

_, KEY = new_keys("friend.test", NOW, "s")
NAME = f"{KEY.selector}._domainkey.friend.test"
URL = "https://lists.friend.test/off?u=17"
POST = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
BOTH = f"List-Id: News <news.friend.test>\r\nList-Unsubscribe: <mailto:off@friend.test?subject=off>, <{URL}>\r\n"
MAIL = "List-Unsubscribe: <mailto:off@friend.test?subject=off&bcc=eve%40evil.test>, <mailto:off2@friend.test>\r\n"
LINK = f"List-Unsubscribe: <{URL}>\r\n"


class Web:
    """The web, as it was asked."""

    def __init__(self):
        self.asked = []
        self.status = 202

    async def post(self, url, octets, headers, **how):
        self.asked.append((url, octets, dict(headers)))
        if isinstance(self.status, Exception):
            raise self.status
        return WebResponse(self.status)


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path, zones={NAME: {"TXT": [public_record(KEY)]}}) as opened:
        yield opened


@pytest.fixture
async def alice(flow):
    return await flow.actor("alice")


@pytest.fixture
def web():
    return Web()


@pytest.fixture
def messages(flow):
    return Messages(flow.house.mailboxes)


@pytest.fixture
def make(flow, messages):
    def make(web):
        house = flow.house
        identities = Identities(
            house.storage, house.addresses, house.mailboxes, messages, OwnPreferences(house.storage), hostname=HOSTNAME
        )
        emails = Emails(house.storage, house.submissions, recipients_max=10)
        return Unsubscribing(house.mailboxes, messages, emails, identities, house.resolver, web, hostname=HOSTNAME)

    return make


@pytest.fixture
def unsubscribing(make, web):
    return make(web)


@pytest.fixture
def arrive(flow, messages, alice):
    async def arrive(fields, *, signs=True, behind="", to="alice@example.test"):
        """Receive a message of a list; fields `behind` are added after it was signed. Gives its id."""
        octets = message("ann@friend.test", header=fields)
        if signs:
            octets = behind.encode() + sign(octets, [load_key(KEY)], flow.clock.now()) + octets
        await flow.receive(to, octets=octets)
        page = await messages.find(alice, MessageQuery(folder="INBOX"), Listing())
        return page.items[0].place.object_id

    return arrive


async def sent(flow):
    items = await flow.storage.queue.items(QueueQuery())
    return [(str(item.mail_from), [str(each.recipient.address) for each in item.recipients]) for item in items]


async def test_one_click_where_the_fields_are_signed(flow, unsubscribing, web, arrive, alice):
    object_id = await arrive(BOTH + POST)
    state = await unsubscribing.state(alice, object_id)
    assert (state.way, state.target, state.list_name, state.done_at) == (
        Way.ONE_CLICK, "lists.friend.test", "News", None
    )  # fmt: skip
    assert web.asked == []
    done = await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert web.asked == [(URL, ONE_CLICK, FORM)]
    assert (done.done_at, done.done_way) == (flow.clock.now(), Way.ONE_CLICK)
    assert await sent(flow) == []


async def test_it_is_remembered_for_all_messages_of_the_list_and_done_once(flow, unsubscribing, web, arrive, alice):
    first = await arrive(BOTH + POST)
    done = await unsubscribing.unsubscribe(alice, PEER, first)
    assert await unsubscribing.unsubscribe(alice, PEER, first) == done
    assert len(web.asked) == 1
    flow.clock.advance(days=2)
    second = await arrive(BOTH.replace("u=17", "u=18") + POST)
    assert (await unsubscribing.state(alice, second)).done_at == done.done_at
    again = await unsubscribing.unsubscribe(alice, PEER, second)
    assert again.done_at == done.done_at + timedelta(days=2)
    assert len(web.asked) == 2
    other = await arrive(LINK + "List-Id: <other.friend.test>\r\n")
    assert (await unsubscribing.state(alice, other)).done_at is None
    bob = await flow.actor("bob")
    with pytest.raises(NoSuchMessage):
        await unsubscribing.state(bob, first)


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        (BOTH + POST, {"signs": False}),
        (BOTH, {"behind": POST}),
        (POST, {"behind": BOTH}),
        (BOTH + POST, {"behind": "List-Unsubscribe: <https://evil.test/>\r\n"}),
        (BOTH + POST, {"behind": POST}),
        (BOTH + POST.replace("One-Click", "Two-Clicks"), {}),
        (BOTH.replace("https:", "http:") + POST, {}),
    ],
    ids=["not signed", "post not signed", "uri not signed", "second uri", "second post", "other word", "no https"],
)
async def test_attack_028_no_click_for_what_nobody_has_signed(unsubscribing, web, arrive, alice, fields, how):
    """RFC 8058 §4: else anybody could let our server call whatever he likes."""
    object_id = await arrive(fields, **how)
    assert (await unsubscribing.state(alice, object_id)).way is not Way.ONE_CLICK
    await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert web.asked == []


@pytest.mark.parametrize("record", [["v=DKIM1; p="], UNAVAILABLE])
async def test_attack_028_it_is_verified_again_before_anything_is_called(
    flow, unsubscribing, web, arrive, alice, record
):
    object_id = await arrive(BOTH + POST)
    flow.smtp.zones.names[NAME] = {"TXT": record}
    assert (await unsubscribing.state(alice, object_id)).way is Way.ONE_CLICK
    done = await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert web.asked == []
    assert done.done_way is Way.MAIL


async def test_attack_028_what_a_program_has_put_here_is_not_clicked(unsubscribing, web, messages, alice, flow):
    octets = message("ann@friend.test", header=LINK + POST)
    view = await messages.append(alice, "INBOX", sign(octets, [load_key(KEY)], flow.clock.now()) + octets, [])
    state = await unsubscribing.unsubscribe(alice, PEER, view.place.object_id)
    assert (state.way, state.link, state.done_at) == (Way.LINK, URL, None)
    assert web.asked == []


async def test_by_mail_from_the_address_that_was_written_to(flow, unsubscribing, arrive, alice):
    await flow.alias("shop", Address("alice", "example.test"))
    object_id = await arrive(MAIL, to="shop@example.test")
    state = await unsubscribing.state(alice, object_id)
    assert (state.way, state.target) == (Way.MAIL, "off2@friend.test")  # the first would tell a third party, too
    done = await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert done.done_way is Way.MAIL
    assert await sent(flow) == [("shop@example.test", ["off2@friend.test"])]
    (item,) = await flow.storage.queue.items(QueueQuery())
    octets = await flow.octets(item)
    assert b"Subject: unsubscribe\r\n" in octets


async def test_what_can_only_be_opened_is_shown(unsubscribing, web, arrive, alice):
    object_id = await arrive(LINK, signs=False)
    state = await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert (state.way, state.link, state.target, state.done_at) == (Way.LINK, URL, "lists.friend.test", None)
    assert web.asked == []


async def test_a_message_that_says_nothing(unsubscribing, arrive, alice):
    object_id = await arrive("")
    assert (await unsubscribing.state(alice, object_id)).way is Way.NONE
    with pytest.raises(PolicyRefused):
        await unsubscribing.unsubscribe(alice, PEER, object_id)


@pytest.mark.parametrize("status", [302, 404, 500, WebRefused(), WebFailed()])
async def test_a_list_that_does_not_take_it_is_not_remembered(unsubscribing, web, arrive, alice, status):
    object_id = await arrive(BOTH + POST)
    web.status = status
    with pytest.raises((WebFailed, WebRefused)):
        await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert (await unsubscribing.state(alice, object_id)).done_at is None
    web.status = 200
    assert (await unsubscribing.unsubscribe(alice, PEER, object_id)).done_at is not None


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/x", "https://in.test/"]
)
async def test_attack_037_a_signed_message_does_not_lead_us_inside(flow, make, arrive, alice, url):
    flow.smtp.zones.names["in.test"] = {"A": ["10.0.0.1"]}
    client = SafeWebClient(flow.smtp.zones, allows_private=False, ca_file="", hostname=HOSTNAME)
    object_id = await arrive(LINK.replace(URL, url) + POST)
    unsubscribing = make(client)
    assert (await unsubscribing.state(alice, object_id)).way is Way.ONE_CLICK
    with pytest.raises(WebRefused):
        await unsubscribing.unsubscribe(alice, PEER, object_id)
    assert (await unsubscribing.state(alice, object_id)).done_at is None
