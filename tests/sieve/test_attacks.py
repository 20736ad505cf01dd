"""Attack rows 58, 59 and 60: what scripts may cost, what expressions may do, what an editor writes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.sieve.actions import FileInto, Keep, Redirect, Vacation
from mailstead.sieve.budget import REDIRECTS_MAX, STEPS_MAX, Budget
from mailstead.sieve.errors import SieveError
from mailstead.sieve.facts import Facts
from mailstead.sieve.parse import parse
from mailstead.sieve.script import ALL, compile_script
from mailstead.sieve.tree import Command, Text, TextList, Tree
from mailstead.sieve.tree import Test as Asked
from mailstead.sieve.write import Unwritable, write

MESSAGE = b"From: a@example.com\r\nTo: me@here.example\r\nSubject: Hello\r\n\r\nText\r\n"
MANY_PARTS = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 9990
    + b"--b--\r\n"
)
REQUIRE = "require [" + ", ".join(f'"{name}"' for name in ALL) + "];\n"


def run(text, octets=MESSAGE, budget=None, **facts):
    known = {
        "mail_from": "a@example.com",
        "rcpt_to": "me@here.example",
        "own_addresses": frozenset({"me@here.example"}),
    }
    script = compile_script(text.encode())
    return script.run(Facts(octets, datetime(2026, 1, 5, tzinfo=UTC), **{**known, **facts}), budget or Budget())


def assert_kept(outcome, words):
    assert outcome.actions == (Keep(),)
    assert outcome.seen == ()
    assert words in outcome.problems[0].text


UNANSWERED = {
    "the null sender": ({"mail_from": ""}, b""),
    "an unknown sender": ({"mail_from": None}, b""),
    "ourselves": ({"mail_from": "ME@here.example"}, b""),
    "a mailer daemon": ({"mail_from": "MAILER-DAEMON@example.com"}, b""),
    "an owner": ({"mail_from": "owner-list@example.com"}, b""),
    "a request address": ({"mail_from": "list-request@example.com"}, b""),
    "bounces": ({"mail_from": "bounces+me=here@example.com"}, b""),
    "nobody who reads": ({"mail_from": "no-reply@example.com"}, b""),
    "a robot": ({}, b"Auto-Submitted: auto-replied (vacation)\r\n"),
    "a list": ({}, b"List-Unsubscribe: <mailto:x@example.com>\r\n"),
    "bulk": ({}, b"Precedence: bulk\r\n"),
    "who wants none": ({}, b"X-Auto-Response-Suppress: OOF, AutoReply\r\n"),
}


@pytest.mark.parametrize("case", UNANSWERED)
def test_attack_019_there_is_no_automatic_answer_to(case):
    facts, fields = UNANSWERED[case]
    text = 'require "vacation"; vacation "gone";'
    assert [type(action) for action in run(text).actions] == [Vacation, Keep]
    assert run(text, fields + MESSAGE, **facts).actions == (Keep(),)


def test_attack_058_redirect_to_oneself_is_a_keep():
    assert run('redirect "ME@here.example";').actions == (Keep(),)
    assert run('redirect "me+detail@here.example";').actions == (Keep(),)
    assert run('require "copy"; redirect :copy "me@here.example";').actions == (Keep(),)


def test_attack_058_a_thousand_redirects_keep_the_mail():
    assert_kept(run("".join(f'redirect "a{n}@example.com";' for n in range(1000))), "too many addresses")
    some = run("".join(f'redirect "a{n}@example.com";' for n in range(REDIRECTS_MAX)))
    assert [type(action) for action in some.actions] == [Redirect] * REDIRECTS_MAX
    assert_kept(run(REQUIRE + "".join(f'notify "mailto:a{n}@example.com";' for n in range(1000))), "too many addresses")


def test_attack_058_redirects_are_counted_over_all_scripts_of_a_delivery():
    budget = Budget()
    for number in range(REDIRECTS_MAX):
        assert not run(f'redirect "a{number}@example.com";', budget=budget).problems
    assert_kept(run('redirect "b@example.com";', budget=budget), "too many addresses")


def test_attack_058_a_thousand_mailboxes_keep_the_mail():
    assert_kept(run(REQUIRE + "".join(f'fileinto "a{n}";' for n in range(1000))), "More than 32 actions")


def test_attack_058_scripts_that_include_each_other_end():
    include = b'require "include"; include "b"; include "b"; include "b"; include "b"; include "b";'
    chain = {f"s{n}": ('require "include"; ' + f'include "s{n + 1}";' * 5).encode() for n in range(4)} | {
        "s4": b"keep;"
    }
    assert_kept(
        run('require "include"; include "a";', scripts={"a": include, "b": b'require "include"; include "a";'}),
        "includes itself",
    )
    assert_kept(run('require "include"; include "s0";', scripts=chain), "scripts are included")
    deep = {f"s{n}": f'require "include"; include "s{n + 1}";'.encode() for n in range(20)}
    assert_kept(run('require "include"; include "s0";', scripts=deep), "more than 6 deep")


def test_attack_058_deep_scripts_that_include_deep_scripts_are_not_too_deep_for_us():
    def nested(command):
        return 'require ["include", "foreverypart"]; ' + "if true { foreverypart { keep; " * 15 + command + "} }" * 15

    tests = "not " * 30 + "true"
    scripts = {f"s{n}": nested(f'include "s{n + 1}";').encode() for n in range(5)} | {
        "s5": f"if {tests} {{ keep; }}".encode()
    }
    outcome = run(nested('include "s0";'), scripts=scripts)
    assert not outcome.problems
    assert outcome.actions == (Keep(),)


LOOPS = {
    "a loop over all parts": 'foreverypart { if body :contains "z" { stop; } }',
    "loops in loops": "foreverypart { foreverypart { foreverypart { } } }" * 20,
    "children of each part": 'foreverypart { if header :mime :anychild "x" "y" { stop; } }' * 30,
    "growing variables": 'set "a" "xxxxxxxx"; foreverypart { set :upper :quotewildcard "a" "${a}${a}${a}"; }',
    "headers that grow": 'foreverypart { addheader "X" "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"; }',
    "patterns from variables": 'set "a" "x{900}"; foreverypart { extracttext "b"; if string :regex "y" "${a}${b}" { stop; } }',
    "long lists": "foreverypart { if exists [" + ",".join(f'"k{n}"' for n in range(4000)) + "] { } }",
    "flags": 'foreverypart { addflag "' + " ".join(f"f{n}" for n in range(5000)) + '"; }',
    "URIs": 'foreverypart { if valid_notify_method "mailto:' + "a@b.example," * 2000 + '" { } }',
}


@pytest.mark.parametrize("loop", LOOPS)
def test_attack_058_loops_over_ten_thousand_parts_end_within_the_budget(loop):
    outcome = run(REQUIRE + LOOPS[loop], MANY_PARTS)
    assert_kept(outcome, "too ")
    assert outcome.steps_used <= STEPS_MAX


def test_attack_058_a_plain_loop_over_ten_thousand_parts_is_no_trouble():
    outcome = run(
        REQUIRE + 'foreverypart { if header :mime :type "content-type" "image" { fileinto "Pictures"; stop; } }',
        MANY_PARTS,
    )
    assert outcome.actions == (Keep(),)
    assert not outcome.problems


def test_attack_058_splitting_a_script_does_not_reset_the_counter():
    half = REQUIRE + "".join(f'if header :contains "subject" "{n}" {{ stop; }}\n' for n in range(200))
    alone = run(half).steps_used
    included = {"half": half.encode()}
    within = run('require "include"; include "half";', scripts=included).steps_used
    assert within > alone > 400
    budget = Budget(steps_max=alone + alone // 2)
    assert not run(half, budget=budget).problems
    assert_kept(run(half, budget=budget), "too many steps")
    assert budget.steps_used == budget.steps_max
    twice = 'require "include"; include "half"; include "half";'
    assert_kept(run(twice, budget=Budget(steps_max=within + within // 2), scripts=included), "too many steps")


def test_attack_058_a_failure_undoes_what_was_asked_before():
    assert_kept(
        run('require ["reject", "variables"]; redirect "b@example.com"; set "a" "x"; redirect "${a}";'),
        "cannot be an address",
    )
    assert_kept(run('require "ihave"; discard; error "x";'), "The script says")
    assert_kept(run('require ["duplicate", "ihave"]; if not duplicate { error "x"; }'), "The script says")


def test_attack_058_large_bodies_cost_in_proportion():
    script = REQUIRE + 'if body :raw :contains "zz" { stop; }'
    small, large = (run(script, MESSAGE + b"ab\r\n" * count).steps_used for count in (10_000, 100_000))
    assert small * 5 < large < small * 20


def test_attack_059_expressions_are_linear_in_the_text():
    subject = b"Subject: " + b"a" * 100_000 + b"!\r\n\r\n"
    outcome = run('require "regex"; if header :regex "subject" "(a+)+$" { discard; }', subject)
    assert outcome.actions == (Keep(),)
    assert not outcome.problems
    assert outcome.steps_used < STEPS_MAX // 10
    assert run('require "regex"; if header :regex "subject" "(a+)+!$" { discard; }', subject).actions != (Keep(),)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\\1", "Back references"),
        (r"(?P<n>a)(?P=n)", "Back references"),
        ("(?=a)", "Look-around"),
        ("(?<!a)b", "Look-around"),
        ("((a{100}){100}){100}", "cannot be read"),
        ("(x{30}){30}" * 12, "too large"),
        ("a" * 1001, "1000 characters"),
    ],
)
def test_attack_059_what_is_not_linear_is_refused_when_saved(pattern, words):
    with pytest.raises(SieveError, match=words):
        compile_script(f'require "regex"; if header :regex "subject" "{pattern}" {{ keep; }}'.encode())


def test_attack_059_large_expressions_cost_what_they_can_cost():
    outcome = run(
        'require ["regex", "body"]; if body :raw :regex "((a{100}){9}|b)*c" { discard; }', MESSAGE + b"a" * 200_000
    )
    assert_kept(outcome, "too many steps")


def test_attack_059_expressions_of_a_script_are_bounded_together():
    rules = "".join(f'if header :regex "s" "a{n}" {{ }}\n' for n in range(1000))
    with pytest.raises(SieveError, match="too many or too large"):
        compile_script(b'require "regex";\n' + rules.encode())


def test_attack_059_a_pattern_of_matches_does_not_go_back_and_forth():
    subject = b"Subject: " + b"a" * 50_000 + b"\r\n\r\n"
    outcome = run(f'if header :matches "subject" "{"*a" * 1000}b" {{ discard; }}', subject)
    assert outcome.actions == (Keep(),)
    assert outcome.steps_used < 1000


@pytest.mark.parametrize("name", ["../other/INBOX", "user/other", "/etc/passwd", "#shared/x", "Work\\\\..\\\\x"])
def test_attack_060_names_are_names_of_the_owners_own_mailboxes(name):
    """A path is a name like any other; what has an empty level is none at all."""
    text = f'require "fileinto"; fileinto "{name}";'
    if name.startswith("/"):
        with pytest.raises(SieveError, match="cannot be a mailbox"):
            compile_script(text.encode())
    else:
        outcome = run(text, mailboxes={"INBOX": None})
        assert [type(action) for action in outcome.actions] == [FileInto]


def test_attack_060_control_characters_in_names_are_refused():
    for bad in ("a\\\r\nb", "a\x01b", "a\x7fb", "a\u2028b"):
        for text in (f'fileinto "{bad}";', f'vacation :fcc "{bad}" "gone";'):
            with pytest.raises(SieveError, match="control characters"):
                compile_script((REQUIRE + text).encode())


def test_attack_060_an_fcc_names_a_mailbox_and_nothing_else():
    with pytest.raises(SieveError, match="cannot be a mailbox"):
        compile_script((REQUIRE + 'vacation :fcc "a//b" "gone";').encode())


NASTY = [
    '"]; redirect "evil@example.com"; #',
    "\\",
    '\\"',
    "a\r\nredirect",
    "*/",
    "${x}",
    "text:\r\n.\r\n",
    '\r\n.\r\nredirect "e@x";\r\n',
]


@given(st.one_of(st.sampled_from(NASTY), st.text(max_size=60)), st.one_of(st.sampled_from(NASTY), st.text(max_size=60)))
@settings(max_examples=200)
def test_attack_060_what_an_editor_writes_reads_back_as_the_same_rule(name, value):
    """Whatever stands in the name of a rule and in its values: one rule goes in, one rule comes out, or none."""
    rule = Command(
        "if",
        (),
        (Asked("header", (Text("subject"), TextList((Text(value), Text("x"))))),),
        block=(Command("keep", (Text(value),)),),
        comment=(f"rule:[{name}]",),
    )
    tree = Tree((rule,))
    try:
        text = write(tree)
    except Unwritable:
        assert any(character in name + value for character in "\0\r\n") or not (name + value).isprintable()
    else:
        assert parse(text) == tree


WORDS = st.sampled_from(
    [*REQUIRE.split()[1:4], "if", "elsif", "else", "keep", ";", "{", "}", "(", ")", "[", "]", ",", "header", ":matches", ":regex",
     ":is", '"subject"', '"*a*"', '"(a"', "anyof", "not", "true", "foreverypart", "break", "set", '"a"', '"${a}"', "1K", "/*", "*/",
     "#x\n", "text:\n", ".\n", '"', "vacation", "fileinto", "redirect", '"a@b.example"', "stop", "\0", "ä", "discard", "body", "ihave"]
)  # fmt: skip


@given(
    st.one_of(
        st.binary(max_size=200), st.lists(WORDS, max_size=40).map(lambda words: (REQUIRE + " ".join(words)).encode())
    )
)
@settings(max_examples=500)
def test_attack_058_garbage_gives_problems_or_an_outcome_and_nothing_else(octets):
    script, problems = compiled(octets)
    if script is None:
        assert problems
        assert all(problem.line >= 1 and problem.column >= 1 and problem.text for problem in problems)
    else:
        assert script.run(Facts(MESSAGE, datetime(2026, 1, 5, tzinfo=UTC)), Budget()).actions


def compiled(octets):
    try:
        return compile_script(octets), ()
    except SieveError as error:
        return None, error.problems


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_attack_058_garbage_for_a_message_is_filtered_too(octets):
    text = (
        REQUIRE
        + """
    foreverypart { if header :mime :anychild :param "name" :matches "content-type" "*" { set "a" "${1}"; } extracttext "b"; }
    if anyof (body :raw :contains "x", body :content "" :is "y", address :detail :matches "from" "*", header :regex "subject" "(.)",
              date "date" "std11" "x", exists "y", duplicate, size :over 3) { addheader "X-A" "${a}${1}"; deleteheader :matches "to" "*"; }
    vacation :subject "${a}" "x"; notify :message "${b}" "mailto:a@b.example"; fileinto :copy "Work";
    """
    )
    outcome = run(text, octets)
    assert not outcome.problems
