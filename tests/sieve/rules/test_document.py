"""Rules written as Sieve and read back, among whatever else a script holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.sieve.parse import parse
from mailstead.sieve.rules.document import changed, read
from mailstead.sieve.rules.rule import BadRule, Rule
from mailstead.sieve.script import compile_script
from mailstead.sieve.write import write
from sieve.rules.strategies import HEAD, OTHERS, rules
from sieve.test_write import trees

pieces = st.lists(st.one_of(rules, st.sampled_from(OTHERS)), max_size=6)
EMPTY = read(b"")


def script_of(some):
    """Put rules and other pieces together as two editors would."""
    text = HEAD
    for one in some:
        text += one if isinstance(one, str) else changed(EMPTY, [one]).blocks[0].text
        text += "" if text.endswith("\n") else "\n"
    return text


def same(block):
    return [str(parse_again) for parse_again in parse(block.text).commands]


@given(st.lists(rules, max_size=4))
@settings(max_examples=40)
def test_rules_are_read_back_equal_and_compile(some):
    made = changed(EMPTY, some)
    again = read(made.text.encode())
    assert [block.rule for block in again.blocks] == some
    assert again == made
    compile_script(made.text.encode())


@given(pieces)
@settings(max_examples=40)
def test_all_of_any_script_is_kept_to_the_letter(some):
    text = script_of(some)
    document = read(text.encode())
    assert document.text == text
    assert [block.rule for block in document.blocks] == [None if isinstance(one, str) else one for one in some]


@given(pieces, rules, st.data())
@settings(max_examples=40)
def test_changing_one_rule_changes_no_other_piece(some, rule, data):
    document = read(script_of(some).encode())
    wanted = list(range(len(document.blocks)))
    at = data.draw(st.integers(0, len(wanted)))
    is_new = data.draw(st.booleans()) or at == len(wanted)
    wanted[at : at if is_new else at + 1] = [rule]
    made = changed(document, wanted)
    for block, one in zip(made.blocks, wanted, strict=True):
        if isinstance(one, int):
            assert block.text.rstrip("\r\n") == document.blocks[one].text.rstrip("\r\n")
            assert block.rule == document.blocks[one].rule
        else:
            assert block.rule == rule
    assert document.extensions <= made.extensions or all(block.rule for block in made.blocks)


@given(pieces, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_moving_pieces_keeps_what_each_says(some, chance):
    document = read(script_of(some).encode())
    order = list(range(len(document.blocks)))
    chance.shuffle(order)
    order = order[: chance.randint(0, len(order))]
    made = changed(document, order)
    assert [same(block) for block in made.blocks] == [same(document.blocks[number]) for number in order]


@given(trees, rules)
@settings(max_examples=60)
def test_whatever_is_sieve_is_cut_and_put_together_again(tree, rule):
    text = write(tree)
    document = read(text.encode())
    assert document.text == text
    told = [*document.requires, *(command for block in document.blocks for command in block.commands)]
    assert tuple(told) == tree.commands
    if "${" not in text:
        made = changed(document, [rule, *range(len(document.blocks))])
        assert made.text.endswith("".join(block.text for block in document.blocks) + document.tail)


@given(st.text('if true{};#\n/*"keep()[],:x\\ \r', max_size=60))
@settings(max_examples=300)
def test_what_is_sieve_at_all_is_cut_and_put_together_again(text):
    try:
        parse(text)
    except ValueError:
        return
    except Exception:  # no Sieve
        return
    document = read(text.encode())
    assert document.text == text


def test_a_name_can_begin_no_command():
    for name in ("a\nredirect", "a\r", "a\u2028b", "\0"):
        with pytest.raises(BadRule):
            changed(EMPTY, [Rule(name, stops=True)])


@pytest.mark.parametrize(
    "text",
    [
        "if true{}" + "elsif true{}" * 5000,
        "else{}" * 5000,
        "stop;" * 5000,
        "# Filter:x" + " " * 60_000 + "x\nkeep;",
        "# rule:[x]" + " " * 60_000 + "x\nkeep;",
        "/*a*/" * 10_000 + "keep;",
        "if " + "not " * 25 + "true { keep; }",
    ],
    ids=range(7),
)
def test_attack_058_large_scripts_are_cut_in_one_pass(text):
    """No time is measured: what goes back and forth over such a text takes minutes, and the run's own limit ends it."""
    document = read(text.encode())
    assert document.text == text
    assert [block.rule for block in document.blocks] == [None] * len(document.blocks)
