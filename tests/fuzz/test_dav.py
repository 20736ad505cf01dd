"""Laws of DAV's grammar: garbage is refused with the one error, and nothing else happens."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.dav import headers, parse
from mailstead.proto.dav.names import caldav, carddav, dav
from mailstead.proto.dav.paths import segment, segments
from mailstead.proto.dav.xml import BadRequest, Element, written
from mailstead.proto.dav.xml import parse as read

NAMES = [
    dav(name)
    for name in (
        "propfind",
        "prop",
        "allprop",
        "set",
        "remove",
        "href",
        "sync-collection",
        "sync-token",
        "limit",
        "nresults",
        "property",
    )
]
NAMES += [
    caldav(name)
    for name in (
        "calendar-query",
        "filter",
        "comp-filter",
        "prop-filter",
        "param-filter",
        "text-match",
        "time-range",
        "calendar-data",
        "comp",
        "expand",
        "calendar-multiget",
        "free-busy-query",
        "mkcalendar",
    )
]
NAMES += [
    carddav(name) for name in ("addressbook-query", "filter", "prop-filter", "text-match", "address-data", "prop")
]
TEXT = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_categories=["Cs"]), max_size=12)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["name", "start", "end", "test", "collation", "match-type", "namespace", "version"]),
    st.one_of(TEXT, st.sampled_from(["VEVENT", "VCALENDAR", "20260301T000000Z", "allof"])),
    max_size=3,
)
ELEMENTS = st.recursive(
    st.builds(Element, st.sampled_from(NAMES), ATTRIBUTES, text=TEXT),
    lambda inner: st.builds(Element, st.sampled_from(NAMES), ATTRIBUTES, st.lists(inner, max_size=4)),
    max_leaves=12,
)
READERS = (parse.propfind, parse.propertyupdate, parse.make_collection, parse.report, parse.share, parse.push_register)


@given(st.one_of(st.binary(max_size=300), ELEMENTS.map(lambda each: written(each).encode())))
def test_bodies(octets):
    for reader in READERS:
        with contextlib.suppress(BadRequest):
            reader(octets)


@given(ELEMENTS)
def test_elements_are_read_as_they_were_written(element):
    text = written(element)
    assert written(read(text.encode())) == text


@given(st.text(max_size=200))
def test_fields(value):
    for reader in (
        headers.if_lists,
        lambda text: headers.destination(text, "mail.test"),
        lambda text: headers.depth(text, headers.Depth.ZERO),
        lambda text: headers.precondition({"if-match": text, "if-none-match": text, "if-schedule-tag-match": text}),
        segments,
    ):
        with contextlib.suppress(BadRequest):
            reader(value)
    headers.prefer({"prefer": value})
    headers.media_type(value)


CONDITIONS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(['["a"]', '["b"]', '[W/"a"]', "<urn:uuid:lock>", "<DAV:no-lock>"])),
    min_size=1,
    max_size=3,
)


@given(st.lists(CONDITIONS, min_size=1, max_size=4), st.sampled_from(["a", "b", "c"]))
def test_an_if_asks_what_the_rfc_says(lists, etag):
    """RFC 4918 §10.4.3: one list holds, and in it each condition; here for a resource that is there, without locks."""

    def holds(condition):
        is_negated, what = condition
        return (what == f'["{etag}"]') != is_negated

    value = " ".join(f"({' '.join(('Not ' if negated else '') + what for negated, what in each)})" for each in lists)
    asked = headers.precondition({"if": value}, "/x")
    passes = (asked.etags is None or etag in asked.etags) and etag not in asked.absent_etags
    assert passes == any(all(map(holds, each)) for each in lists)


@given(
    st.text(
        st.characters(codec="utf-8", min_codepoint=32, exclude_characters="/\\\x7f", exclude_categories=["Cs"]),
        min_size=1,
        max_size=50,
    ).filter(lambda name: name not in {".", ".."})
)
def test_names_survive_paths(name):
    assert segments("/" + segment(name))[0] == [name]
