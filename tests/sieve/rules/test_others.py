"""Scripts as other editors write them: Roundcube, SOGo, Proton, Horde. Written for these tests, in their manner."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts
from mailstead.sieve.rules.document import changed, read
from mailstead.sieve.rules.rule import Action, BadRule, Condition, Field, Kind, Match, Part, Rule
from mailstead.sieve.script import compile_script

GOLDEN = Path(__file__).parents[2] / "golden" / "sieve"
COMPILING = ("roundcube", "sogo", "horde")


def document_of(name):
    return read((GOLDEN / f"{name}.sieve").read_bytes())


@pytest.mark.parametrize("name", ["roundcube", "sogo", "proton", "horde"])
def test_what_nobody_changes_stays_to_the_letter(name):
    document = document_of(name)
    assert document.text.encode() == (GOLDEN / f"{name}.sieve").read_bytes()
    assert changed(document, range(len(document.blocks))) is document


def test_rules_of_roundcube():
    invoices, talk, sales, numbers, away, everything, thanks = [block.rule for block in document_of("roundcube").blocks]
    assert invoices == Rule(
        "Invoices",
        (
            Condition(Field.SUBJECT, Match.CONTAINS, ("invoice", "Rechnung")),
            Condition(Field.FROM, Match.IS, ("billing@shop.test",), part=Part.ADDRESS),
        ),
        (Action(Kind.FILE, "Archive/Invoices"), Action(Kind.FLAG, flags=("\\Seen",))),
        is_any=True,
        stops=True,
    )
    assert (talk.name, talk.is_on) == ("A list, off for now", False)
    assert talk.conditions == (
        Condition(Field.LIST_ID, Match.CONTAINS, ("talk.lists.test",)),
        Condition(Field.SIZE, Match.OVER, size_octets=1 << 20),
    )
    assert sales.conditions == (
        Condition(Field.RECIPIENT, Match.IS, ("sales",), part=Part.LOCAL_PART),
        Condition(Field.HEADER, Match.EXISTS, is_not=True, names=("x-spam-flag",)),
        Condition(Field.BODY, Match.CONTAINS, ("offer",)),
    )
    assert sales.actions == (
        Action(Kind.REDIRECT, "bob@example.test", is_copy=True),
        Action(Kind.FLAG, flags=("\\Flagged", "work")),
    )
    assert (numbers, away) == (None, None)
    assert everything == Rule("Everything", (), (Action(Kind.KEEP),))
    assert thanks.conditions == (Condition(Field.FROM, Match.ENDS, ("@pest.test>",)),)
    assert thanks.actions == (Action(Kind.REJECT, "No, thanks", is_ereject=True),)


def test_rules_of_sogo():
    report, large, lottery, redirect, keep = [block.rule for block in document_of("sogo").blocks]
    assert report.conditions[1] == Condition(Field.RECIPIENT, Match.CONTAINS, ("team@example.test",), part=Part.ADDRESS)
    assert report.actions == (Action(Kind.FLAG, flags=("\\Seen",)), Action(Kind.FILE, "Reports"))
    assert (report.name, report.is_any, report.stops) == ("", True, True)
    assert large.conditions[0] == Condition(Field.HEADER, Match.IS, ("robot",), is_not=True, names=("x-mailer",))
    assert lottery.conditions == (Condition(Field.BODY, Match.CONTAINS, ("lottery",)),)
    assert (redirect, keep) == (None, None)


def test_rules_of_proton():
    generated, invoice, unicode, tagged = [block.rule for block in document_of("proton").blocks]
    assert invoice.conditions == (
        Condition(Field.SUBJECT, Match.CONTAINS, ("invoice", '"your order"')),
        Condition(Field.FROM, Match.IS, ("billing@shop.test",), part=Part.ADDRESS),
    )
    assert " @type or" in [f" {line.lstrip('* ')}" for line in invoice.comments]
    # Another comparator, and a string that a variable is filled in.
    assert (generated, unicode, tagged) == (None, None, None)


def test_rules_of_horde():
    friend, dev = [block.rule for block in document_of("horde").blocks]
    assert friend.conditions == (
        Condition(
            Field.HEADER, Match.IS, ("friend@a.test",), part=Part.ADDRESS, names=("from", "sender", "resent-from")
        ),
    )
    assert (friend.comments, friend.stops) == (("Whitelist",), True)
    assert dev is None


@pytest.mark.parametrize("name", COMPILING)
def test_each_rule_is_renamed_switched_and_all_else_stays(name):
    document = document_of(name)
    compile_script(document.text.encode())
    for number, block in enumerate(document.blocks):
        if block.rule is None:
            continue
        wanted = list(range(len(document.blocks)))
        wanted[number] = replace(block.rule, name="New name", is_on=not block.rule.is_on)
        made = changed(document, wanted)
        assert made.blocks[number].rule == wanted[number]
        others = [(each.text, each.rule) for each in document.blocks if each is not block]
        assert [(each.text, each.rule) for each in made.blocks if each is not made.blocks[number]] == others
        assert made.head == document.head
        compile_script(made.text.encode())


MESSAGES = [
    "From: Billing <billing@shop.test>\r\nSubject: x\r\n\r\n",
    "From: a@pest.test\r\nSubject: Invoice 7\r\n\r\n",
    "From: <a@pest.test>\r\nTo: Sales <sales@example.test>\r\nSubject: 77\r\n\r\nAn offer\r\n",
    "From: friend@a.test\r\nCc: TEAM@example.test\r\nSubject: Report\r\nX-Mailer: robot\r\n\r\nlottery\r\n",
    "From: x@y.test\r\nTo: sales@y.test\r\nSubject: 7\r\nContent-Type: text/plain\r\n\r\noffer\r\n",
    "From: x@y.test\r\nTo: sales@y.test\r\nX-Spam-Flag: no\r\nList-Id: <dev.talk.lists.test>\r\n\r\n" + "offer\r\n" * 9,
    "From: x@y.test\r\nSubject: large\r\n\r\n" + "x" * 2_000_000,
]


@pytest.mark.parametrize("name", COMPILING)
def test_written_anew_every_rule_does_what_it_did(name):
    """With new names all rules are written by us; what they do to mail stays what the other editor has meant."""
    document = document_of(name)
    renamed = [
        number if block.rule is None else replace(block.rule, name=f"Rule {number}")
        for number, block in enumerate(document.blocks)
    ]
    ours = compile_script(changed(document, renamed).text.encode())
    theirs = compile_script(document.text.encode())
    outcomes = set()
    for message in MESSAGES:
        facts = Facts(message.encode(), datetime(2020, 1, 1, tzinfo=UTC), "x@y.test", "alice@example.test")
        outcome = theirs.run(facts, Budget())
        assert ours.run(facts, Budget()).actions == outcome.actions
        outcomes.add(outcome.actions)
    assert len(outcomes) >= 2


def test_a_rule_with_something_new_is_required_beside_what_stood():
    document = document_of("sogo")
    rule = Rule("Copy", (Condition(Field.ATTACHMENT),), (Action(Kind.FILE, "All", is_copy=True, creates=True),))
    made = changed(document, [rule, *range(len(document.blocks))])
    assert made.head == document.head + 'require ["copy", "mailbox", "mime"];\r\n'
    compile_script(made.text.encode())


def test_a_script_of_rules_alone_requires_what_it_needs():
    document = read(b'require ["fileinto", "variables"];\nif true { fileinto "a"; }\nif true { keep; }')
    assert changed(document, [1]).text == "if true { keep; }"
    assert (
        changed(document, [Rule("x", (), (Action(Kind.KEEP),))]).text == "# rule:[x]\r\nif true {\r\n    keep;\r\n}\r\n"
    )


def test_names_of_other_editors_are_read():
    document = read(b"# Filter: of sievelib\nif true { keep; }\n# rule:[old]\n# rule:[new]\nif true { keep; }\n")
    assert [block.rule.name for block in document.blocks] == ["of sievelib", "new"]


def test_a_comment_behind_a_command_is_its_own():
    document = read(b"keep; # rule:[x]\nif true { keep; }")
    assert [block.text for block in document.blocks] == ["keep; # rule:[x]\n", "if true { keep; }"]
    assert document.blocks[1].rule.name == ""
    made = changed(document, [1, 0])
    assert made.text == "if true { keep; }\r\nkeep; # rule:[x]\n"


@pytest.mark.parametrize(
    "text",
    [
        "if true { keep; } else { stop; }",
        "if true { }",
        "if not not true { keep; }",
        'if header :count "ge" "a" "1" { keep; }',
        'if header :comparator "i;octet" "a" "b" { keep; }',
        'if header :mime :anychild :contains "Content-Disposition" "attachment" { keep; }',
        'if address :user "from" "a" { keep; }',
        'if exists ["a", "b"] { keep; }',
        'if body :raw :contains "a" { keep; }',
        'if header :contains "a" "" { keep; }',
        "if true { keep; stop; keep; }",
        'if true { fileinto :flags "a" "b"; }',
        'if true { setflag "a"; }',
        'if true { addflag "v" "a"; }',
        'if true { reject "a"; keep; }',
        "if true { if true { keep; } }",
        "if false { keep; }",
        "if false # true\n # and more\n{ keep; }",
        "if false # true { keep; } if true\n{ keep; }",
        "if false # true {} if true\n{ keep; }",
        "if allof (anyof (true, true), true) { keep; }",
        'if header "a" "b" { vacation "x"; }',
    ],
)
def test_what_says_more_than_a_rule_is_none(text):
    assert [block.rule for block in read(text.encode()).blocks] == [None]


def test_a_dollar_means_itself_only_where_nothing_else_reads_it():
    rule = Rule("", (Condition(Field.SUBJECT, Match.IS, ("${a}",)),), (Action(Kind.KEEP),))
    plain = changed(read(b""), [rule])
    assert plain.blocks[0].rule == rule
    for head in (
        'require "variables";',
        'require "encoded-character";',
        'require "ihave";if ihave "variables" {keep;}',
    ):
        document = read(head.encode() + plain.text.encode())
        assert document.blocks[-1].rule is None
        other = read(head.encode())
        with pytest.raises(BadRule, match="variables"):
            changed(other, [*range(len(other.blocks)), rule])
