"""Properties of targets, names of aliases, regular expressions and rules in the DNS over garbage and almost-texts."""

from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, BadTarget
from mailstead.policy.dns_rules import read_rules
from mailstead.policy.patterns import Pattern, alias_address
from mailstead.policy.targets import read_target
from mailstead.storage.embedded.directory_values import address_of, row_of, target_of, text_of

PIECES = [
    "a", "x.test", "@", "@x.test", ":", "/", "//", "https://", "[", "]", "192.0.2.1", "2001:db8::1", "::1", "%", "!", "!!", "*", ",",
    "(", ")", "+", "\\1", "$1", "$&", " ", '"', "\\", "\0", "25", "\u00e9", "\u0663", "\u00b2", "\u017f", "\u0130", "forward-email=",
]  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=40))
records = st.one_of(
    texts.map(lambda text: f"forward-email={text}".encode("utf-8", "surrogatepass")), st.binary(max_size=40)
)


@given(texts)
def test_a_target_is_refused_or_written_and_stored_so_that_it_is_read_back_equal(text):
    try:
        target = read_target(text)
    except BadTarget:
        return
    assert read_target(str(target)) == target
    assert target_of(*row_of(target)) == target


@given(texts)
def test_the_name_of_an_alias_is_refused_or_stored_so_that_it_is_read_back_equal(text):
    try:
        address = alias_address(text)
    except BadAddress:
        return
    assert address_of(text_of(address), address.domain) == address


@given(texts, texts)
def test_an_expression_is_refused_or_matches_anything_without_trouble(text, local_part):
    try:
        match = Pattern(f"/{text}/").match(local_part)
    except BadAddress:
        return
    if match:
        match.substituted(Address("$1$2$9$&", "x.test"))


@given(st.lists(records, max_size=3))
def test_no_record_is_so_odd_that_the_others_are_not_read(found):
    rules = read_rules("example.test", (b"forward-email=good:a@x.test", *found), 100)
    assert rules.exact["good@example.test"].targets
