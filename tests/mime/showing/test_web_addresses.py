"""Which addresses may be followed, and which texts mislead."""

import pytest

from mailstead.mime.showing.web_addresses import link_target, misleading, remote_address, web_address


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://Example.ORG/A?b#c", "https://example.org/A?b#c"),
        ("http:\\\\example.org\\a", "http://example.org/a"),
        ("http:example.org", "http://example.org/"),
        ("ht\ntp://exa\tmple.org/", "http://example.org/"),
        (" \x01https://example.org/", "https://example.org/"),
        ("https://known.example@t.example/", "https://t.example/"),
        ("https://known.example\\@t.example/", "https://known.example/@t.example/"),
        ("https://example.org:8443/x", "https://example.org:8443/x"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
        ("https://b\u00fccher.example/\u00fc", "https://b\u00fccher.example/\u00fc"),
        ("https://ex%61mple.org/", "https://example.org/"),
        ('https://example.org/"><script>', "https://example.org/%22%3E%3Cscript%3E"),
        ("https://", ""), ("https:///", ""), ("https://a b/", ""), ("https://<x>/", ""), ("javascript:x", ""), ("//x", ""), ("x" * 9000, ""),
    ],
)  # fmt: skip
def test_web_addresses_have_one_form(address, expected):
    assert web_address(address) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mailto:a@b.c?subject=x y", "mailto:a@b.c?subject=x%20y"), ("tel:+49-30-1", "tel:+49-30-1"), ("//example.org/x", "https://example.org/x"),
        ("\\\\example.org/x", "https://example.org/x"), ("javascript:x", ""), ("data:x", ""), ("ftp://x/", ""), ("cid:x", ""), ("/x", ""), ("", ""), ('tel:"', ""),
    ],
)  # fmt: skip
def test_link_targets(address, expected):
    assert link_target(address) == expected


def test_remote_addresses_are_of_the_web_alone():
    assert remote_address("//x.example/a") == "https://x.example/a"
    assert not remote_address("ftp://x/")
    assert not remote_address("mailto:x@y")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://bank.example/", "https://t.example/"), ("www.bank.example", "https://t.example/"), ("bank.example", "https://bank.example.t.example.net/"),
        ("Go to http://bank.example now", "https://t.example/"), ("bank.example/login", "https://t.example/"), ("ba\u200bnk.example", "https://t.example/"),
        ("\uff42ank.example", "https://t.example/"), ("https://bank.example@t.example/", "https://t.example/"), ("HTTPS://BANK.EXAMPLE", "https://t.example/"),
        ("help@bank.example", "mailto:x@t.example"), ("\u00ab bank.example \u00bb", "https://t.example/"), ("https:bank.example", "https://t.example/"),
        ("b\u00e0nk.example", "https://bank.example/"),
    ],
)  # fmt: skip
def test_attack_087_a_text_that_names_another_host_is_told(text, address):
    found = misleading(text, address)
    assert found is not None
    assert found.host in address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("bank.example", "https://bank.example/x"), ("www.bank.example", "https://bank.example/"), ("bank.example", "https://www.bank.example/"),
        ("mail.bank.example", "https://bank.example/"), ("click here", "https://t.example/"), ("Version 1.2.3", "https://t.example/"), ("report.final v2", "https://t.example/"),
        ("help@bank.example", "mailto:help@bank.example"), ("help@bank.example", "https://t.example/"), ("", "https://t.example/"),
        ("b\u00fccher.example", "https://xn--bcher-kva.example/"), ("and so on ...", "https://t.example/"), ("0.50 EUR", "https://t.example/"),
    ],
)  # fmt: skip
def test_a_text_that_does_not_is_not(text, address):
    assert misleading(text, address) is None
