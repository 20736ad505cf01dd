"""Rules by chance, for properties."""

from hypothesis import strategies as st

from mailstead.sieve.rules.rule import Action, Condition, Field, Kind, Match, Part, Rule, checked

letters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
values = st.one_of(
    st.text(letters, max_size=12),
    st.sampled_from(
        ['"', "\\", "*", "?", "a*", "*a", "\\*", "*\\", '"]; redirect "', "# x", "/* x */", "{", "x@y.test"]
    ),
)
names = st.sampled_from(["from", "To", "cc", "subject", "List-Id", "x-spam", "Sender"])


some_names = st.lists(names, min_size=1, max_size=2).map(tuple)
some_values = st.lists(values.filter(bool), min_size=1, max_size=3).map(tuple)
headers = st.builds(
    Condition,
    st.sampled_from([Field.FROM, Field.TO, Field.CC, Field.RECIPIENT, Field.HEADER]),
    st.sampled_from([Match.IS, Match.CONTAINS, Match.BEGINS, Match.ENDS, Match.PATTERN]),
    some_values,
    st.booleans(),
    st.sampled_from(Part),
    some_names,
)
words = st.builds(
    Condition,
    st.sampled_from([Field.SUBJECT, Field.LIST_ID, Field.BODY]),
    st.sampled_from([Match.IS, Match.CONTAINS, Match.PATTERN]),
    some_values,
    st.booleans(),
)
others = st.one_of(
    st.builds(Condition, st.just(Field.SUBJECT), st.just(Match.IS), st.just(("",)), st.booleans()),
    st.builds(Condition, st.just(Field.ATTACHMENT), is_not=st.booleans()),
    st.builds(Condition, st.just(Field.HEADER), st.just(Match.EXISTS), names=st.tuples(names), is_not=st.booleans()),
    st.builds(
        Condition,
        st.just(Field.SIZE),
        st.sampled_from([Match.OVER, Match.UNDER]),
        is_not=st.booleans(),
        size_octets=st.integers(0, 1 << 40),
    ),
)
conditions = st.one_of(headers, words, others)
mailboxes = st.sampled_from(["Archive", "INBOX", "a/b", "Entwürfe", 'a"b', "a\\b", "${x}"])
flagging = st.builds(
    Action,
    st.just(Kind.FLAG),
    flags=st.lists(st.sampled_from(["\\Seen", "\\flagged", "work", "$label1"]), min_size=1, max_size=2).map(tuple),
)
filing = st.one_of(
    st.builds(Action, st.just(Kind.FILE), mailboxes, is_copy=st.booleans(), creates=st.booleans()),
    st.builds(Action, st.just(Kind.REDIRECT), st.sampled_from(["x@y.test", "ä@ö.test"]), is_copy=st.booleans()),
    st.builds(Action, st.sampled_from([Kind.DISCARD, Kind.KEEP])),
)
rejecting = st.builds(
    Action,
    st.just(Kind.REJECT),
    st.lists(st.one_of(values, st.just(".")), max_size=3).map(lambda lines: "\r\n".join(["No", *lines])),
    is_ereject=st.booleans(),
)
actions = st.one_of(
    st.lists(st.one_of(filing, flagging), min_size=1, max_size=3).map(tuple),
    st.tuples(rejecting),
    st.tuples(flagging, rejecting),
)
rules = st.builds(
    Rule,
    st.one_of(st.text(letters, max_size=12), st.sampled_from(["]", "a]b", "[x]", "rule:[x]", "Filter: y", "*/"])),
    st.lists(conditions, max_size=3).map(tuple),
    actions,
    st.booleans(),
    st.booleans(),
    st.booleans(),
).map(checked)
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
