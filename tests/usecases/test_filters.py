"""What filters make of incoming mail: scripts and vacation under the house's own rules."""

import threading
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from mailstead.config.settings import Sieve
from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Authentication, DmarcResult, IprevResult, Result, SpfResult
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadScript, NotAllowed
from mailstead.model.message import NewMessage
from mailstead.model.verdict import Check, Decision, Judgement
from mailstead.sieve.script import Script
from mailstead.usecases.filters import Filed, Filing, Filters, FilterTerms, Incoming, Redirecting
from mailstead.usecases.vacations import Vacation, Vacations

BOB = Address.parse("bob@x.test")
ALIGNED = Authentication(
    SpfResult(Result.PASS, "x.test"),
    None,
    (),
    ArcResult(Result.NONE),
    DmarcResult(Result.PASS, "x.test", is_spf_aligned=True),
    IprevResult(Result.PASS, "mail.x.test"),
)
FORGED = replace(ALIGNED, spf=SpfResult(Result.FAIL, "x.test"), dmarc=DmarcResult(Result.FAIL, "x.test"))
JUNK = Judgement(Decision.QUARANTINE, (Check("test", Decision.QUARANTINE, score=6.0),))


def octets(subject="Hello", header="", sender="bob@x.test", to="alice@example.test"):
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n{header}\r\nHi\r\n"
    ).encode()


@pytest.fixture
def filters(storage, bus, clock):
    filters = Filters(storage, bus, clock, FilterTerms(Sieve(redirects_per_day_max=5), "mx.example.test"))
    yield filters
    filters.close()


@pytest.fixture
def actor(alice):
    return Actor(alice.account_id, alice.address)


@pytest.fixture
def decide(filters, alice):
    async def decide(message=None, **changes):
        given = {
            "octets": bytearray(message or octets()), "mail_from": BOB, "rcpt_to": alice.address, "account": alice,
            "queue_id": "q1", "peer": Peer("192.0.2.9", 4711), "helo": "mail.x.test", "authentication": ALIGNED,
        }  # fmt: skip
        return await filters.decide(Incoming(**given | changes))

    return decide


@pytest.fixture
def use(filters, actor):
    """Let alice use a script."""

    async def use(text: str, name="main"):
        await filters.scripts.put(actor, name, text.encode())
        await filters.scripts.activate(actor, name)

    return use


class Counted:
    """Counts how often a store is asked for filters."""

    def __init__(self, storage, monkeypatch):
        self.count = 0
        kind = type(storage.accounts.of("0" * 16))
        original = kind.filtering

        async def filtering(store):
            self.count += 1
            return await original(store)

        monkeypatch.setattr(kind, "filtering", filtering)


# without filters


async def test_without_filters_mail_goes_to_inbox_and_the_store_is_asked_once(decide, storage, monkeypatch, clock):
    counted = Counted(storage, monkeypatch)
    for _ in range(10):
        assert await decide() == Filed()
    assert counted.count == 1
    clock.passed_s += 3600
    await decide()
    assert counted.count == 2


async def test_a_new_script_is_used_at_once(decide, use):
    assert await decide() == Filed()
    await use("discard;")
    assert (await decide()).filings == ()


async def test_junk_goes_to_the_mailbox_of_that_use(decide, storage, alice, use):
    assert await decide() == Filed()
    assert (await decide(judgement=JUNK)).filings == (Filing("Junk"),)
    account = storage.accounts.of(alice.account_id)
    await account.rename_mailbox("Junk", "Werbung")
    assert (await decide(judgement=JUNK)).filings == (Filing("Werbung"),)
    await account.delete_mailbox("Werbung")
    assert (await decide(judgement=JUNK)).filings == (Filing("Junk", creates=True, special_use="\\Junk"),)
    await use("keep;")
    assert (await decide(judgement=JUNK)).filings == (Filing("Junk", creates=True, special_use="\\Junk"),)


# scripts


async def test_a_script_files_flags_and_notes(decide, use):
    await use('require ["fileinto", "imap4flags"]; fileinto :flags "\\\\Seen" "Archive"; keep;')
    filed = await decide()
    assert filed.filings == (Filing("Archive", frozenset({"\\Seen"})), Filing("INBOX"))
    assert filed.notes == ("script main: fileinto Archive, keep",)
    assert filed.problems == ()


async def test_a_script_may_file_junk_elsewhere(decide, use):
    await use('require "fileinto"; fileinto "Archive";')
    assert (await decide(judgement=JUNK)).filings == (Filing("Archive"),)


async def test_a_mailbox_that_is_not_there_is_made_or_inbox_takes_it(decide, use):
    await use('require "fileinto"; fileinto "Nowhere";')
    filed = await decide()
    assert filed.filings == (Filing(),)
    assert "Nowhere" in filed.problems[0]
    await use('require ["fileinto", "mailbox"]; fileinto :create "New/One";')
    assert (await decide()).filings == (Filing("New/One", creates=True),)


async def test_a_mailbox_gets_a_message_once(decide, use):
    await use('require ["fileinto", "imap4flags"]; keep; fileinto :flags "\\\\Flagged" "INBOX"; fileinto "inbox";')
    (filing,) = (await decide()).filings
    assert filing.mailbox == "INBOX"


async def test_the_envelope_and_the_environment_are_known(decide, use):
    await use(
        'require ["envelope", "environment", "fileinto", "spamtest", "relational", "comparator-i;ascii-numeric"];'
        'if allof (envelope "from" "bob@x.test", envelope "to" "alice@example.test",'
        ' environment "remote-ip" "192.0.2.9", environment "remote-host" "mail.x.test",'
        ' environment "host" "mx.example.test", environment "domain" "example.test",'
        ' spamtest :value "ge" :comparator "i;ascii-numeric" "2") { fileinto "Archive"; }'
    )
    judgement = Judgement(Decision.ALLOW, (Check("x", score=4.0),))
    assert (await decide(judgement=judgement)).filings == (Filing("Archive"),)
    assert (await decide(judgement=judgement, mail_from=None)).filings == (Filing(),)


async def test_editheader_changes_what_is_filed(decide, use):
    await use('require "editheader"; addheader "X-Sorted" "yes";')
    filed = await decide()
    assert filed.filings == (Filing(),)
    changed = message_from_bytes(filed.octets, policy=default)
    assert (changed["X-Sorted"], changed["Subject"], changed.get_content()) == ("yes", "Hello", "Hi\r\n")


async def test_reject_says_why(decide, use):
    await use('require ["reject", "ereject"]; if header "Subject" "e" { ereject "No!"; } else { reject "Go away"; }')
    filed = await decide()
    assert (filed.filings, filed.rejection, filed.is_ereject) == ((), "Go away", False)
    filed = await decide(octets("e"))
    assert (filed.rejection, filed.is_ereject) == ("No!", True)


async def test_other_scripts_can_be_included(decide, use, filters, actor):
    await filters.scripts.put(actor, "rest", b'require "fileinto"; fileinto "Archive";')
    await use('require "include"; include :personal "rest";')
    assert (await decide()).filings == (Filing("Archive"),)


@pytest.mark.parametrize("is_large", [False, True])
async def test_attack_058_a_script_that_works_too_long_keeps_the_mail(storage, bus, clock, alice, actor, is_large):
    filters = Filters(storage, bus, clock, FilterTerms(Sieve(steps_max=30_000 if is_large else 1000)))
    try:
        tests = ", ".join(['header :matches "X" "*a*b*c*d*e*"'] * 500)
        text = f"if not anyof ({tests}) {{ discard; }}"
        await filters.scripts.put(actor, "slow", text.encode())
        await filters.scripts.activate(actor, "slow")
        message = octets("a", "X: " + "abcd" * (20_000 if is_large else 10) + "\r\n")
        filed = await filters.decide(Incoming(message, BOB, alice.address, alice))
    finally:
        filters.close()
    assert filed.filings == (Filing(),)
    assert filed.problems
    assert filed.redirects == ()


async def test_a_script_that_takes_its_time_goes_on_in_a_thread(decide, use, monkeypatch):
    threads = []
    original = Script.run

    def run(script, facts, budget):
        threads.append(threading.current_thread() is threading.main_thread())
        return original(script, facts, budget)

    monkeypatch.setattr(Script, "run", run)
    tests = ", ".join(['header :matches "X" "*a*b*c*d*e*"'] * 300)
    await use(f'require "fileinto"; if not anyof ({tests}) {{ fileinto "Archive"; }}')
    filed = await decide(octets(header="X: " + "abcd" * 12_000 + "\r\n"))
    assert (filed.filings, filed.problems) == ((Filing("Archive"),), ())
    assert threads == [True, False]


async def test_a_stored_script_that_no_longer_compiles_keeps_the_mail(decide, storage, alice):
    account = storage.accounts.of(alice.account_id)
    await account.put_script("old", b"nonsense;")
    await account.activate_script("old")
    filed = await decide()
    assert filed.filings == (Filing(),)
    assert filed.problems[0].startswith("script old: line 1")


async def test_a_bug_in_sieve_keeps_the_mail(decide, use, monkeypatch, caplog):
    await use("discard;")

    def fail(script, facts, budget):
        raise ZeroDivisionError

    monkeypatch.setattr(Script, "run", fail)
    filed = await decide()
    assert filed.filings == (Filing(),)
    assert filed.problems == ("script main: the script could not be run; this has been noted",)


# duplicate


async def test_a_duplicate_is_known_only_when_the_first_was_stored(decide, use, filters, alice, clock):
    await use('require "duplicate"; if duplicate { discard; }')
    first = await decide()
    assert (await decide()).filings == (Filing(),)  # the first delivery has failed, the sender comes again
    await filters.stored(alice, first)
    assert (await decide()).filings == ()
    assert (await decide(octets("Other"))).filings == (Filing(),)
    clock.passed_s += 8 * 86400
    assert (await decide()).filings == (Filing(),)


# redirects


async def test_redirects_are_few(decide, use, storage, clock):
    await use('redirect "carol@y.test";')
    filed = await decide()
    assert (filed.filings, filed.redirects) == ((), (Redirecting(Address.parse("carol@y.test")),))
    for _ in range(4):
        assert len((await decide()).redirects) == 1
    filed = await decide()
    assert (filed.redirects, filed.filings) == ((), (Filing(),))
    assert "more than 5" in filed.problems[0]
    clock.passed_s += 25 * 3600
    assert len((await decide()).redirects) == 1


async def test_attack_058_four_redirects_a_message(decide, use):
    await use("".join(f'redirect "c{number}@y.test";' for number in range(5)))
    filed = await decide()
    assert (filed.redirects, filed.filings) == ((), (Filing(),))
    assert filed.problems


async def test_mail_is_not_redirected_to_oneself(decide, use):
    await use('redirect "Alice@example.test";')
    filed = await decide()
    assert (filed.redirects, filed.filings) == ((), (Filing(),))


async def test_junk_is_not_sent_on(decide, use):
    await use('redirect "carol@y.test";')
    filed = await decide(judgement=JUNK)
    assert (filed.redirects, filed.filings) == ((), (Filing("Junk"),))


# notices


async def test_a_notice_goes_out_from_nobody(decide, use):
    await use('require "enotify"; notify :message "You have mail" "mailto:phone@y.test";')
    filed = await decide()
    assert filed.filings == (Filing(),)
    (reply,) = filed.replies
    assert (reply.mail_from, str(reply.recipient)) == (None, "phone@y.test")
    message = message_from_bytes(reply.octets, policy=default)
    assert (message["Auto-Submitted"], message["From"]) == ("auto-notified", "alice@example.test")
    about_a_notice = await decide(octets(header="Auto-Submitted: auto-notified\r\n"))
    assert (about_a_notice.replies, about_a_notice.filings) == ((), (Filing(),))


# vacation


async def answers_of(filed):
    return [str(reply.recipient) for reply in filed.replies]


@pytest.fixture(params=["script", "setting"])
async def away(request, use, storage, actor):
    """Alice is away, by a script or by the setting."""
    if request.param == "script":
        await use('require "vacation"; vacation "I am away";')
    else:
        await Vacations(storage).set(actor, Vacation("I am away"))


async def test_attack_019_one_answer_for_each_sender_in_seven_days(away, decide, filters, alice, clock):
    first = await decide()
    (reply,) = first.replies
    assert (await decide()).replies == ()  # of the same moment
    await filters.stored(alice, first)
    assert first.filings == (Filing(),)
    assert (reply.mail_from, reply.recipient) == (None, BOB)
    message = message_from_bytes(reply.octets, policy=default)
    assert message["Auto-Submitted"].startswith("auto-replied")
    assert (message["From"], message["To"], message["In-Reply-To"]) == (
        "alice@example.test", "bob@x.test", "<Hello@x.test>",
    )  # fmt: skip
    assert message.get_content().strip() == "I am away"
    clock.passed_s += 6 * 86400
    assert (await decide(octets("Again"))).replies == ()
    assert (await decide(mail_from=Address.parse("BOB@x.test"))).replies == ()
    assert await answers_of(await decide(mail_from=Address.parse("carl@x.test"))) == ["carl@x.test"]
    clock.passed_s += 2 * 86400
    assert await answers_of(await decide()) == ["bob@x.test"]


async def test_a_delivery_that_fails_and_comes_again_is_answered(away, decide, clock):
    assert await answers_of(await decide()) == ["bob@x.test"]  # never stored, so never sent
    clock.passed_s += 900
    assert await answers_of(await decide()) == ["bob@x.test"]


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        ("List-Id: <l.x.test>\r\n", "bob@x.test"),
        ("List-Unsubscribe: <mailto:x@x.test>\r\n", "bob@x.test"),
        ("Precedence: bulk\r\n", "bob@x.test"),
        ("Precedence: list\r\n", "bob@x.test"),
        ("Auto-Submitted: auto-replied\r\n", "bob@x.test"),
        ("Auto-Submitted: auto-generated\r\n", "bob@x.test"),
        ("", None),
        ("", "MAILER-DAEMON@x.test"),
        ("", "no-reply@x.test"),
        ("", "noreply@x.test"),
        ("", "owner-list@x.test"),
        ("", "list-request@x.test"),
        ("", "alice@example.test"),
    ],
)
async def test_attack_019_no_answer_to_lists_robots_and_oneself(away, decide, header, sender):
    filed = await decide(octets(header=header), mail_from=Address.parse(sender) if sender else None)
    assert (filed.replies, filed.filings) == ((), (Filing(),))
    assert await answers_of(await decide()) == ["bob@x.test"]


async def test_attack_019_no_answer_to_a_sender_nobody_stands_behind(away, decide):
    for authentication in (None, FORGED):
        filed = await decide(authentication=authentication)
        assert filed.replies == ()
        assert any("not answered" in note for note in filed.notes)
    assert await answers_of(await decide(mail_from=Address.parse("victim@y.test"))) == ["victim@y.test"]  # SPF says so
    only_dkim = replace(
        ALIGNED, spf=SpfResult(Result.NONE, "z.test"), dmarc=DmarcResult(Result.PASS, "x.test", is_dkim_aligned=True)
    )
    assert (await decide(authentication=only_dkim, mail_from=Address.parse("victim@z.test"))).replies == ()
    own = await decide(authentication=None, mail_from=Address.parse("carol@example.test"), is_submission=True)
    assert await answers_of(own) == ["carol@example.test"]


async def test_attack_019_no_answer_unless_ours_is_named(away, decide, alice):
    assert (await decide(octets(to="undisclosed@z.test"))).replies == ()
    detail = Address.parse("alice+shop@example.test")
    assert await answers_of(await decide(octets(to=str(detail)), rcpt_to=detail)) == ["bob@x.test"]


async def test_attack_019_junk_is_not_answered(away, decide):
    assert (await decide(judgement=JUNK)).replies == ()


async def test_attack_019_two_answering_machines_fall_silent(away, decide):
    (reply,) = (await decide()).replies
    returned = await decide(bytearray(reply.octets), mail_from=Address.parse("carl@x.test"))
    assert returned.replies == ()


async def test_the_setting_works_beside_a_script(decide, use, storage, actor, clock):
    await use('require "fileinto"; if header "Subject" "x" { discard; stop; } fileinto "Archive";')
    now = clock.now()
    await Vacations(storage).set(actor, Vacation("away", "Gone", start=now, end=now.replace(day=3)))
    assert (await decide(octets("x"))).replies == ()
    filed = await decide()
    assert (filed.filings, await answers_of(filed)) == ((Filing("Archive"),), ["bob@x.test"])
    assert message_from_bytes(filed.replies[0].octets, policy=default)["Subject"] == "Gone"
    clock.passed_s += 5 * 86400
    assert (await decide(mail_from=Address.parse("carl@x.test"))).replies == ()


async def test_a_script_s_own_answer_is_the_only_one(decide, use, storage, actor):
    await use('require "vacation"; vacation "from the script";')
    await Vacations(storage).set(actor, Vacation("from the setting"))
    (reply,) = (await decide()).replies
    assert b"from the script" in reply.octets


async def test_answers_of_a_script_have_a_shortest_time(decide, use, filters, alice, clock):
    await use('require ["vacation", "vacation-seconds"]; vacation :seconds 1 "away";')
    first = await decide()
    assert await answers_of(first) == ["bob@x.test"]
    await filters.stored(alice, first)
    clock.passed_s += 3600
    assert (await decide()).replies == ()
    clock.passed_s += 86400
    assert await answers_of(await decide()) == ["bob@x.test"]


async def test_a_copy_of_the_answer_is_filed_once_the_message_is(decide, use, filters, alice, storage):
    await use('require ["vacation", "fcc", "mailbox"]; vacation :fcc "Sent/Answers" :create "away";')
    filed = await decide()
    account = storage.accounts.of(alice.account_id)
    assert (await account.usage()).message_count == 0
    await filters.stored(alice, filed)
    assert len((await account.snapshot("Sent/Answers")).uids) == 1


# dry runs


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(filters, actor, storage, alice, clock):
    account = storage.accounts.of(alice.account_id)
    messages = [
        b"Return-Path: <bob@x.test>\r\nDelivered-To: alice@example.test\r\n" + octets(f"m{number}")
        for number in range(60)
    ]
    await account.append("INBOX", [NewMessage(each, message_facts(each), clock.now()) for each in messages])
    script = (
        b'require ["fileinto", "vacation", "envelope"]; vacation "away"; if header "Subject" "m59" { redirect "c@y.test"; }'
        b'elsif allof (header "Subject" "m58", envelope "from" "bob@x.test") { fileinto "Archive"; }'
        b'elsif header "Subject" "m57" { discard; }'
    )
    usage = await account.usage()
    found = await filters.dry_run(actor, script, 55)
    assert await account.usage() == usage
    assert [each.uid for each in found] == list(range(60, 5, -1))
    assert [(each.mailbox, each.subject) for each in found[:4]] == [
        ("", "m59"),
        ("Archive", "m58"),
        ("", "m57"),
        ("INBOX", "m56"),
    ]
    assert "redirect to c@y.test" in found[0].does
    assert "vacation" in found[0].does
    with pytest.raises(BadScript):
        await filters.dry_run(actor, b"nonsense")
    with pytest.raises(NotAllowed):
        await filters.dry_run(Actor(None, None, is_admin=True), script)


async def test_attack_058_a_dry_run_has_a_budget_too(storage, bus, clock, alice, actor):
    account = storage.accounts.of(alice.account_id)
    message = octets("a", "X: " + "abcd" * 100 + "\r\n")
    await account.append("INBOX", [NewMessage(message, message_facts(message), clock.now())] * 300)
    filters = Filters(storage, bus, clock, FilterTerms(Sieve(steps_max=1000)))
    try:
        tests = ", ".join(['header :matches "X" "*a*b*c*d*e*"'] * 500)
        found = await filters.dry_run(actor, f"if anyof ({tests}) {{ discard; }}".encode())
    finally:
        filters.close()
    assert 0 < len(found) < 300
