"""Every extension and every kind of error, as small readable cases (see `conformance`)."""

import re

import pytest

from mailstead.sieve.errors import SieveError
from mailstead.sieve.parse import parse
from mailstead.sieve.script import ALL, compile_script
from mailstead.sieve.write import write
from sieve import conformance

CASES = conformance.cases()
GOOD = [case for case in CASES if case.gives is not None]
BAD = [case for case in CASES if case.wrong is not None]


def test_there_are_cases_of_each_kind():
    assert len(GOOD) > 100
    assert len(BAD) > 60
    assert len({case.title for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.title)
def test_a_script_gives_its_actions(case):
    script = compile_script(case.script.encode())
    assert conformance.said(conformance.run(script, case), case.message) == case.gives


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.title)
def test_a_script_written_back_gives_the_same(case):
    tree = parse(case.script)
    text = write(tree)
    assert parse(text) == tree
    script = compile_script(text.encode())
    lines = [
        re.sub(r"Line \d+", "Line 2", line) for line in conformance.said(conformance.run(script, case), case.message)
    ]
    assert lines == case.gives


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.title)
def test_a_wrong_script_is_told_where_and_why(case):
    with pytest.raises(SieveError) as caught:
        compile_script(case.script.encode())
    problems = caught.value.problems
    wanted = [line.split(" ", 1) for line in case.wrong]
    assert [f"{each.line}:{each.column}" for each in problems] == [place for place, _ in wanted], str(caught.value)
    for problem, (_, words) in zip(problems, wanted, strict=True):
        assert words in problem.text


def test_every_extension_has_a_case():
    required = {
        text.value
        for case in GOOD
        for command in parse(case.script).commands
        if command.name == "require"
        for argument in command.arguments
        for text in getattr(argument, "texts", (argument,))
    }
    assert sorted(set(ALL) - required - {"comparator-i;octet", "comparator-i;ascii-casemap"}) == []


# What sievelib says of words that it does not know; whatever else it says is a difference of opinion.
UNKNOWN_TO_SIEVELIB = re.compile(
    r"unknown command '(ereject|string|mailboxexists|specialuse_exists|addheader|deleteheader|duplicate|include|global"
    r"|valid_notify_method|foreverypart|spamtest|virustest|ihave)'"
    r"|bad argument :(user|index|specialuse|fcc|mime) |bad value \"i;ascii-numeric\""
)


def test_sievelib_accepts_what_it_knows():
    """A second reader of the same language."""
    sievelib = pytest.importorskip("sievelib.parser", reason="sievelib is not installed")
    accepted, refused = 0, []
    for case in GOOD:
        parser = sievelib.Parser()
        if parser.parse(case.script.encode()):
            accepted += 1
        elif not UNKNOWN_TO_SIEVELIB.search(parser.error):
            refused.append(f"{case.title}: {parser.error}")
    assert refused == []
    assert accepted > 80
