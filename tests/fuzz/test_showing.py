"""Properties of what is shown: whatever stands in a message, nothing gets out, and nothing fails."""

from hypothesis import given
from hypothesis import strategies as st

from mailstead.mime.showing.css import SafeCss
from mailstead.mime.showing.message import shown_message
from mailstead.mime.showing.plain_text import html_of_text
from mailstead.mime.showing.raster import raster
from mailstead.mime.showing.safe_html import safe_html
from mailstead.mime.showing.web_addresses import link_target, misleading
from mime.showing import vectors
from mime.showing.strict import escapes, styles

PROXIED = "/image/x"
NAMES = [
    "a",
    "b",
    "p",
    "div",
    "svg",
    "math",
    "style",
    "script",
    "title",
    "textarea",
    "table",
    "tr",
    "td",
    "select",
    "option",
    "template",
    "noscript",
    "form",
    "img",
    "iframe",
    "font",
    "li",
    "body",
    "mtext",
    "mglyph",
    "foreignObject",
    "desc",
    "annotation-xml",
    "xmp",
    "plaintext",
]
PIECES = [
    "<", ">", "</", "/>", "<!--", "-->", "--!>", "<![CDATA[", "]]>", "<?", "&", "&lt;", "&#60;", "&quot;", '"', "'", "=", " ", "\n", "\0", "/",
    "onerror=alert(1)", "src=x", "href=javascript:alert(1)", "href='https://x.example/", "style=", "style='background:url(http://t.example/)", "url(", ")", "{", "}", ";",
    "@import", "\\", "/*", "*/", "expression(", "id=a", "name=b", "x",
]  # fmt: skip
tags = st.tuples(
    st.sampled_from(["<", "</"]),
    st.sampled_from(NAMES),
    st.sampled_from(["", " ", "/", " id=a "]),
    st.sampled_from([">", "/>", ""]),
).map("".join)
soup = st.lists(st.one_of(tags, st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join)
spliced = st.lists(st.sampled_from(vectors.PLAIN + vectors.MUTATING), min_size=2, max_size=4).flatmap(
    lambda chosen: st.tuples(*[st.integers(0, len(each)) for each in chosen]).map(
        lambda cuts: "".join(
            each[cut:] if number % 2 else each[:cut]
            for number, (each, cut) in enumerate(zip(chosen, cuts, strict=True))
        )
    )
)
rules = st.lists(
    st.one_of(
        st.sampled_from(["a", "*", "{", "}", "(", ")", "[", "]", ":", ";", ",", '"', "'", "\\", "\\22 ", "\n", "/*", "*/", "@media all", "@import ", "url(", "color", "background", "background:url(http://t.example/a)", "<!--", "</style>", "\\75rl(", "!important", "1px", "#a", "--x"]),
        st.text(max_size=4),
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(st.one_of(soup, spliced, st.text(max_size=300)))
def test_no_html_gets_out(html):
    for remote, allowed in ((None, ()), (lambda _: PROXIED, {PROXIED})):
        result = safe_html(html, remote=remote)
        assert escapes(result.html, result.css, allowed) == []
    once = safe_html(html)
    again = safe_html(once.html).html
    assert escapes(again) == []


@given(rules)
def test_no_css_gets_out(css):
    asked = []
    reader = SafeCss(lambda address: asked.append(address) or PROXIED)
    sheet, attribute = reader.sheet(css), reader.declarations(css)
    assert styles(sheet, {PROXIED}) == []
    assert styles(attribute, {PROXIED}) == []
    assert "{" not in attribute
    assert SafeCss(lambda _: "").sheet(sheet) is not None


@given(rules)
def test_css_that_was_made_safe_stays_as_it_is(css):
    """What is written reads the same again; hash names get their prefix once more."""
    once = SafeCss(lambda _: "").sheet(css)
    assert SafeCss(lambda _: "").sheet(once).replace("#m-m-", "#m-") == once


@given(st.one_of(soup, st.text(max_size=300)), st.booleans(), st.booleans())
def test_no_plain_text_gets_out(text, is_flowed, deletes_space):
    html = html_of_text(text, is_flowed=is_flowed, deletes_space=deletes_space)
    assert escapes(html) == []


@given(st.binary(max_size=300), st.booleans())
def test_whatever_a_message_holds_it_is_shown(octets, prefers_html):
    for head in (
        b"",
        b"Content-Type: text/html\r\n\r\n",
        b"Content-Type: multipart/related; boundary=a\r\n\r\n--a\r\n",
    ):
        message = shown_message(head + octets, prefers_html=prefers_html)
        for body in message.bodies:
            assert escapes(body.html, body.css) == []


@given(st.text(max_size=100), st.text(max_size=100))
def test_addresses_and_texts_never_fail(address, text):
    for scheme in ("", "https://", "mailto:", "tel:", "//"):
        target = link_target(scheme + address)
        assert not any(letter in target for letter in "\"'<>\\ \n")
        misleading(text, target)


@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF0000WEBP", b"RIFF0000WEBPVP8 ", b"BM"]
    ),
    st.binary(max_size=60),
)
def test_pictures_never_fail(head, octets):
    raster(head + octets)
