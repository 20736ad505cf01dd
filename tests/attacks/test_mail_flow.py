"""Attacks on mail that flows through: forwards, redirects, bounces, webhooks, allow lists, what is shown of strangers."""

import json
import re
import sys
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from email.parser import BytesHeaderParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import ADMIN, HOSTNAME, open_smtp_house

from mailauth.zones import Zones
from mailstead.cli.printing import printable
from mailstead.cli.terminal import Terminal
from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.results import authentication_results, own_results, without_forged
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Authentication, DmarcResult, IprevResult, Result, SpfResult
from mailstead.model.directory import DomainTerms, WebhookTarget
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import PolicyRefused
from mailstead.model.secret import Secret
from mailstead.model.trace import TraceQuery
from mailstead.policy.srs import is_rewritten
from mailstead.ports.web import WebResponse
from mailstead.sieve.commands.editing import is_protected
from mailstead.usecases.webhooks import Webhooks

PEER = Peer("192.0.2.1", 50000, 2525)
CAROL = Address("carol", "friend.example")
DELIVERED_STATUS = (
    b"From: mailer-daemon@elsewhere.test\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.elsewhere.test\r\n\r\n"
    b"Final-Recipient: rfc822; x@elsewhere.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nX-Original-To: %b\r\nSubject: x\r\n\r\n--b--\r\n"
)


def zones():
    return Zones(
        {
            "example.test": {"TXT": ["v=spf1 -all"]},
            "_dmarc.example.test": {"TXT": ["v=DMARC1; p=none"]},
            "friend.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
            "_dmarc.friend.example": {"TXT": ["v=DMARC1; p=none"]},
            "stranger.example": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
        }
    )


class Web:
    """Keeps what is posted."""

    def __init__(self):
        self.posted = []

    async def post(self, url, octets, headers, **how):
        self.posted.append((url, json.loads(octets)))
        return WebResponse(200, {}, b"")


@pytest.fixture
async def house(tmp_path):
    async with open_smtp_house(tmp_path, zones=zones()) as opened:
        yield opened


async def receive(house, author, *recipients, mail_from=CAROL, helo="client.example", further=b"", octets=None):
    reception = house.receptions.begin(PEER, helo, Envelope(mail_from))
    try:
        for each in recipients:
            recipient = each if isinstance(each, Recipient) else Recipient(Address.parse(each))
            more = reception.add_recipient(recipient)
            if more is not None:
                await more
        reception.write(octets or f"From: {author}\r\nSubject: x\r\n".encode() + further + b"\r\nbody\r\n")
        await reception.accept()
    finally:
        reception.abandon()


async def use_script(house, name, text):
    account = await house.account(name)
    actor = Actor(account.account_id, account.address)
    await house.house.filters.scripts.put(actor, "main", text.encode())
    await house.house.filters.scripts.activate(actor, "main")


# our name on what is not ours


@pytest.mark.parametrize("author", ["ceo@example.test", "ceo@sub.example.test"])
async def test_attack_016_a_forgery_of_our_own_domain_is_not_sent_on_in_our_name(house, author):
    """The rewritten sender would make it pass SPF, and so DMARC, at the next server."""
    stranger = Address("x", "stranger.example")
    with pytest.raises(PolicyRefused):
        await receive(house, author, "away@example.test", mail_from=stranger)
    assert await house.queued() == []


async def test_attack_016_nor_of_the_organization_to_which_our_domain_belongs(house):
    house.zones.names["_dmarc.org.test"] = {"TXT": ["v=DMARC1; p=none"]}
    await house.house.domains.add(ADMIN, "mail.org.test")
    await house.aliases.create(ADMIN, Address("away", "mail.org.test"), [Address("x", "elsewhere.test")])
    stranger = Address("x", "stranger.example")
    with pytest.raises(PolicyRefused):
        await receive(house, "ceo@org.test", "away@mail.org.test", mail_from=stranger)
    await receive(house, "ceo@other.test", "away@mail.org.test", mail_from=stranger)
    assert len(await house.queued()) == 1


async def test_attack_016_nor_by_the_script_of_an_account_which_keeps_it(house):
    house.zones.names["_dmarc.org.test"] = {"TXT": ["v=DMARC1; p=none"]}
    await house.house.domains.add(ADMIN, "mail.org.test")
    await house.accounts.create(ADMIN, Address("dave", "mail.org.test"), Secret("a long password of Dave's"))
    await use_script(house, "dave@mail.org.test", 'redirect "x@elsewhere.test";')
    stranger = Address("x", "stranger.example")
    await receive(house, "ceo@org.test", "dave@mail.org.test", mail_from=stranger)
    assert await house.queued() == []
    assert len(await house.messages("dave@mail.org.test")) == 1
    await receive(house, "ceo@other.test", "dave@mail.org.test", mail_from=stranger)
    assert len(await house.queued()) == 1


async def test_attack_016_what_others_write_is_sent_on(house):
    await receive(house, CAROL, "away@example.test")
    [item] = await house.queued()
    assert is_rewritten(item.mail_from)


async def test_attack_017_a_sender_of_ours_that_a_stranger_has_made_up_gets_no_bounces(house):
    """SPF would pass for our address at the next server, and what it bounces would come to whom it names."""
    await receive(house, "x@stranger.example", "away@example.test", mail_from=Address("alice", "example.test"))
    [item] = await house.queued()
    assert is_rewritten(item.mail_from)
    assert item.notify_to is None


@pytest.mark.parametrize("name", ["From", "sender", "Resent-From", "resent-sender", "Delivered-To", "X-Original-To"])
def test_attack_015_scripts_change_no_authors_and_no_traces(name):
    assert is_protected(name)


async def test_attack_015_a_redirected_message_keeps_its_author(house):
    script = (
        'require ["editheader", "copy"]; deleteheader "From"; addheader "From" "ceo@example.test";'
        'addheader "X-Seen" "yes"; redirect "x@elsewhere.test";'
    )
    await use_script(house, "alice", script)
    await receive(house, CAROL, "alice@example.test")
    [item] = await house.queued()
    octets = await house.storage.queue.octets(item.item_id)
    header = BytesHeaderParser().parsebytes(octets)
    assert header.get_all("From") == [str(CAROL)]
    assert header["X-Seen"] == "yes"


# loops


async def test_attack_018_a_redirect_that_comes_back_is_kept(house):
    await use_script(house, "alice", 'redirect "x@elsewhere.test";')
    await receive(house, CAROL, "alice@example.test", further=b"X-Original-To: alice@example.test\r\n")
    assert await house.queued() == []
    assert len(await house.messages("alice")) == 1


# notices


async def test_attack_022_who_wants_no_notice_of_a_rejection_gets_none(house):
    await use_script(house, "alice", 'require "reject"; reject "no";')
    never = Recipient(Address("alice", "example.test"), frozenset({"NEVER"}))
    await receive(house, CAROL, never, "bob@example.test")
    assert await house.queued() == []
    asked = Recipient(Address("alice", "example.test"), frozenset({"FAILURE"}))
    await receive(house, CAROL, asked, "bob@example.test", further=b"X: 2\r\n")
    [notice] = await house.queued()
    assert notice.mail_from is None


async def test_attack_014_a_bounce_speaks_only_of_aliases_of_its_return_address(house):
    await house.house.domains.add(ADMIN, "other.test")
    await receive(house, CAROL, "away@example.test")
    [item] = await house.queued()
    for named in (b"away@other.test", b"a" * 50_000 + b"@example.test"):
        await receive(house, "", str(item.mail_from), mail_from=None, octets=DELIVERED_STATUS % named)
        kept = await house.storage.memory.recall_all("bounce", house.house.clock.now())
        assert [key for key in kept if not key.startswith(str(item.mail_from))] == []
        assert max(map(len, kept)) < 1000
    await receive(house, "", str(item.mail_from), mail_from=None, octets=DELIVERED_STATUS % b"away@example.test")
    [bounce] = await house.house.bounces.of(Address("away", "example.test"))
    assert bounce.status == "5.1.1"


# results


FORGED = (
    ("a;dmarc=pass", Address("x", "stranger.example")),
    ("x", Address("a; dmarc=pass ", "stranger.example")),
    ("x(;dmarc=pass", Address('"; dmarc=pass', "stranger.example")),
)


def results(helo, mail_from, *, explanation=""):
    found = Authentication(
        SpfResult(Result.NONE, "stranger.example", explanation=explanation),
        SpfResult(Result.FAIL, helo, scope="helo", mechanism="-all; dmarc=pass"),
        (),
        ArcResult(Result.NONE),
        DmarcResult(Result.FAIL, "bank.example", reason="x; dmarc=pass"),
        IprevResult(Result.NONE),
    )
    return authentication_results(found, HOSTNAME, mail_from, helo)


@pytest.mark.parametrize(("helo", "mail_from"), FORGED)
def test_attack_031_strangers_tell_no_results_to_webhooks(helo, mail_from):
    told = own_results(results(helo, mail_from).encode() + b"\r\n", HOSTNAME)
    assert told["dmarc"][0] == "fail"
    assert told["spf"][0] == "none"
    assert "dmarc=pass" in told["spf"][1] or "dmarc=pass" in told["dmarc"][1]


def test_results_of_others_are_not_ours():
    assert own_results(b"Authentication-Results: mx.elsewhere.test; dmarc=pass\r\n\r\n", HOSTNAME) == {}
    assert own_results(b"Subject: x\r\n\r\n", HOSTNAME) == {}


@pytest.mark.parametrize("before", [b"(" * 900_000, b'"' + b"\\" * 900_000, b" " * 900_000, b"(x)" * 2000])
def test_attack_008_a_forged_result_behind_a_megabyte_is_removed_at_once(before):
    field = b"Authentication-Results:%b%b; dmarc=pass\r\n" % (before, HOSTNAME.encode())
    steps = 0

    def count(*_):
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        clean = without_forged(field + b"\r\n", HOSTNAME)
    finally:
        sys.setprofile(None)
    assert clean == b"\r\n"
    assert steps < 50_000


async def test_attack_031_a_webhook_is_told_what_we_have_found(house):
    await house.aliases.create(ADMIN, Address("hook", "example.test"), [WebhookTarget("https://hook.example/")])
    await receive(
        house,
        "x@bank.example",
        "hook@example.test",
        mail_from=Address("a; dmarc=pass", "stranger.example"),
        helo="[192.0.2.1]",
        further=f"Authentication-Results: {HOSTNAME}; arc=pass\r\n".encode(),
    )
    web = Web()
    webhooks = Webhooks(web, house.house.routes, house.house.clock, hostname=HOSTNAME)
    [item] = await house.queued()
    await webhooks.post(item, await house.storage.queue.octets(item.item_id))
    [(_, posted)] = web.posted
    assert posted["dmarc"]["status"]["result"] == "none"
    assert posted["spf"]["status"]["result"] == "pass"
    assert "arc" not in posted


async def test_what_requires_tls_is_not_posted_in_clear_text(house):
    for scheme in ("http", "https"):
        await house.aliases.create(ADMIN, Address(scheme, "example.test"), [WebhookTarget(f"{scheme}://hook.example/")])
        await receive(house, CAROL, f"{scheme}@example.test")
    web = Web()
    webhooks = Webhooks(web, house.house.routes, house.house.clock, hostname=HOSTNAME)
    replies = [
        (await webhooks.post(replace(item, require_tls=True), b"From: x@x.test\r\n\r\n"))[0]
        for item in await house.queued()
    ]
    assert [(reply.enhanced, reply.is_permanent) for reply in replies] == [("5.7.30", True), ("2.0.0", False)]
    assert [url for url, _ in web.posted] == ["https://hook.example/"]


async def test_forged_results_of_a_submission_are_removed(house):
    account = await house.account("alice")
    actor = Actor(account.account_id, account.address)
    submission = await house.submissions.begin(actor, PEER, "x", Envelope(account.address))
    await submission.add_recipient(Recipient(Address("bob", "example.test")))
    submission.write(f"From: alice@example.test\r\nAuthentication-Results: {HOSTNAME}; dmarc=pass\r\n\r\n".encode())
    await submission.accept()
    [octets] = await house.messages("bob")
    assert b"dmarc=pass" not in octets


# lists


@pytest.mark.parametrize(
    ("mail_from", "author", "is_allowed"),
    [
        (Address("x", "stranger.example"), "boss@friend.example", False),  # DMARC fails
        (Address("x", "liar.example"), "x@liar.example", False),  # SPF fails
        (Address("x", "liar.example"), "x@stranger.example", False),  # SPF of another name passes nothing on
        (CAROL, "carol@friend.example", True),
        (Address("x", "silent.example"), "x@silent.example", True),  # nothing is published
    ],
)
async def test_attack_016_an_allow_list_lets_no_forger_in(house, mail_from, author, is_allowed):
    house.zones.names["liar.example"] = {"TXT": ["v=spf1 -all"]}
    account = await house.account("alice")
    actor = Actor(account.account_id, account.address)
    await house.house.sender_lists.add(actor, "senders.allow", ["friend.example", "liar.example", "silent.example"])
    await receive(house, author, "alice@example.test", mail_from=mail_from)
    events = await house.storage.trace.search(TraceQuery(limit=100))
    assert any(event.step == "allowlist" for event in events) is is_allowed


# seals


async def test_a_seal_without_results_says_so(house):
    """A line with white space only would end the header for some readers."""
    account = await house.account("alice")
    actor = Actor(account.account_id, account.address)
    submission = await house.submissions.begin(actor, PEER, "x", Envelope(account.address))
    await submission.add_recipient(Recipient(Address("away", "example.test")))
    submission.write(b"From: alice@example.test\r\n\r\nbody\r\n")
    await submission.accept()
    [item] = await house.queued()
    header = (await house.storage.queue.octets(item.item_id)).partition(b"\r\n\r\n")[0]
    assert re.search(rb"ARC-Authentication-Results: i=1; mx\.example\.test;\r\n\tnone\r\n", header)
    assert not re.search(rb"\r\n[ \t]+\r\n", header + b"\r\n")


# costs


@pytest.mark.parametrize(
    "body", [b" " * 2_000_000, (b" " * 70 + b"\r\n") * 30_000, b"a  " * 700_000, b"a \r\n" * 500_000]
)
def test_attack_029_no_object_for_each_space_of_a_body(body):
    message = CanonicalMessage(b"A: x\r\n\r\n" + body)
    tracemalloc.start()
    try:
        message.body_hash(Form.RELAXED)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body)


# what is held


async def test_what_its_author_puts_off_is_not_late(house):
    account = await house.account("alice")
    actor = Actor(account.account_id, account.address)
    envelope = Envelope(account.address, hold_for_s=86400)
    submission = await house.submissions.begin(actor, PEER, "x", envelope)
    await submission.add_recipient(Recipient(Address("x", "elsewhere.test")))
    submission.write(b"From: alice@example.test\r\n\r\nbody\r\n")
    await submission.accept()
    now = house.house.clock.now()
    later = now + timedelta(hours=6)
    overdue = await house.storage.queue.lease_overdue(later, now + timedelta(hours=2), later, 10)
    assert overdue == []


# what is shown


def test_no_secret_of_a_domain_is_in_its_repr():
    terms = DomainTerms(webhook_key="key-never-in-a-log", smarthost_password="pw-never-in-a-log")
    assert "never-in-a-log" not in repr(terms)


def test_attack_100_nothing_of_a_stranger_s_moves_the_cursor(capfd):
    hostile = "\x1b]0;pwned\x07 \x9b31m \u202egnp\r"
    Terminal().say(f"{hostile}\nnext", None)
    Terminal(is_json=True).say("", {"text": hostile})
    plain, _, as_json = capfd.readouterr().out.partition("next\n")
    assert plain == "\\u001b]0;pwned\\u0007 \\u009b31m \\u202egnp\\r\n"
    assert json.loads(as_json) == {"text": hostile}
    assert all(letter.isprintable() or letter == "\n" for letter in plain + as_json)
    assert printable("Grüße, 例え\t✓\n") == "Grüße, 例え\t✓\n"
