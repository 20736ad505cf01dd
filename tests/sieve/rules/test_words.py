"""Rules in plain English."""

import pytest

from mailstead.sieve.rules.document import read
from mailstead.sieve.rules.words import rule_in_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            (
                'if anyof (header :contains "subject" ["a", "b"], not address :domain :is "from" "x.test")'
                ' { fileinto :create "A"; stop; }'
            ),
            (
                "If Subject contains “a” or “b” or the domain in From is not “x.test”:"
                " files it into A, which is made if need be, goes no further"
            ),
        ),
        (
            'if allof (size :over 2M, not size :under 1000) { addflag ["\\\\Seen", "work"]; fileinto :copy "A"; }',
            (
                "If it is larger than 2 MiB and it is not smaller than 1000 octets:"
                " marks it as read and gives it the label work, copies it into A"
            ),
        ),
        (
            'if not header :mime :anychild :type "content-disposition" "attachment" { redirect :copy "a@b.test"; keep; }',
            "If it has no attachment: sends a copy on to a@b.test, keeps it in INBOX",
        ),
        ('if exists "x-a" { reject "no"; }', "If there is a x-a: rejects it, with words to the sender"),
        ("if true { discard; }", "For every message: throws it away"),
        (
            'if body :contains ["1", "2", "3", "4", "5", "6", "7"] { stop; }',
            "If the text contains “1” or “2” or “3” or “4” or “5” or 2 more: goes no further",
        ),
    ],
)
def test_a_rule_is_said_in_one_sentence(text, words):
    (block,) = read(text.encode()).blocks
    assert rule_in_words(block.rule) == words
