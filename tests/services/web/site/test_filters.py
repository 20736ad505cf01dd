"""The form of a filter says all of the rules that it offers, and offers no others."""

import pytest

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.site.filters import fields_of, fits_the_form, rule_of
from mailstead.sieve.rules.rule import Action, Condition, Field, Kind, Match, Part, Rule, part_meant

FILE = Action(Kind.FILE, "Bills", creates=True)
FROM = Condition(Field.FROM, Match.IS, ("bob@else.test",), part=part_meant(Field.FROM, Match.IS))


@pytest.mark.parametrize(
    "rule",
    [
        Rule("a", (FROM,), (FILE,)),
        Rule("b", (FROM, Condition(Field.SUBJECT, Match.CONTAINS, ("x",), is_not=True)), (FILE,), is_any=True),
        Rule("c", (Condition(Field.SIZE, Match.OVER, size_octets=3 * 2**19),), (Action(Kind.DISCARD),), stops=True),
        Rule("d", (Condition(Field.ATTACHMENT, is_not=True),), (Action(Kind.FLAG, flags=("\\Seen",)),), is_on=False),
        Rule("e", (), (Action(Kind.FLAG, flags=("$todo",)), Action(Kind.REDIRECT, "c@else.test", is_copy=True))),
        Rule("f", (FROM,) * 7, (Action(Kind.FILE, "There"), Action(Kind.REJECT, "No more"))),
    ],
    ids=lambda rule: rule.name,
)
def test_what_nobody_changes_stays(rule):
    assert fits_the_form(rule)
    assert rule_of(fields_of(rule), rule) == rule


@pytest.mark.parametrize(
    "rule",
    [
        Rule("several values", (Condition(Field.SUBJECT, Match.CONTAINS, ("x", "y")),), (FILE,)),
        Rule("a pattern", (Condition(Field.SUBJECT, Match.PATTERN, ("x*",)),), (FILE,)),
        Rule("a header", (Condition(Field.HEADER, Match.CONTAINS, ("x",), names=("x-spam",)),), (FILE,)),
        Rule("a domain", (Condition(Field.FROM, Match.IS, ("x.test",), part=Part.DOMAIN),), (FILE,)),
        Rule("smaller", (Condition(Field.SIZE, Match.UNDER, size_octets=9),), (FILE,)),
        Rule("two flags", (FROM,), (Action(Kind.FLAG, flags=("\\Seen", "$todo")),)),
        Rule("ereject", (FROM,), (Action(Kind.REJECT, "No", is_ereject=True),)),
    ],
    ids=lambda rule: rule.name,
)
def test_what_the_form_cannot_say_is_not_offered(rule):
    assert not fits_the_form(rule)


@pytest.mark.parametrize("wrong", [{"field-0": "x"}, {"match-0": "x"}, {"kind-0": "x"}, {"field-0": "size"}])
def test_what_no_form_sends_is_refused(wrong):
    fields = {"field-0": "from", "match-0": "is", "value-0": "a", "kind-0": "keep"} | wrong
    with pytest.raises(PolicyRefused):
        rule_of(fields, None)
