"""Scripts as others use them."""

from datetime import UTC, datetime

import pytest

from mailstead.model.errors import BadScript
from mailstead.sieve.actions import Discard, Keep
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import Problem, SieveError
from mailstead.sieve.facts import Facts
from mailstead.sieve.script import ALL, compile_script

FACTS = Facts(b"Subject: x\r\n\r\n", datetime(2026, 1, 5, tzinfo=UTC))


def test_extensions_can_be_left_out():
    octets = b'require "redirect-free"; keep;'
    with pytest.raises(SieveError, match="not available here"):
        compile_script(octets)
    compile_script(b'require "regex";')
    with pytest.raises(SieveError, match="not available here"):
        compile_script(b'require "regex";', [name for name in ALL if name != "regex"])


def test_an_included_script_may_use_no_more_than_its_includer():
    script = compile_script(b'require "include"; include "a";', ["include"])
    facts = Facts(FACTS.octets, FACTS.now, scripts={"a": b'require "regex"; discard;'})
    assert script.run(facts, Budget()).actions == (Keep(),)


def test_a_script_runs_any_number_of_times_without_memory():
    script = compile_script(
        b'require ["variables", "imap4flags"]; if string "${a}" "" { set "a" "1"; addflag "x"; discard; }'
    )
    first, second = (script.run(FACTS, Budget()) for _ in range(2))
    assert first == second
    assert first.actions == (Discard(),)


def test_an_error_is_a_bad_script_for_the_rest_of_the_house():
    with pytest.raises(BadScript) as caught:
        compile_script(b"keep;\n  kep;\n foo;")
    error = caught.value
    assert (error.line, error.column, error.text) == (2, 3, 'There is no command "kep"; did you mean "keep"?')
    assert error.public_text.splitlines() == [
        f"line {each.line}, column {each.column}: {each.text}" for each in error.problems
    ]
    assert len(error.problems) == 2


def test_a_problem_without_a_place_is_its_text():
    assert str(Problem(0, 0, "Spent")) == "Spent"


def test_steps_of_a_run_are_told_alone():
    budget = Budget()
    script = compile_script(b"keep;")
    first = script.run(FACTS, budget).steps_used
    second = script.run(FACTS, budget).steps_used
    assert first == second > 0
    assert budget.steps_used == first + second


DUPLICATES = [
    "duplicate",
    'duplicate :header "message-id"',
    'duplicate :uniqueid "<m@example.com>"',
]


@pytest.mark.parametrize("noted", DUPLICATES)
@pytest.mark.parametrize("asked", DUPLICATES)
def test_a_second_message_of_the_same_id_is_a_duplicate_wherever_the_id_is_from(noted, asked):
    octets = b"Message-ID: <m@example.com>\r\n\r\n"
    script = 'require "duplicate"; if {} {{ discard; }}'
    first = compile_script(script.format(noted).encode()).run(Facts(octets, FACTS.now), Budget())
    assert first.actions == (Keep(),)
    keys = frozenset(seen.key for seen in first.seen)
    second = compile_script(script.format(asked).encode()).run(Facts(octets, FACTS.now, seen_keys=keys), Budget())
    assert (second.actions, second.seen) == ((Discard(),), ())


def test_last_notes_a_duplicate_again_and_a_handle_keeps_keys_apart():
    octets = b"Message-ID: <m@example.com>\r\n\r\n"

    def run(test, keys=()):
        script = compile_script(f'require "duplicate"; if {test} {{ discard; }}'.encode())
        return script.run(Facts(octets, FACTS.now, seen_keys=frozenset(keys)), Budget())

    keys = [seen.key for seen in run("duplicate").seen]
    assert run("duplicate :last", keys).seen == run("duplicate").seen
    assert run('duplicate :handle "other"', keys).actions == (Keep(),)
