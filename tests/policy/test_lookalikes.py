"""Display tricks."""

import pytest

from mailstead.policy.lookalikes import foreign_address_in_name, has_gap, hidden_controls, looks_like


@pytest.mark.parametrize(
    ("domain", "ours", "alike"),
    [
        ("examp1e.org", ["example.org"], "example.org"),
        ("exarnple.org", ["example.org"], "example.org"),
        ("éxample.org".encode("idna").decode(), ["example.org"], "example.org"),
        ("\u0435xample.org".encode("idna").decode(), ["example.org"], "example.org"),
        ("mail.\u0435xample.org".encode("idna").decode(), ["example.org"], "example.org"),
        ("example.org", ["example.org"], None),
        ("mail.example.org", ["example.org"], None),
        ("example.net", ["example.org"], None),
        ("sample.org", ["example.org"], None),
        ("xn--broken-\udc80.org", ["example.org"], None),
    ],
)
def test_attack_032_domains_that_look_like_ours_are_told(domain, ours, alike):
    assert looks_like(domain, ours) == alike


@pytest.mark.parametrize(
    ("name", "domain", "found"),
    [
        ("boss@bank.example", "evil.example", "bank.example"),
        ("The Boss <boss@bank.example>", "evil.example", "bank.example"),
        ("boss@evil.example", "evil.example", None),
        ("boss@mail.evil.example", "evil.example", None),
        ("The Boss", "evil.example", None),
        ("me @ home", "evil.example", None),
    ],
)
def test_attack_032_an_address_of_another_domain_in_the_name_is_told(name, domain, found):
    assert foreign_address_in_name(name, domain) == found


def test_attack_032_text_that_turns_or_hides_is_told():
    assert hidden_controls("gro.elpmaxe@ssob\u202e")
    assert hidden_controls("bo\u200bss")
    assert not hidden_controls("Jürgen Große, שלום")
    assert has_gap("boss@bank.example" + " " * 10_000)
    assert not has_gap("Jürgen  Große")
