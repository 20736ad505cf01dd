"""A run followed from block to block gives what the plain run gives, and says why."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.sieve.actions import FileInto
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import SieveError
from mailstead.sieve.facts import Facts
from mailstead.sieve.rules.document import changed, read
from mailstead.sieve.rules.following import Following
from mailstead.sieve.rules.rule import Condition, Field, Match, Rule
from mailstead.sieve.script import compile_script
from sieve.rules.strategies import HEAD, OTHERS, rules

MESSAGE = (
    b"From: Ann <ann@x.test>\r\nTo: bob@y.test\r\nSubject: A bill\r\nList-Id: <dev.lists.test>\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n'
    b"Content-Disposition: attachment; filename=a\r\n\r\nx\r\n--b--\r\n"
)
FACTS = Facts(MESSAGE, datetime(2020, 1, 1, tzinfo=UTC), "ann@x.test", "bob@y.test", mailboxes={"x": None})


def followed(text):
    return Following(read(text.encode())).run(FACTS, Budget())


@given(st.lists(st.one_of(rules, st.sampled_from(OTHERS)), max_size=5))
@settings(max_examples=60)
def test_following_changes_nothing(some):
    text = HEAD + "".join(one + "\n" for one in some if isinstance(one, str))
    document = read(text.encode())
    wanted = [*range(len(document.blocks)), *(one for one in some if not isinstance(one, str))]
    document = changed(document, wanted)
    plain = compile_script(document.text.encode()).run(FACTS, Budget())
    outcome, reached = Following(document).run(FACTS, Budget())
    assert (outcome.actions, outcome.problems) == (plain.actions, plain.problems)
    assert [each.number for each in reached] == sorted({each.number for each in reached})


def test_it_says_which_conditions_hold_and_where_it_ends():
    outcome, reached = followed(
        'require ["fileinto", "imap4flags"];'
        'if header :contains "subject" "invoice" { discard; }'
        'if anyof (header :contains "subject" "bill", size :over 1M, address :is "from" "ann@x.test")'
        ' { addflag "\\\\Seen"; fileinto "x"; }'
        "if false # true\n{ discard; }"
        'if true { addflag "a"; } elsif true { discard; }'
        "if true { stop; }"
        "discard;"
    )
    assert [(each.number, each.holds, each.held, each.ends) for each in reached] == [
        (0, False, (), False),
        (1, True, (0, 2), False),
        (3, None, (), False),
        (4, True, (), True),
    ]
    assert [action.mailbox for action in outcome.actions if isinstance(action, FileInto)] == ["x"]
    assert reached[1].does == outcome.actions
    assert [each.flags for each in reached] == [(), ("\\Seen",), ("\\Seen", "a"), ()]


def test_attachments_are_seen():
    _, reached = followed('require "mime"; if header :mime :anychild :type "content-disposition" "attachment" {stop;}')
    assert reached[0].holds


def test_a_run_that_fails_says_where():
    outcome, reached = followed('require "reject"; keep; if true { reject "no"; } stop;')
    assert outcome.problems
    assert [(each.number, each.holds) for each in reached] == [(0, None), (1, True)]


def test_what_does_not_compile_is_told():
    with pytest.raises(SieveError, match="fileinto"):
        followed('if true { fileinto "x"; }')


@pytest.mark.parametrize(
    ("match", "value", "holding", "others"),
    [
        (Match.BEGINS, "a*b", ["a*b", "A*b and more"], ["axb", "and a*b"]),
        (Match.BEGINS, "?\\", ["?\\x"], ["xx", "x\\", "?"]),
        (Match.ENDS, "?", ["what?"], ["what", "?!"]),
        (Match.ENDS, "\\*", ["x\\*"], ["x\\", "x*"]),
        (Match.PATTERN, "a?c*", ["abc", "abcd"], ["ac", "xabc"]),
        (Match.CONTAINS, "*", ["a*c"], ["abc"]),
        (Match.IS, "a", ["a", "A"], ["ab"]),
    ],
)
def test_texts_are_compared_as_people_mean_it(match, value, holding, others):
    rule = Rule("", (Condition(Field.SUBJECT, match, (value,)),), stops=True)
    following = Following(changed(read(b""), [rule]))
    for subject in (*holding, *others):
        _, reached = following.run(Facts(f"Subject: {subject}\r\n\r\n".encode(), FACTS.now), Budget())
        assert reached[0].holds is (subject in holding), subject
