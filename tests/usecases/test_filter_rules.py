"""An owner's filters as rules: shown, changed, tried, made from a message."""

import asyncio
from dataclasses import replace

import pytest

from mailstead.config.settings import Sieve
from mailstead.mime.facts import message_facts
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadScript, LimitReached, NoSuchMailbox, NoSuchMessage, NotAllowed, PreconditionFailed
from mailstead.model.flags import SEEN
from mailstead.model.message import NewMessage
from mailstead.model.place import Place
from mailstead.sieve.actions import FileInto
from mailstead.sieve.rules.rule import Action, BadRule, Condition, Field, Kind, Match, Part, Rule
from mailstead.usecases.filter_rules import FilterRules, Wish
from mailstead.usecases.filters import Filters, FilterTerms, Incoming
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.staging import Staging

ARCHIVE = Action(Kind.FILE, "Archive")
BILLS = Rule("Bills", (Condition(Field.SUBJECT, Match.CONTAINS, ("bill",)),), (ARCHIVE,), stops=True)
NOISE = Rule("Noise", (Condition(Field.FROM, Match.IS, ("noise@x.test",), part=Part.ADDRESS),), (Action(Kind.DISCARD),))
MIXED = (
    b'require ["fileinto", "vacation"];\n\n# rule:[Bills]\nif header :contains "subject" "bill" {\n'
    b'\tfileinto "Archive";\n\tstop;\n}\n# rule:[Away]\nif true {\n\tvacation "away";\n}\nkeep;\n'
)


@pytest.fixture
def filters(storage, bus, clock):
    filters = Filters(storage, bus, clock, FilterTerms(Sieve(), "mx.example.test"))
    yield filters
    filters.close()


@pytest.fixture
def rules(storage, bus, clock, filters):
    return FilterRules(storage, filters, Mailboxes(storage, bus, clock, Staging(2**30)))


@pytest.fixture
def actor(alice):
    return Actor(alice.account_id, alice.address)


@pytest.fixture
async def mixed(filters, actor, rules):
    await filters.scripts.put(actor, "roundcube", MIXED)
    await filters.scripts.activate(actor, "roundcube")
    return await rules.list(actor)


@pytest.fixture
def append(storage, alice, clock):
    """Put messages into a mailbox; gives the id of the last one."""

    async def append(*messages, mailbox="INBOX"):
        store = storage.accounts.of(alice.account_id)
        given = [NewMessage(each, message_facts(each), clock.now()) for each in messages]
        appended = await store.append(mailbox, given)
        found = await store.mailbox(mailbox)
        return Place(found.mailbox_id, found.uidvalidity, appended[-1].uid).object_id

    return append


def octets(subject="Hello", sender="Bob <bob@x.test>", header=""):
    return f"From: {sender}\r\nTo: alice@example.test\r\nSubject: {subject}\r\n{header}\r\nHi\r\n".encode()


def names(shown):
    return [(entry.name, entry.rule is not None and entry.rule.is_on) for entry in shown.entries]


async def test_the_first_rule_makes_a_script_and_lets_it_filter(rules, actor, filters):
    empty = await rules.list(actor)
    assert (empty.script_name, empty.entries) == ("", ())
    shown = await rules.add(actor, empty.version, BILLS)
    assert shown == await rules.list(actor)
    assert (shown.script_name, shown.entries[0].rule) == ("filters", BILLS)
    assert shown.entries[0].words == "If Subject contains “bill”: files it into Archive, goes no further"
    assert [(script.name, script.is_active) for script in await filters.scripts.list(actor)] == [("filters", True)]


async def test_a_script_that_is_there_but_not_active_is_not_overwritten(rules, actor, filters):
    await filters.scripts.put(actor, "filters", b"stop;")
    shown = await rules.add(actor, (await rules.list(actor)).version, BILLS)
    assert shown.script_name == "filters 2"
    assert await filters.scripts.get(actor, "filters") == b"stop;"


async def test_rules_are_added_changed_moved_switched_and_deleted(rules, actor, filters, mixed):
    assert names(mixed) == [("Bills", True), ("Away", False), ("", False)]
    assert mixed.entries[0].rule == BILLS
    assert (mixed.entries[1].rule, mixed.entries[2].text) == (None, "keep;\n")
    shown = await rules.add(actor, mixed.version, NOISE, at=2)
    assert names(shown) == [("Bills", True), ("Noise", True), ("Away", False), ("", False)]
    shown = await rules.switch(actor, shown.version, 1, is_on=False)
    assert shown.entries[0].rule == replace(BILLS, is_on=False)
    shown = await rules.change(actor, shown.version, 2, replace(NOISE, name="Loud"))
    shown = await rules.move(actor, shown.version, 2, 1)
    assert names(shown) == [("Loud", True), ("Bills", False), ("Away", False), ("", False)]
    shown = await rules.move(actor, shown.version, 1, 100)
    assert [entry.name for entry in shown.entries] == ["Bills", "Away", "", "Loud"]
    shown = await rules.delete(actor, shown.version, 3)
    shown = await rules.switch(actor, shown.version, 1, is_on=True)
    assert [entry.name for entry in shown.entries] == ["Bills", "Away", "Loud"]
    assert shown == await rules.list(actor)
    text = (await filters.scripts.get(actor, "roundcube")).decode()
    assert '# rule:[Away]\nif true {\n\tvacation "away";\n}\n' in text


async def test_who_was_overtaken_is_told(rules, actor, filters, mixed):
    await rules.switch(actor, mixed.version, 1, is_on=False)
    verbs = (
        lambda: rules.add(actor, mixed.version, NOISE),
        lambda: rules.change(actor, mixed.version, 1, NOISE),
        lambda: rules.switch(actor, mixed.version, 1, is_on=True),
        lambda: rules.move(actor, mixed.version, 1, 2),
        lambda: rules.delete(actor, mixed.version, 1),
        lambda: rules.replace(actor, mixed.version, [Wish(number=2), Wish(number=3)]),
    )
    for verb in verbs:
        with pytest.raises(PreconditionFailed):
            await verb()
    seen = await rules.list(actor)
    await filters.scripts.put(actor, "other", MIXED)
    await filters.scripts.activate(actor, "other")
    with pytest.raises(PreconditionFailed):
        await rules.delete(actor, seen.version, 1)


async def test_of_two_editors_at_once_one_is_told(rules, actor, mixed):
    outcomes = await asyncio.gather(
        *(rules.add(actor, mixed.version, replace(NOISE, name=f"n{number}")) for number in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["FilterList", *["PreconditionFailed"] * 3]
    assert len((await rules.list(actor)).entries) == 4


async def test_the_whole_list_is_replaced_but_other_pieces_are_not_forgotten(rules, actor, mixed, filters):
    with pytest.raises(BadRule, match="Entry 2"):
        await rules.replace(actor, mixed.version, [Wish(number=1), Wish(number=3)])
    wishes = [Wish(number=3), Wish(NOISE), Wish(BILLS, 1), Wish(number=2)]
    shown = await rules.replace(actor, mixed.version, wishes)
    assert [entry.name for entry in shown.entries] == ["", "Noise", "Bills", "Away"]
    # The rule that is the same was not written anew.
    assert b'\tfileinto "Archive";\n' in await filters.scripts.get(actor, "roundcube")
    same = await rules.replace(actor, shown.version, [Wish(number=number) for number in range(1, 5)])
    assert same == shown


@pytest.mark.parametrize(
    "wishes",
    [
        [Wish(number=2), Wish(number=2), Wish(number=3)],
        [Wish(number=2), Wish(number=3), Wish(number=4)],
        [Wish(number=2), Wish(number=3), Wish(number=0)],
        [Wish(number=2), Wish(number=3), Wish()],
        [Wish(BILLS, 2), Wish(number=3)],
        [Wish(number=2), Wish(number=3), Wish(Rule("nothing"))],
    ],
)
async def test_lists_that_cannot_be_are_refused(rules, actor, mixed, wishes):
    with pytest.raises(BadRule):
        await rules.replace(actor, mixed.version, wishes)
    assert await rules.list(actor) == mixed


async def test_what_is_no_simple_rule_is_not_changed_here(rules, actor, mixed):
    with pytest.raises(BadRule, match="no simple rule"):
        await rules.change(actor, mixed.version, 2, BILLS)
    with pytest.raises(BadRule, match="no simple rule"):
        await rules.switch(actor, mixed.version, 2, is_on=False)
    with pytest.raises(BadRule, match="no entry 4"):
        await rules.delete(actor, mixed.version, 4)


async def test_a_script_that_is_none_any_more_is_told_and_left_alone(rules, actor, storage, alice):
    store = storage.accounts.of(alice.account_id)
    await store.put_script("old", b"if {")
    await store.activate_script("old")
    with pytest.raises(BadScript, match="line 1"):
        await rules.list(actor)
    await store.put_script("old", b"if true { nonsense; }")
    shown = await rules.list(actor)
    with pytest.raises(BadScript, match="nonsense"):
        await rules.add(actor, shown.version, BILLS)
    assert await store.script("old") == b"if true { nonsense; }"


async def test_too_many_rules_are_refused(rules, actor):
    empty = await rules.list(actor)
    with pytest.raises(LimitReached):
        await rules.replace(actor, empty.version, [Wish(BILLS)] * 1001)
    with pytest.raises(BadScript, match="64 KiB"):
        await rules.replace(actor, empty.version, [Wish(BILLS)] * 1000)


async def test_flags_go_first_unless_the_order_was_there_before(rules, actor, filters):
    seen = Action(Kind.FLAG, flags=(SEEN,))
    shown = await rules.add(actor, (await rules.list(actor)).version, Rule("a", (), (ARCHIVE, seen)))
    assert shown.entries[0].rule.actions == (seen, ARCHIVE)
    await filters.scripts.put(
        actor, "filters", b'require ["fileinto", "imap4flags"]; if true { fileinto "Archive"; addflag "\\\\Seen"; }'
    )
    shown = await rules.list(actor)
    shown = await rules.change(actor, shown.version, 1, Rule("b", (), (ARCHIVE, seen)))
    assert shown.entries[0].rule == Rule("b", (), (ARCHIVE, seen))


EVIL = '"]; redirect "eve@evil.test"; #'


@pytest.mark.parametrize(
    "rule",
    [
        replace(BILLS, name=f'x]\r\nredirect "eve@evil.test";{EVIL}'),
        replace(BILLS, name=f"*/{EVIL}"),
        replace(BILLS, conditions=(Condition(Field.SUBJECT, Match.IS, (EVIL, "a\r\n", "\0")),)),
        replace(BILLS, conditions=(Condition(Field.SUBJECT, Match.IS, (EVIL,)),)),
        replace(BILLS, conditions=(Condition(Field.SUBJECT, Match.BEGINS, (EVIL + "\\",)),), is_on=False),
        replace(BILLS, conditions=(Condition(Field.HEADER, Match.IS, ("x",), names=(EVIL,)),)),
        replace(BILLS, actions=(Action(Kind.FILE, EVIL),)),
        replace(BILLS, actions=(Action(Kind.FLAG, flags=(EVIL,)),)),
        replace(BILLS, actions=(Action(Kind.REJECT, f"no\r\n.\r\n;{EVIL}\r\n.\r\n"),)),
        replace(BILLS, actions=(Action(Kind.REDIRECT, f"a@b.test{EVIL}"),)),
        replace(BILLS, comments=(f'\nredirect "x";{EVIL}',)),
    ],
    ids=range(11),
)
async def test_attack_060_a_rule_says_what_it_says_and_nothing_else(rules, actor, filters, rule, mixed):
    try:
        shown = await rules.add(actor, mixed.version, rule, at=1)
    except BadRule:
        assert await filters.scripts.get(actor, "roundcube") == MIXED
        return
    written = shown.entries[0].rule
    assert written.conditions == rule.conditions
    assert all(action.kind is not Kind.REDIRECT for action in written.actions)
    assert len(shown.entries) == 4
    assert [entry.text for entry in shown.entries[1:]] == [entry.text for entry in mixed.entries]


async def test_attack_092_only_ones_own(rules, mixed):
    for verb in (rules.list, lambda who: rules.add(who, mixed.version, BILLS)):
        with pytest.raises(NotAllowed):
            await verb(Actor(None, None, is_admin=True))


async def test_the_next_delivery_goes_by_a_new_rule(rules, actor, filters, alice):
    incoming = Incoming(
        octets=bytearray(octets("A bill")),
        mail_from=alice.address,
        rcpt_to=alice.address,
        account=alice,
        queue_id="q1",
        peer=Peer("192.0.2.9", 4711),
        helo="mail.x.test",
        authentication=None,
    )
    assert [each.mailbox for each in (await filters.decide(incoming)).filings] == ["INBOX"]
    shown = await rules.add(actor, (await rules.list(actor)).version, BILLS)
    await asyncio.sleep(0)  # watchers are woken at the loop's next turn
    assert [each.mailbox for each in (await filters.decide(incoming)).filings] == ["Archive"]
    await rules.switch(actor, shown.version, 1, is_on=False)
    assert [each.mailbox for each in (await filters.decide(incoming)).filings] == ["INBOX"]


# trying


async def test_a_message_is_tried_and_the_reasons_are_said(rules, actor, mixed, append, storage, alice):
    object_id = await append(octets("Hello"), octets("Your bill"))
    usage = await storage.accounts.of(alice.account_id).usage()
    trial = await rules.try_on_message(actor, object_id)
    assert (trial.object_id, trial.subject, trial.mailboxes) == (object_id, "Your bill", ("Archive",))
    assert trial.does == ("goes into Archive",)
    assert [reason.text for reason in trial.reasons] == [
        "“Bills” holds, because Subject contains “bill”: files it into Archive, goes no further"
    ]
    assert (trial.reasons[0].rule, trial.reasons[0].held) == (BILLS, BILLS.conditions)
    assert trial.actions == (FileInto("Archive"),)
    wishes = [Wish(NOISE), Wish(replace(BILLS, actions=(Action(Kind.FILE, "Nowhere"),), stops=False), 1)]
    trial = await rules.try_on_message(actor, object_id, [*wishes, Wish(number=3)])
    assert trial.does == ("stays in INBOX, as there is no mailbox Nowhere", "stays in INBOX")
    assert trial.mailboxes == ("INBOX",)
    assert [(reason.name, reason.holds) for reason in trial.reasons] == [("Noise", False), ("Bills", True), ("", None)]
    assert trial.reasons[0].text == "“Noise” does not hold"
    assert trial.reasons[2].text == "No. 3, which is no simple rule: keep"
    assert await rules.list(actor) == mixed
    assert await storage.accounts.of(alice.account_id).usage() == usage


async def test_the_last_messages_of_a_mailbox_are_tried(rules, actor, append):
    await append(*(octets(f"m{number}") for number in range(5)), octets("A bill", "noise@x.test"))
    await append(octets("bill"), mailbox="Junk")
    trials = await rules.try_on_mailbox(actor, "inbox", 3, [Wish(NOISE), Wish(BILLS)])
    assert [(trial.subject, trial.sender) for trial in trials] == [
        ("A bill", "noise@x.test"),
        ("m4", "Bob <bob@x.test>"),
        ("m3", "Bob <bob@x.test>"),
    ]
    assert trials[0].does == ("goes into Archive",)
    assert [reason.name for reason in trials[0].reasons] == ["Noise", "Bills"]
    assert [(trial.does, trial.reasons) for trial in trials[1:]] == [(("stays in INBOX",), ())] * 2
    assert len(await rules.try_on_mailbox(actor, "Junk", 9)) == 1
    with pytest.raises(NoSuchMailbox):
        await rules.try_on_mailbox(actor, "Nowhere", 3)
    with pytest.raises(NoSuchMessage):
        await rules.try_on_message(actor, "x")
    with pytest.raises(BadRule):
        await rules.try_on_mailbox(actor, "INBOX", 3, [Wish(Rule("nothing"))])


async def test_a_run_that_fails_is_said(rules, actor, append, filters):
    await filters.scripts.put(actor, "a", b'require "reject"; keep; if true { reject "no"; }')
    await filters.scripts.activate(actor, "a")
    trial = await rules.try_on_message(actor, await append(octets()))
    assert (trial.mailboxes, trial.does) == (("INBOX",), ("stays in INBOX",))
    assert "rejected" in trial.problems[0]


async def test_attack_058_trying_has_a_budget_too(storage, bus, clock, actor, append):
    filters = Filters(storage, bus, clock, FilterTerms(Sieve(steps_max=1000)))
    rules = FilterRules(storage, filters, Mailboxes(storage, bus, clock, Staging(2**30)))
    await append(*[octets("a", header="X: " + "abcd" * 100 + "\r\n")] * 300)
    many = tuple(
        Condition(Field.HEADER, Match.PATTERN, (f"*a*b*c*d*e{number}*",), names=("x",)) for number in range(50)
    )
    wishes = [Wish(Rule("", many, (Action(Kind.DISCARD),), is_any=True))] * 20
    try:
        found = await rules.try_on_mailbox(actor, "INBOX", 300, wishes)
    finally:
        filters.close()
    assert 0 < len(found) < 300


# from a message


async def test_a_rule_is_made_from_a_message_of_a_list(rules, actor, append):
    header = 'List-Id: "The dev list" <dev.lists.test>\r\n'
    made = await rules.suggest(actor, await append(octets("Re: fwd: A  plan", header=header), mailbox="Archive"))
    assert made.rule == Rule(
        "The dev list", (Condition(Field.LIST_ID, Match.CONTAINS, ("<dev.lists.test>",)),), (ARCHIVE,)
    )
    assert made.conditions == (
        made.rule.conditions[0],
        Condition(Field.FROM, Match.IS, ("bob@x.test",), part=Part.ADDRESS),
        Condition(Field.FROM, Match.IS, ("x.test",), part=Part.DOMAIN),
        Condition(Field.RECIPIENT, Match.IS, ("alice@example.test",), part=Part.ADDRESS),
        Condition(Field.SUBJECT, Match.CONTAINS, ("A plan",)),
    )


async def test_a_rule_is_made_from_a_message_of_a_person_and_holds_for_it(rules, actor, append):
    object_id = await append(octets())
    made = await rules.suggest(actor, object_id)
    assert (made.rule.name, made.rule.actions) == ("Bob", ())
    for condition in made.conditions:
        rule = replace(made.rule, conditions=(condition,), actions=(Action(Kind.DISCARD),))
        trial = await rules.try_on_message(actor, object_id, [Wish(rule)])
        assert trial.does == ("is thrown away",), condition


async def test_attack_060_what_strangers_write_makes_no_bad_rule(rules, actor, append):
    sender = '=?utf-8?q?a=0D=0Aredirect_"x";?= <"a\\"]; stop;"@x.test>'
    made = await rules.suggest(actor, await append(octets("=?utf-8?q?a=00=0Ab?=", sender)))
    shown = await rules.add(actor, (await rules.list(actor)).version, replace(made.rule, actions=(Action(Kind.KEEP),)))
    assert len(shown.entries) == 1
    assert "\n" not in shown.entries[0].name
    assert all(value.isprintable() for condition in made.conditions for value in condition.values)


async def test_a_message_without_any_header_offers_nothing(rules, actor, append):
    made = await rules.suggest(actor, await append(b"\r\nbody\r\n"))
    assert made.conditions == ()
