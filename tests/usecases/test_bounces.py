"""Bounces of what we have sent on: they end here and are shown; what is none is refused."""

import pytest

from mailstead.config.settings import Relay, Settings
from mailstead.mime.dsn import Action, RecipientReport, StatusReport, compose
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchAddress, NotAllowed, NotOurDomain
from mailstead.model.queue import ItemKind
from usecases.flow import ANN, EVE, NOBODY, NOW, message, open_flow, rcpt

AWAY = Address("away", "example.test")


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


async def sent_on(flow, **how):
    """Send a message on through away@; give the rewritten sender, and the octets that went out."""
    await flow.receive("away", **how)
    await flow.work()
    sent = flow.remote.sent[-1]
    return sent.envelope.mail_from, sent.octets


def bounce(to, original, address="x@elsewhere.test", action=Action.FAILED, diagnostic="No such user"):
    recipient = RecipientReport(Address.parse(address), action, "5.1.1", diagnostic, 550, "mx.elsewhere.test")
    return compose(
        StatusReport(
            "mx.elsewhere.test", to, Address("mailer-daemon", "elsewhere.test"), "b@elsewhere.test", "=_b", NOW, NOW,
            None, (recipient,), original,
        )
    )  # fmt: skip


async def test_a_bounce_is_absorbed_and_shown_on_the_alias(flow):
    sender, octets = await sent_on(flow)
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))
    [shown] = await flow.house.bounces.of(AWAY)
    assert (shown.recipient, shown.status) == ("x@elsewhere.test", "5.1.1")
    assert "No such user" in shown.text
    assert await flow.stored("alice") == []
    assert [item.kind for item in await flow.smtp.queued()] == [ItemKind.FORWARD]
    flow.clock.advance(days=31)
    assert await flow.house.bounces.of(AWAY) == []


async def test_of_several_bounces_the_newest_is_shown(flow):
    sender, octets = await sent_on(flow)
    for text in ("first", "second"):
        await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets, diagnostic=text))
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets, address="y@elsewhere.test"))
    shown = {each.recipient: each.text for each in await flow.house.bounces.of(AWAY)}
    assert shown.keys() == {"x@elsewhere.test", "y@elsewhere.test"}
    assert "second" in shown["x@elsewhere.test"]


@pytest.mark.parametrize("action", [Action.DELAYED, Action.DELIVERED, Action.RELAYED])
async def test_other_reports_are_taken_and_shown_nowhere(flow, action):
    sender, octets = await sent_on(flow)
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets, action=action))
    assert await flow.house.bounces.of(AWAY) == []


async def test_what_is_no_report_is_absorbed_too(flow):
    sender, _ = await sent_on(flow)
    queue_id = await flow.receive(str(sender), mail_from=None, octets=message("robot@elsewhere.test", "Out of office"))
    assert await flow.stored("alice") == []
    assert ("bounce", "absorbed", "no report in it", str(sender)) in await flow.trace(queue_id=queue_id)


async def test_a_report_shows_nothing_on_aliases_of_others(flow):
    """Who was sent one message could else put texts before the eyes of everybody."""
    sender, octets = await sent_on(flow)
    forged = octets.replace(b"X-Original-To: away@example.test", b"X-Original-To: ceo@other.test")
    assert forged != octets
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, forged))
    assert await flow.house.bounces.of(Address("ceo", "other.test")) == []


async def test_attack_014_a_return_address_takes_bounces_only(flow):
    sender, _ = await sent_on(flow)
    for mail_from in (ANN, EVE, Address("alice", "example.test")):
        with pytest.raises(NotAllowed, match="bounces only"):
            await flow.receive(str(sender), mail_from=mail_from)
    with pytest.raises(NotAllowed):
        await flow.submit(str(sender))
    assert len(await flow.smtp.queued()) == 1


async def test_attack_014_a_forged_return_address_is_unknown(flow):
    sender, _ = await sent_on(flow)
    text = str(sender)
    _, digest, days, rest = text.split("=", 3)
    forged = [
        text.replace(digest, "A" * len(digest)),
        text.replace("=ann@", "=eve@"),
        text.replace("friend.test", "victim.test"),
        f"SRS0={digest}=AA={rest}",
        f"SRS0={digest[:4]}={days}={rest}",
        "SRS0=AAAA=AA=victim.test=x@example.test",
        "SRS1=AAAA=victim.test==BBBB=AA=z.test=x@example.test",
        f"SRSH={digest}={days}=name@example.test",
    ]
    for each in forged:
        with pytest.raises(NoSuchAddress):
            await flow.receive(each, mail_from=None)
    with pytest.raises(NotOurDomain):
        await flow.receive(text.replace("@example.test", "@elsewhere.test"), mail_from=None)
    assert len(await flow.smtp.queued()) == 1


async def test_attack_014_an_old_return_address_has_expired(flow):
    sender, octets = await sent_on(flow)
    flow.clock.advance(days=10)
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))
    flow.clock.advance(days=1)
    with pytest.raises(NoSuchAddress, match="expired"):
        await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))


async def test_attack_014_nothing_goes_back_through_a_return_address(flow):
    """Not even a bounce is sent to whom the address names: it ends here."""
    sender, octets = await sent_on(flow)
    before = len(flow.remote.sent)
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))
    await flow.work()
    assert len(flow.remote.sent) == before


async def test_a_sender_too_long_for_rewriting_gets_a_handle_that_takes_bounces(flow):
    long = Address("a" * 64, "friend.test")
    sender, octets = await sent_on(flow, mail_from=long)
    assert str(sender).startswith("SRSH=")
    await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))
    assert len(await flow.house.bounces.of(AWAY)) == 1


async def test_a_house_may_have_one_domain_for_rewritten_senders(tmp_path):
    async with open_flow(tmp_path, settings=Settings(relay=Relay(srs_domain="srs.test"))) as flow:
        sender, octets = await sent_on(flow)
        assert sender.domain == "srs.test"
        await flow.receive(str(sender), mail_from=None, octets=bounce(sender, octets))
        assert len(await flow.house.bounces.of(AWAY)) == 1


async def test_a_failure_that_we_see_ourselves_is_shown_on_the_alias(flow):
    flow.remote.say("elsewhere.test", NOBODY)
    await flow.receive(rcpt("away", "NEVER"))
    await flow.work()
    [shown] = await flow.house.bounces.of(AWAY)
    assert (shown.recipient, shown.status, shown.text) == ("x@elsewhere.test", "5.1.1", "No such user")
