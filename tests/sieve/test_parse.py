"""From tokens to the tree, and what is said when that fails."""

import pytest

from mailstead.sieve.errors import PROBLEMS_MAX, SieveError
from mailstead.sieve.parse import DEPTH_MAX, LIST_MAX, parse
from mailstead.sieve.tree import Command, Number, Tag, Text, TextList, Tree
from mailstead.sieve.tree import Test as Asked


def test_a_script_is_read_into_a_tree():
    assert parse('# rule: bills\nif anyof (size :over 1K, header "a" ["b", "c"]) { keep; }\nstop;') == Tree(
        (
            Command(
                "if",
                (),
                (
                    Asked(
                        "anyof",
                        (),
                        (
                            Asked("size", (Tag("over"), Number(1024))),
                            Asked("header", (Text("a"), TextList((Text("b"), Text("c"))))),
                        ),
                        is_list=True,
                    ),
                ),
                block=(Command("keep"),),
                comment=("rule: bills",),
            ),
            Command("stop"),
        )
    )


def test_places_do_not_count_in_comparisons_but_are_there():
    tree = parse("\n  keep;")
    assert tree == parse("keep;")
    assert tree.commands[0].place == (2, 3)


def test_reading_goes_on_behind_an_error():
    with pytest.raises(SieveError) as caught:
        parse('keep "a" [;\nif true { ( ; keep; }\nstop ;;\nkeep;')
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]


def test_problems_are_bounded():
    with pytest.raises(SieveError) as caught:
        parse(";" * 60000)
    assert len(caught.value.problems) == PROBLEMS_MAX


@pytest.mark.parametrize("opening", ["if true {", "not ", "anyof (", "if not anyof (true, ", "{", "["])
def test_nesting_is_bounded(opening):
    text = opening * (60000 // len(opening))
    with pytest.raises(SieveError):
        parse(text if opening.startswith("if") or opening in "{[" else f"if {text}")


def test_nesting_up_to_the_limit_is_fine():
    depth = DEPTH_MAX - 1
    assert parse("if true {" * depth + "}" * depth)


def test_long_lists_are_refused():
    with pytest.raises(SieveError, match="split it"):
        parse("if exists [" + ",".join(['"a"'] * (LIST_MAX + 1)) + "] {}")
