"""What authors are told, and what they are not."""

import pytest

from mailstead.mime.dsn import Action, parse_dsn
from mailstead.mime.header import first_values
from mailstead.model.address import Address
from mailstead.model.directory import HostTarget, WebhookTarget
from mailstead.model.queue import ItemKind
from mailstead.ports.web import WebResponse
from usecases.flow import ADMIN, ANN, EVE, NOBODY, header_of, message, open_flow, rcpt

X = "x@elsewhere.test"


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        opened.remote.say("elsewhere.test", NOBODY)
        yield opened


async def sent_notices(flow, to=ANN):
    await flow.work()
    return [each for each in flow.remote.sent if each.recipients == [str(to)]]


async def test_a_notice_names_the_recipient_the_reason_and_the_message(flow):
    await flow.submit(rcpt(X, orcpt="rfc822;first@list.test"), octets=message("alice@example.test", "lost"), envid="e3")
    await flow.work()
    [octets] = await flow.stored("alice")
    report = parse_dsn(octets)
    [each] = report.recipients
    assert (report.envid, report.reporting_mta) == ("e3", "mx.example.test")
    assert (each.address, each.original, each.action, each.status) == (X, "first@list.test", Action.FAILED, "5.1.1")
    assert (each.remote_mta, each.diagnostic) == ("mx.out.test", "550 5.1.1 No such user")
    assert b"\r\nSubject: lost\r\n" in report.returned_header
    fields = {name: value.strip() for name, value in first_values(header_of(octets)).items()}
    assert fields[b"from"] == b"Mail delivery <mailer-daemon@example.test>"
    assert fields[b"auto-submitted"] == b"auto-replied"
    assert fields[b"return-path"] == b"<>"
    assert b"dkim-signature" in fields


async def test_a_notice_has_no_sender_and_asks_for_no_notice(flow):
    await flow.receive("away")
    [notice] = await sent_notices(flow)
    assert notice.envelope.mail_from is None
    assert [each.notify for each in notice.envelope.recipients] == [{"NEVER"}]


async def test_a_notice_that_fails_causes_no_other(flow):
    flow.remote.say("friend.test", NOBODY)
    await flow.receive("away")
    await sent_notices(flow)
    flow.clock.advance(days=6)
    await flow.work()
    await flow.relays.sweep.once()
    assert [item.kind for item in await flow.smtp.queued()] == [ItemKind.FORWARD, ItemKind.NOTICE]


@pytest.mark.parametrize(
    ("notify", "is_told"),
    [((), True), (("FAILURE",), True), (("DELAY",), False), (("SUCCESS", "DELAY"), False), (("NEVER",), False)],
    ids=str,
)
async def test_failures_are_told_to_who_wants_to_know(flow, notify, is_told):
    await flow.receive(rcpt("away", *notify))
    reports = [parse_dsn(notice.octets) for notice in await sent_notices(flow)]
    actions = [each.action for report in reports for each in report.recipients]
    assert actions.count(Action.FAILED) == is_told


async def test_attack_017_strangers_get_no_notice_at_all(flow):
    await flow.receive(rcpt("away", "FAILURE", "DELAY", "SUCCESS"), mail_from=EVE)
    await flow.receive(rcpt("away", "FAILURE"), mail_from=None, octets=message(ANN))
    await flow.work()
    flow.clock.advance(days=6)
    await flow.work()
    await flow.relays.sweep.once()
    assert {item.kind for item in await flow.smtp.queued()} == {ItemKind.FORWARD}


@pytest.mark.parametrize("target", [Address.parse(X), HostTarget("elsewhere.test", 2525)], ids=["address", "host"])
async def test_where_an_alias_leads_is_told_to_nobody(flow, target):
    """Neither by what the remote server answers, nor by what is returned, nor by aliases in between."""
    middle = await flow.alias("middle", target)
    masked = await flow.house.aliases.mask(ADMIN, "example.test", [middle])
    await flow.receive(str(masked.address), ret="FULL")
    [notice] = await sent_notices(flow)
    [each] = parse_dsn(notice.octets).recipients
    assert (each.address, each.status, each.remote_mta, each.diagnostic) == (
        str(masked.address), "5.1.1", "", "550 5.1.1",
    )  # fmt: skip
    for secret in (b"elsewhere", b"middle", b"out.test", b"No such user"):
        assert secret not in notice.octets, secret


async def test_where_an_account_sends_on_is_told_to_nobody(flow):
    bob = Address("bob", "example.test")
    await flow.house.accounts.set_forwarding(ADMIN, bob, [Address.parse(X)], keeps_copy=False)
    masked = await flow.house.aliases.mask(ADMIN, "example.test", [bob])
    await flow.receive(str(masked.address))
    [notice] = await sent_notices(flow)
    assert parse_dsn(notice.octets).recipients[0].address == str(masked.address)
    assert b"bob" not in notice.octets
    assert b"elsewhere" not in notice.octets


async def test_a_webhook_that_is_gone_is_told_without_its_address(flow, monkeypatch):
    async def gone(url, octets, headers, **how):
        return WebResponse(410)

    monkeypatch.setattr(flow.house.web, "post", gone)
    await flow.alias("hook", WebhookTarget("https://hidden.test/path"))
    await flow.receive("hook")
    [notice] = await sent_notices(flow)
    assert parse_dsn(notice.octets).recipients[0].address == "hook@example.test"
    assert b"hidden" not in notice.octets


@pytest.mark.parametrize(
    ("ret", "body", "returns_body", "is_8bit"),
    [
        (None, "secret words", False, False),
        ("HDRS", "secret words", False, False),
        ("FULL", "secret words", True, False),
        ("FULL", "secret wörds", True, True),
        ("FULL", "secret words " * 5000, True, False),
        ("HDRS", "secret wörds", False, False),
    ],
)
async def test_attack_022_the_message_comes_back_whole_only_if_asked_for(flow, ret, body, returns_body, is_8bit):
    await flow.receive("away", octets=message(ANN, body=body + "\r\n"), ret=ret, body="8BITMIME")
    [notice] = await sent_notices(flow)
    assert (b"secret" in notice.octets) is returns_body
    assert notice.envelope.body == ("8BITMIME" if is_8bit else "7BIT")
    assert notice.octets.isascii() is not is_8bit


async def test_attack_022_what_is_large_comes_back_as_its_header(tmp_path):
    async with open_flow(tmp_path, message_octets_max=5_000_000, staged_octets_max=9_000_000) as flow:
        flow.remote.say("elsewhere.test", NOBODY)
        await flow.submit(X, octets=message("alice@example.test", body="secret words\r\n" * 90_000), ret="FULL")
        await flow.work()
        [notice] = await flow.stored("alice")
        assert b"secret" not in notice
        assert len(notice) < 10_000


async def test_all_recipients_of_an_attempt_are_told_in_one_notice(flow):
    await flow.submit(X, "y@elsewhere.test", "z@elsewhere.test")
    await flow.work()
    [octets] = await flow.stored("alice")
    assert [each.address for each in parse_dsn(octets).recipients] == [X, "y@elsewhere.test", "z@elsewhere.test"]
