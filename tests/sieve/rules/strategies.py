"""Rules by chance, for properties."""

from hypothesis import strategies as st

from mailstead.sieve.rules.rule import Action, BadRule, Condition, Field, Kind, Match, Part, Rule, checked

letters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
values = st.one_of(
    st.text(letters, max_size=12),
    st.sampled_from(
        ['"', "\\", "*", "?", "a*", "*a", "\\*", "*\\", '"]; redirect "', "# x", "/* x */", "{", "x@y.test"]
    ),
)
names = st.sampled_from(["from", "To", "cc", "subject", "List-Id", "x-spam", "Sender"])


def is_good(rule):
    try:
        checked(rule)
    except BadRule:
        return False
    return True


conditions = st.builds(
    Condition,
    st.sampled_from(Field),
    st.sampled_from(Match),
    st.lists(values, min_size=1, max_size=3).map(tuple),
    st.booleans(),
    st.sampled_from(Part),
    st.lists(names, min_size=1, max_size=2).map(tuple),
    st.integers(0, 1 << 40),
).filter(lambda one: is_good(Rule("", (one,), stops=True)))
actions = st.builds(
    Action,
    st.sampled_from(Kind),
    st.one_of(values, st.sampled_from(["Archive", "INBOX", "a/b", "x@y.test"])),
    st.lists(st.sampled_from(["\\Seen", "\\flagged", "work", "$label1"]), min_size=1, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
    st.booleans(),
).filter(lambda one: is_good(Rule("", (), (one,))))
rules = (
    st.builds(
        Rule,
        st.one_of(st.text(letters, max_size=12), st.sampled_from(["]", "a]b", "[x]", "rule:[x]", "Filter: y", "*/"])),
        st.lists(conditions, max_size=3).map(tuple),
        st.lists(actions, max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )
    .filter(is_good)
    .map(checked)
)
OTHERS = (
    "keep;",
    "if true { keep; } elsif false { stop; } else { discard; }",
    '# rule:[theirs]\nif header :regex "subject" "^a" {\n\tfileinto "x";\n}\n',
    "vacation text:\nHi\n# not a comment\n.\n; # behind it\n",
    '/* a\n * comment\n */\nredirect "x@y.test"; ',
    "# rule:[off]\nif false # not a test (\n{ keep; }",
    'if allof (header :is "a" "b", not anyof (true, false)) { stop; }',
    'addflag "a"; # rule:[not this]\r\n',
    'if header "a" "b" { keep; stop; keep; }',
)
"""Pieces of scripts that are no simple rules."""
HEAD = 'require ["fileinto", "regex", "vacation", "imap4flags"]; # what others need\n'
