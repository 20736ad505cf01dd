import time

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import HostTarget
from mailstead.model.errors import BadAddress, BadTarget
from mailstead.policy.patterns import Pattern, alias_address, compiled, matched, may_be_carried, pattern_name


def target(local_part):
    return Address(local_part, "example.net")


@pytest.mark.parametrize(
    ("pattern", "local_part", "to", "expected"),
    [
        ("/^sales-(.+)$/", "Sales-Paris", "$1", "Paris"),
        ("/^SALES-(.+)$/", "sales-paris", "x", "x"),
        ("/^(a)(b)(c)(d)(e)(f)(g)(h)(i)$/", "abcdefghi", "$9$1$&", "iaabcdefghi"),
        ("/support/", "my-support-desk", "desk-$&", "desk-support"),
        ("/^(x)?y$/", "y", "$1z", "z"),
        ("/^Ünï-(.+)$/", "üNÏ-a", "$1", "a"),
    ],
)
def test_matching_and_substitution(pattern, local_part, to, expected):
    assert compiled(pattern).match(local_part).substituted(target(to)) == target(expected)


def test_what_does_not_match():
    assert matched("/^sales-(.+)$/", "sales-") is None
    assert matched("/^sales/", "presales") is None
    assert matched("/x/", "\ud800") is None
    assert matched("/(/", "x") is None  # what cannot be compiled


def test_targets_without_a_reference_stay_as_they_are():
    match = compiled("/^(.+)$/").match("a b%c@d")
    assert match.substituted(target("x")) == target("x")


@pytest.mark.parametrize(
    "local_part", ["a@evil.test", "a%evil.test", "evil.test!a", "a b", '"', "a\\", ".", "a..b", "", "x" * 65]
)
def test_attack_012_nothing_that_could_be_a_route_is_carried_elsewhere(local_part):
    assert not may_be_carried(local_part)
    match = compiled("/^(.*)$/").match(local_part)
    assert match.substituted(target("$1")) is None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"/(a)\1/", "back references"),
        ("/(?P<a>x)(?P=a)/", "back references"),
        ("/(?=a)/", "look-around"),
        ("/(?<!a)b/", "look-around"),
        ("/(/", r"missing \)"),
        ("/[a/", r"missing \]"),
        ("/a{1001}/", "repetition"),
        (r"/\pL{90}/", "too large"),
        ("/((a{100}){100}){10}/", "repetition"),
        (f"/{'a' * 201}/", "at most 200"),
        ("/\ud800/", "none"),
    ],
)
def test_attack_059_expressions_that_could_cost_much_are_refused_when_saved_with_the_reason(pattern, said):
    with pytest.raises(BadAddress, match=said):
        Pattern(pattern)


@pytest.mark.parametrize(
    "text", ["(a+)+$", "(a|aa)+$", "(a|a)*$", "(.*)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "a?" * 60 + "a" * 60]
)
def test_attack_059_time_grows_with_the_length_only(text):
    pattern = Pattern(f"/{text}/")
    costs = []
    for count in (10_000, 100_000):
        subject = "a" * count + "!"
        tries = []
        for _ in range(3):
            started_s = time.process_time()
            pattern.match(subject)
            tries.append(time.process_time() - started_s)
        costs.append(min(tries))
    assert costs[1] < 2.0  # a backtracking engine needs ages
    assert costs[1] < max(costs[0], 0.001) * 60


def test_a_reference_to_a_group_that_is_not_there_is_refused():
    pattern = Pattern("/^(a)(b)$/")
    pattern.must_allow(target("$1$2$&"))
    pattern.must_allow(HostTarget("$9.example", 25))
    with pytest.raises(BadTarget, match=r"\$3.*2 groups"):
        pattern.must_allow(target("$3"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Info@Example.test", Address("Info", "example.test")),
        ("***@example.test", Address("*", "example.test")),
        ("/^a@b/(c):,$/gi@Example.test", Address("/^a@b/(c):,$/", "example.test")),
        ("/plain@example.test", Address("/plain", "example.test")),
    ],
)
def test_addresses_of_aliases(text, address):
    assert alias_address(text) == address


@pytest.mark.parametrize("text", ["/x/q@example.test", "nothing", "/x/", "/(a)/b c@example.test", "@example.test"])
def test_what_is_no_address_of_an_alias(text):
    with pytest.raises(BadAddress):
        alias_address(text)


def test_flags_say_nothing():
    assert pattern_name("/x/gimsuy") == "/x/"
    with pytest.raises(BadAddress, match="no flag 'q'"):
        pattern_name("/x/iq")
    with pytest.raises(BadAddress, match="between slashes"):
        pattern_name("x")
