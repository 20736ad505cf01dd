"""The grammar of SPF records, where the public suite says nothing."""

import pytest

from mailstead.mailauth.spf_macro import BadRecord, Macro, domain_spec, macro_string, shortened
from mailstead.mailauth.spf_record import is_record, parsed
from mailstead.model.authentication import Result


@pytest.mark.parametrize("text", [b"v=spf1", b"V=SPF1 -all", b"v=spf1  "])
def test_records(text):
    assert is_record(text)


@pytest.mark.parametrize("text", [b"", b"v=spf10", b"v=spf1\t-all", b" v=spf1", b"v=spf2.0/mfrom -all", b"v=spf1-all"])
def test_other_texts_are_no_records(text):
    assert not is_record(text)


def test_a_record_is_read_in_its_order():
    record = parsed(
        b"v=spf1 IP4:192.0.2.0/24 ~A:Example.org/24//64 exp=why.example.org ?mx redirect=%{d2} future=a:b/c"
    )
    assert [(each.qualifier, each.name, each.prefix4, each.prefix6) for each in record.mechanisms] == [
        (Result.PASS, "ip4", 32, 128),
        (Result.SOFTFAIL, "a", 24, 64),
        (Result.NEUTRAL, "mx", 32, 128),
    ]
    assert record.mechanisms[1].text == "~A:Example.org/24//64"
    assert record.redirect == (Macro("d", 2, is_reversed=False, delimiters=".", is_escaped=False),)
    assert record.exp == ("why.example.org",)


@pytest.mark.parametrize(
    "terms",
    [
        b"a:%{d0}", b"a:%{d00}.org", b"a:%{dx}", b"a:%{d", b"a:%", b"a:%{d}com", b"a:foo}", b"a:b..%", b"a/-1", b"a/032",
        b"a//0128", b"mx/33", b"ip4:192.0.2.0/", b"ip4:192.0.02.1", b"ip4:::1", b"ip6:192.0.2.1", b"ip6:fe80::1%25eth0",
        b"ip6:1::2::3", b"redirect=a.b redirect=c.d", b"--all", b"include", b"exists", b"+", b":", b"/24",
        b"all all/0", b"x=%{q}", b"exp=%{t}", b"a:b.c\x00", b"a:b.c\x7f", b"p\xc3\xa4r:a.b", b"a:%{d9999999999}",
    ],
)  # fmt: skip
def test_syntax_errors_are_found_anywhere(terms):
    with pytest.raises(BadRecord):
        parsed(b"v=spf1 -all " + terms)


def test_a_domain_spec_may_end_in_any_macro_but_not_in_a_look_alike():
    assert domain_spec("a.%{d}")
    assert domain_spec("a.b.%%")
    assert domain_spec("a.%-.example.")
    for text in ("", "%%_", "%_-", "example", "example.", "a.1", "a.-b", "a.b-", "a b.example"):
        with pytest.raises(BadRecord):
            domain_spec(text)


def test_spaces_are_for_explanations_only():
    assert macro_string("a b", is_explanation=True) == ("a b",)
    with pytest.raises(BadRecord):
        macro_string("a b")


def test_long_names_lose_labels_on_the_left():
    label = "a" * 49
    assert shortened("example.org.") == "example.org"
    assert shortened(".".join([label] * 5) + ".abc") == ".".join([label] * 5) + ".abc"  # 253 octets
    assert shortened(".".join([label] * 5) + ".abcd") == ".".join([label] * 4) + ".abcd"
    assert shortened("b." + ".".join([label] * 5) + ".abc") == ".".join([label] * 5) + ".abc"
    assert shortened("a" * 300) == ""
