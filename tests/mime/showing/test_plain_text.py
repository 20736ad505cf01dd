"""Plain text as HTML."""

import pytest

from mailstead.mime.showing.plain_text import LEVELS_MAX, Paragraph, html_of_text, linked, paragraphs, text_terms
from mime.showing import vectors
from mime.showing.strict import escapes


def lines(text, **how):
    return [(each.level, each.text) for each in paragraphs(text, **how)]


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("one\r\ntwo", {}, [(0, "one"), (0, "two")]),
        ("> one\n>> two\n> > three\nfour", {}, [(1, "one"), (2, "two"), (2, "three"), (0, "four")]),
        ("one \ntwo\nthree", {"is_flowed": True}, [(0, "one two"), (0, "three")]),
        ("one \ntwo", {"is_flowed": True, "deletes_space": True}, [(0, "onetwo")]),
        ("> one \n> two\n> three", {"is_flowed": True}, [(1, "one two"), (1, "three")]),
        (">>one \n>two", {"is_flowed": True}, [(2, "one "), (1, "two")]),
        (" > no quote\n From x", {"is_flowed": True}, [(0, "> no quote"), (0, "From x")]),
        ("> > text", {"is_flowed": True}, [(1, "> text")]),
        ("one \n-- \ntwo", {"is_flowed": True}, [(0, "one "), (0, "-- "), (0, "two")]),
        ("one ", {"is_flowed": True}, [(0, "one ")]),
        ("one \ntwo", {}, [(0, "one "), (0, "two")]),
        ("", {}, []),
    ],
)
def test_lines_quotes_and_flow(text, how, expected):
    """Spec: RFC 3676 §4."""
    assert lines(text, **how) == expected


def test_a_signature_lasts_to_the_end_of_its_level():
    found = list(paragraphs("a\n-- \nb\nc"))
    assert found[1:] == [Paragraph(0, "-- ", True), Paragraph(0, "b", True), Paragraph(0, "c", True)]
    assert not found[0].is_signature


def test_quotes_and_signature_are_elements():
    html = html_of_text("a\n> b\n>> c\nd\n-- \ne")
    assert html == (
        '<div class="m-text" dir="auto">a\n<blockquote>b\n<blockquote>c\n</blockquote></blockquote>d\n'
        '<div class="m-signature">-- \ne\n</div></div>'
    )


@pytest.mark.parametrize(
    ("text", "target", "shown"),
    [
        (
            "see https://example.org/a?b=c&d=e.",
            "https://example.org/a?b=c&amp;d=e",
            "https://example.org/a?b=c&amp;d=e",
        ),
        ("(http://example.org/a_(b))", "http://example.org/a_%28b%29", "http://example.org/a_(b)"),
        ("(see http://example.org/)", "http://example.org/", "http://example.org/"),
        ("www.example.org/x, and", "https://www.example.org/x", "www.example.org/x"),
        ("write to a.b+c@example.org!", "mailto:a.b+c@example.org", "a.b+c@example.org"),
        ("<https://example.org/>", "https://example.org/", "https://example.org/"),
        ("mailto:a@example.org", "mailto:a@example.org", "mailto:a@example.org"),
        ("https://example.org", "https://example.org/", "https://example.org"),
    ],
)
def test_links_are_found(text, target, shown):
    html, count = linked(text)
    assert count == 1
    assert f'<a href="{target}" rel="noopener noreferrer" target="_blank">{shown}</a>' in html


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "a@b", "http://", "@example.org", "1.2.3", "file:///x", "data:text/html,x"]
)
def test_attack_086_what_is_no_link_stays_text(text):
    assert linked(text)[1] == 0


def test_attack_086_markup_in_plain_text_is_text():
    for vector in vectors.PLAIN + vectors.MUTATING:
        html = html_of_text(vector).replace(' class="m-text" dir="auto"', "")
        assert escapes(html) == [], vector
        assert escapes(html_of_text(f"> {vector}\n-- \nhttps://example.org/{vector}", is_flowed=True)) == [], vector


def test_attack_086_quotes_without_end_are_shown_at_a_level():
    html = html_of_text(">" * 10_000 + " x\n" + ">" * 5000 + "y\nz")
    assert html.count("<blockquote>") == LEVELS_MAX


def test_attack_086_text_made_of_almost_links_takes_linear_time():
    """Ends well within the time limit of a test; what is squared would not."""
    for piece in ("http://", "www.", "a@", "a.", "@a.", "https://a.b(", "mailto:", ">", "-- \n", "a@b.c"):
        html_of_text(piece * (300_000 // len(piece)))
        html_of_text((piece * 150 + "\n") * (300_000 // len(piece) // 150))


@pytest.mark.parametrize(
    ("params", "terms"),
    [
        ((("format", "Flowed"), ("delsp", "YES")), (True, True)),
        ((("format", "flowed"),), (True, False)),
        ((("delsp", "yes"),), (False, False)),
        ((), (False, False)),
    ],
)
def test_terms_of_a_part(params, terms):
    assert text_terms(params) == terms
