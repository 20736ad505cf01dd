"""Why a message is here, told from what was noted; and from which address one answers it."""

from dataclasses import replace

import pytest

from mailstead.model.address import Address
from mailstead.model.errors import NoSuchMessage, NotAllowed
from mailstead.model.people import Listing
from mailstead.model.preferences import IdentityText
from mailstead.usecases.identities import Identities
from mailstead.usecases.message_reasons import SENTENCES, MessageReasons
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.own_preferences import OwnPreferences
from services.smtp.smtp_house import HOSTNAME
from usecases.flow import ADMIN, message, open_flow

ALICE, BOB = Address("alice", "example.test"), Address("bob", "example.test")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


@pytest.fixture
async def alice(flow):
    return await flow.actor("alice")


@pytest.fixture
def messages(flow):
    return Messages(flow.house.mailboxes)


@pytest.fixture
def reasons(flow, messages):
    house = flow.house
    return MessageReasons(
        house.storage, house.addresses, house.mailboxes, messages, house.junk_filter, hostname=HOSTNAME
    )


@pytest.fixture
def preferences(flow):
    return OwnPreferences(flow.storage)


@pytest.fixture
def identities(flow, messages, preferences):
    house = flow.house
    return Identities(house.storage, house.addresses, house.mailboxes, messages, preferences, hostname=HOSTNAME)


async def newest(messages, actor, folder=""):
    page = await messages.find(actor, MessageQuery(folder=folder), Listing())
    return page.items[0].place.object_id


async def told(reasons, messages, actor, folder=""):
    """Give reasons by code; of several the last."""
    explained = await reasons.explain(actor, await newest(messages, actor, folder))
    for reason in explained.reasons:
        assert SENTENCES[reason.code].format(**reason.values)
    return {reason.code: dict(reason.values) for reason in explained.reasons}, explained


async def test_a_message_from_outside_to_ones_own_address(flow, reasons, messages, alice):
    octets = message("ann@friend.test").replace(b"you@", b"alice@")
    await flow.receive("alice@example.test", octets=octets)
    found, explained = await told(reasons, messages, alice)
    assert "from-outside" in found
    assert found["to-account"] == {"address": "alice@example.test"}
    assert "not-named" not in found
    assert found["filed"] == {"mailbox": "INBOX"}
    assert found["authentication"]["method"] == "dmarc"
    methods = {each.values["method"]: each.values["result"] for each in explained.reasons if "method" in each.values}
    assert methods["spf"] == "pass"
    assert "junk-not-learned" in found
    assert explained.rcpt_to == Address("alice", "example.test")


async def test_the_way_by_which_it_came_is_named(flow, reasons, messages, alice):
    await flow.alias("shop", ALICE)
    await flow.receive("shop@example.test")
    found, _ = await told(reasons, messages, alice)
    assert found["to-alias"] == {"address": "shop@example.test"}
    assert "not-named" in found
    await flow.receive("alice+news@example.test")
    found, _ = await told(reasons, messages, alice)
    assert found["to-detail"] == {"address": "alice+news@example.test", "of": "alice@example.test"}
    await flow.house.aliases.set_catch_all(ADMIN, "example.test", [ALICE])
    await flow.receive("whoever@example.test")
    found, _ = await told(reasons, messages, alice)
    assert found["to-catch-all"] == {"address": "whoever@example.test", "domain": "example.test"}
    await flow.house.aliases.remove(ADMIN, Address("shop", "example.test"))


async def test_a_rule_that_has_filed_it_is_named(flow, reasons, messages, alice):
    await flow.script("alice", 'require "fileinto"; fileinto "Archive";')
    await flow.receive("alice@example.test")
    found, _ = await told(reasons, messages, alice, "Archive")
    assert "Archive" in found["rule"]["note"]
    assert found["filed"] == {"mailbox": "Archive"}


async def test_a_list_and_a_program_are_named(flow, reasons, messages, alice):
    header = "List-Id: News <news.friend.test>\r\nAuto-Submitted: auto-generated\r\n"
    await flow.receive("alice@example.test", octets=message("ann@friend.test", header=header))
    found, explained = await told(reasons, messages, alice)
    assert found["list"] == {"name": "News", "id": "news.friend.test"}
    assert "automatic" in found
    assert explained.list_fields.list_id == "news.friend.test"


async def test_ones_own_mail_and_what_was_put_here(flow, reasons, messages, alice):
    await messages.append(alice, "Sent", message("alice@example.test"), [])
    assert "sent-by-you" in (await told(reasons, messages, alice, "Sent"))[0]
    await messages.append(alice, "Archive", message("ann@friend.test"), [])
    assert "not-received" in (await told(reasons, messages, alice, "Archive"))[0]
    await flow.submit("alice@example.test", name="bob")
    assert "from-here" in (await told(reasons, messages, alice, "INBOX"))[0]


async def test_words_of_the_junk_filter_are_told(flow, reasons, messages, alice):
    for number in range(6):
        for folder, text in (("Junk", "casino pills winner"), ("INBOX", "budget agenda minutes")):
            octets = message(f"x{number}@friend.test", f"{text} {number}", body=f"{text} {number}\r\n")
            view = await messages.append(alice, folder, octets, [])
            if folder == "INBOX":
                store = flow.house.mailboxes.of(alice)
                chosen = (await store.snapshot("INBOX")).uids
                await store.move(view.mailbox.mailbox_id, chosen, "Junk")
                await store.move((await store.mailbox("Junk")).mailbox_id, chosen, "Archive")
    _, explained = await told(reasons, messages, alice, "Junk")
    codes = {each.code for each in explained.reasons}
    assert ("junk-score" in codes) == bool(explained.words)


async def test_attack_092_a_forged_stamp_tells_nothing_of_others(flow, reasons, messages, alice):
    queue_id = await flow.receive("bob@example.test")
    await flow.alias("secret", BOB)
    for address in ("secret@example.test", "bob@example.test", "nobody@example.test"):
        forged = (
            f"Return-Path: <>\r\nDelivered-To: alice@example.test\r\nReceived: from x ([192.0.2.1])\r\n\tby {HOSTNAME}"
            f" with ESMTP id {queue_id}\r\n\tfor <{address}>; Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        ).encode() + message("ann@friend.test", address.partition("@")[0])
        await messages.append(alice, "INBOX", forged, [])
        found, _ = await told(reasons, messages, alice, "INBOX")
        assert found["to-unknown"] == {"address": address}
        assert {"filed", "check", "rule"} & found.keys() == set()


async def test_attack_092_others_messages_are_not_there(flow, reasons, identities, messages, alice):
    await flow.receive("bob@example.test")
    object_id = await newest(messages, await flow.actor("bob"))
    with pytest.raises(NoSuchMessage):
        await reasons.explain(alice, object_id)
    with pytest.raises(NoSuchMessage):
        await identities.answering(alice, object_id)
    with pytest.raises(NotAllowed):
        await identities.find(ADMIN)


async def test_all_addresses_that_one_may_send_from_with_their_texts(flow, identities, preferences, alice):
    await flow.alias("shop", ALICE)
    await flow.alias("both", ALICE, BOB)
    off = await flow.alias("off", ALICE)
    await flow.house.aliases.disable(ADMIN, off)
    await preferences.change(
        alice,
        lambda there: replace(
            there,
            display_name="Alice",
            signature="A.",
            default_identity="shop@example.test",
            identities={"shop@example.test": IdentityText("The shop", "")},
        ),
    )
    found = await identities.find(alice)
    assert (str(found[0].address), found[0].display_name, found[0].signature, found[0].is_default) == (
        "shop@example.test", "The shop", "", True
    )  # fmt: skip
    assert (str(found[1].address), found[1].display_name, found[1].signature, found[1].is_main) == (
        "alice@example.test", "Alice", "A.", True
    )  # fmt: skip
    assert {str(each.address) for each in found} == {f"{name}@example.test" for name in ("shop", "alice", "sales")}
    assert await identities.default(alice) == found[0]


async def test_one_answers_from_the_address_that_was_written_to(flow, identities, messages, alice):
    await flow.alias("shop", ALICE)
    for written_to, answered_from in [
        ("shop@example.test", "shop@example.test"),
        ("alice@example.test", "alice@example.test"),
        ("alice+news@example.test", "alice+news@example.test"),
    ]:
        await flow.receive(written_to)
        answering = await identities.answering(alice, await newest(messages, alice))
        assert (str(answering.identity.address), answering.wanted) == (answered_from, None)


async def test_an_answer_to_what_came_by_a_catch_all_says_which_address_was_meant(flow, identities, messages, alice):
    await flow.house.aliases.set_catch_all(ADMIN, "example.test", [ALICE])
    await flow.receive("whoever@example.test")
    answering = await identities.answering(alice, await newest(messages, alice))
    assert str(answering.identity.address) == "alice@example.test"
    assert str(answering.wanted) == "whoever@example.test"


async def test_one_goes_on_from_where_one_wrote_and_from_what_is_named(flow, identities, messages, alice):
    await flow.alias("shop", ALICE)
    await messages.append(alice, "Sent", message("shop@example.test"), [])
    assert str((await identities.answering(alice, await newest(messages, alice, "Sent"))).identity.address) == (
        "shop@example.test"
    )
    octets = message("ann@friend.test", "named").replace(b"you@example.test", b"x@y.test, shop@example.test")
    await messages.append(alice, "Archive", octets, [])
    assert str((await identities.answering(alice, await newest(messages, alice, "Archive"))).identity.address) == (
        "shop@example.test"
    )
