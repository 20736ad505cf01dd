"""From the tree back to text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.sieve.lexer import NUMBER_MAX
from mailstead.sieve.parse import parse
from mailstead.sieve.tree import Command, Number, Tag, Text, TextList, Tree
from mailstead.sieve.tree import Test as Asked
from mailstead.sieve.write import Unwritable, write

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
letters = st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])
values = st.lists(
    st.one_of(
        st.text(letters, max_size=8), st.sampled_from(["\r\n", "\n", '"', "\\", ".", "\r\n.\r\n", '"]; redirect "'])
    ),
    max_size=6,
).map("".join)
texts = st.builds(Text, values)
lists = st.builds(TextList, st.lists(texts, min_size=1, max_size=4).map(tuple))
arguments = st.lists(
    st.one_of(texts, lists, st.builds(Number, st.integers(0, NUMBER_MAX)), st.builds(Tag, names)), max_size=4
).map(tuple)
tests = st.recursive(
    st.builds(Asked, names, arguments),
    lambda inner: st.one_of(
        st.builds(lambda name, given, one: Asked(name, given, (one,)), names, arguments, inner),
        st.builds(
            lambda name, given, some: Asked(name, given, tuple(some), is_list=True),
            names,
            arguments,
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)
tested = st.one_of(
    st.just(((), False)),
    tests.map(lambda one: ((one,), False)),
    st.lists(tests, min_size=1, max_size=3).map(lambda some: (tuple(some), True)),
)
comments = st.lists(
    st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=12), max_size=2
).map(tuple)


def command(name, given, inside, block, comment):
    return Command(name, given, inside[0], inside[1], block, comment)


commands = st.recursive(
    st.builds(command, names, arguments, tested, st.none(), comments),
    lambda inner: st.builds(command, names, arguments, tested, st.lists(inner, max_size=3).map(tuple), comments),
    max_leaves=8,
)
trees = st.builds(Tree, st.lists(commands, max_size=4).map(tuple))


@given(trees)
@settings(max_examples=60)
def test_what_is_written_is_read_back_equal(tree):
    assert parse(write(tree)) == tree


def test_it_looks_as_people_write_it():
    tree = parse('# rule: one\nif header :is "a" ["b","c"]{fileinto"x";stop;}vacation text:\nHi\n.y\n..z\n.\n;')
    # What begins with a dot gets another one, needed or not.
    assert write(tree) == (
        '# rule: one\r\nif header :is "a" ["b", "c"] {\r\n    fileinto "x";\r\n    stop;\r\n}\r\n'
        "vacation text:\r\nHi\r\n..y\r\n..z\r\n.\r\n;\r\n"
    )


@pytest.mark.parametrize(
    "bad",
    [
        Command("keep", comment=("a\nredirect",)),
        Command("keep", comment=("a\0",)),
        Command("keep; stop"),
        Command("Keep"),
        Command("keep", (Tag("a b"),)),
        Command("keep", (Text("\0"),)),
        Command("keep", (Text("a\rb"),)),
        Command("keep", (Text("\0\r\nx\r\n"),)),
        Command("keep", (Text("\ud800"),)),
        Command("keep", (TextList(()),)),
        Command("keep", (Number(-1),)),
        Command("keep", (), (Asked("a"), Asked("b"))),
        Command("keep", (), (), is_list=True),
    ],
    ids=repr,
)
def test_what_no_script_can_hold_is_not_written(bad):
    with pytest.raises(Unwritable):
        write(Tree((bad,)))
