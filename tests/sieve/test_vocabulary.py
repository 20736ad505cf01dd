"""Whatever fits the forms of the vocabulary can be checked, written and run."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.sieve.actions import Keep
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import SieveError
from mailstead.sieve.facts import Facts
from mailstead.sieve.forms import Takes
from mailstead.sieve.forms import Tests as Inside
from mailstead.sieve.script import ALL, compile_script
from mailstead.sieve.tree import Command, Number, Tag, Text, TextList, Tree
from mailstead.sieve.tree import Test as Asked
from mailstead.sieve.vocabulary import VOCABULARY
from mailstead.sieve.write import write
from sieve.conformance import USUAL

FACTS = Facts(
    USUAL,
    datetime(2026, 1, 5, tzinfo=UTC),
    mail_from="alice+news@example.com",
    rcpt_to="me+box@here.example",
    own_addresses=frozenset({"me@here.example"}),
    mailboxes={"INBOX": None, "Spam": "\\Junk"},
    environment={"domain": "here.example"},
    scripts={"a": b"keep;", "from": b"stop;"},
    spam_percent=50,
)
# What many arguments can be, and what few can.
WORDS = st.sampled_from(
    ["from", "to", "subject", "x-multi", "a", "*", "*o?", "${1}", "${a}", "${global.a}x", "a@b.example", "me@here.example", "\\\\Junk",
     "mailto:a@b.example", "1", "gt", "count", "eq", "i;octet", "i;ascii-numeric", "+0100", "hour", "date", "online", "maybe", "(.)", "",
     "${unicode:40}", "content-type", "text", "message/rfc822", "domain", "fileinto", "INBOX", "käse", "a b"]
)  # fmt: skip
texts = WORDS.map(Text)
numbers = st.sampled_from([0, 1, 2, 3, 1000]).map(Number)
ARGUMENTS = {
    Takes.NUMBER: numbers,
    Takes.TEXT: texts,
    Takes.TEXTS: st.one_of(texts, st.lists(texts, min_size=1, max_size=3).map(lambda some: TextList(tuple(some)))),
}
FIXED = {
    "comparator": ["i;octet", "i;ascii-casemap"],
    "count": ["gt", "eq"],
    "value": ["lt", "ge"],
    "zone": ["-0800"],
    "importance": ["1"],
}


@st.composite
def arguments(draw, form):
    given_tags = []
    groups = set()
    for tag in draw(st.lists(st.sampled_from(form.tags), max_size=3, unique=True)) if form.tags else ():
        if (tag.group or tag.name) in groups or (tag.after and tag.after not in groups):
            continue
        groups.add(tag.group or tag.name)
        given_tags.append(Tag(tag.name))
        if tag.takes is Takes.TEXT and tag.name in FIXED:
            given_tags.append(Text(draw(st.sampled_from(FIXED[tag.name]))))
        elif tag.takes is not None:
            given_tags.append(draw(ARGUMENTS[tag.takes]))
    return (*given_tags, *(draw(ARGUMENTS[takes]) for takes in form.takes))


@st.composite
def asked(draw, depth=2):
    form = draw(st.sampled_from([form for form in VOCABULARY.tests.values() if depth or form.tests is Inside.NONE]))
    inside = ()
    if form.tests is not Inside.NONE:
        inside = tuple(draw(st.lists(asked(depth - 1), min_size=1, max_size=1 if form.tests is Inside.ONE else 3)))
    return Asked(form.name, draw(arguments(form)), inside, is_list=form.tests is Inside.LIST)


@st.composite
def commands(draw, depth=2):
    if depth and draw(st.booleans()):
        block = tuple(draw(st.lists(commands(depth - 1), max_size=3)))
        if draw(st.booleans()):
            return Command("foreverypart", block=block)
        return Command("if", (), (draw(asked()),), block=block)
    form = draw(st.sampled_from([form for form in VOCABULARY.commands.values() if not form.takes_block]))
    return Command(form.name, draw(arguments(form)))


@given(commands())
@settings(max_examples=300)
def test_a_command_that_fits_its_form_is_refused_with_problems_or_runs(command):
    require = Command("require", (TextList(tuple(map(Text, ALL))),))
    octets = write(Tree((require, command))).encode()
    script = compiled(octets)
    if script is not None:
        outcome = script.run(FACTS, Budget())
        assert outcome.actions
        assert not outcome.problems or outcome.actions == (Keep(),)
        assert script.run(FACTS, Budget()) == outcome


def compiled(octets):
    try:
        return compile_script(octets)
    except SieveError:
        return None


def test_every_extension_brings_something():
    needed = {name for form in (*VOCABULARY.commands.values(), *VOCABULARY.tests.values()) for name in form.needs}
    needed |= {tag.needs for form in (*VOCABULARY.commands.values(), *VOCABULARY.tests.values()) for tag in form.tags}
    assert needed - {""} <= set(ALL)
    in_strings = {"encoded-character", "comparator-i;octet", "comparator-i;ascii-casemap", "comparator-i;ascii-numeric"}
    assert set(ALL) - needed - in_strings == set()
