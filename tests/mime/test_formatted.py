"""Formatted text that goes out: what is left of it, and what it is as plain text."""

import pytest

from mailstead.mime.formatted import CHARACTERS_MAX, document_of, formatted_of_text, safe_formatted, text_of_formatted
from mailstead.model.errors import BadMessage


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("<p>Hello <b>there</b></p>", "<p>Hello <b>there</b></p>"),
        ('<p style="color:red" class="x" id="y" onclick="z()">Hi</p>', "<p>Hi</p>"),
        (
            '<a href="https://example.test/a?b=1&amp;c" title="t">see</a>',
            '<a href="https://example.test/a?b=1&amp;c">see</a>',
        ),
        ('<a href="mailto:bob@else.test">Bob</a>', '<a href="mailto:bob@else.test">Bob</a>'),
        ("<ul><li>one<li>two</ul>", "<ul><li>one</li><li>two</li></ul>"),
        ("<blockquote><pre>a  b</pre></blockquote>", "<blockquote><pre>a  b</pre></blockquote>"),
    ],
)
def test_what_people_write_stays(written, sent):
    assert safe_formatted(written) == sent


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<img src="https://evil.test/p.png">',
        '<img src="cid:1">',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<a href="tel:1">x</a>',
        '<style>@import "https://evil.test/a.css"</style>',
        '<p style="background:url(https://evil.test/b)">x</p>',
        '<iframe srcdoc="<script>x</script>"></iframe>',
        "<svg onload=alert(1)>",
        '<form action="https://evil.test"><input name=a></form>',
        '<table background="https://evil.test/c"><tr><td>x</table>',
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    ],
)
def test_attack_086_nothing_of_what_was_pasted_acts_or_is_fetched(hostile):
    sent = safe_formatted(f"<p>before</p>{hostile}<p>behind</p>").lower()
    assert "before" in sent
    for part in ("evil.test", "script", "src", "style", "onerror", "onload", "data:", "tel:", "cid:", "<form", "<img"):
        assert part not in sent


@pytest.mark.parametrize("nothing", ["", "<p><br></p>", "<div>&nbsp;</div>", '<img src="https://evil.test/p.png">'])
def test_what_has_nothing_to_read_is_nothing(nothing):
    assert safe_formatted(nothing) == ""


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<div>One</div><div><br></div><div>Two</div>", "One\n\nTwo"),
        ("One<br>Two", "One\nTwo"),
        ("<ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li></ul>", "- a\n- b\n  1. c\n  2. d"),
        ("<p>He said</p><blockquote><p>Yes</p><blockquote>No</blockquote></blockquote><p>So</p>",
         "He said\n\n> Yes\n>\n>> No\n\nSo"),
        ("<pre>a  b\n  c</pre>", "a  b\n  c"),
        ('<a href="https://example.test/">here</a>', "here <https://example.test/>"),
        ('<a href="https://example.test/">https://example.test</a>', "https://example.test"),
        ('<a href="mailto:bob@else.test">bob@else.test</a>', "bob@else.test"),
        ("<h2>Head</h2>text", "Head\n\ntext"),
        ("1 &lt; 2 &amp;&amp; 3", "1 < 2 && 3"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a  b\nc"),
    ],
)  # fmt: skip
def test_formatted_text_reads_well_as_plain_text(html, text):
    assert text_of_formatted(html) == text


def test_plain_text_becomes_formatted_text_and_comes_back():
    text = "Hello <you>\n\n> one\n>> two\n> three\nbye"
    html = formatted_of_text(text)
    assert "<you>" not in html
    assert html.count("<blockquote>") == html.count("</blockquote>") == 2
    back = text_of_formatted(html)
    assert [line for line in back.splitlines() if line.strip("> ")] == [line for line in text.splitlines() if line]


def test_nothing_is_cut_off_unsaid():
    long = "<p>" + "x " * (CHARACTERS_MAX // 2) + "</p>"
    many = "<b>x</b>" * 50_000
    for html in (long, many):
        assert safe_formatted(html)
        with pytest.raises(BadMessage):
            safe_formatted(html, is_whole=True)


def test_the_document_says_its_charset():
    assert '<meta charset="utf-8">' in document_of("<p>ä</p>")
