"""Fields with conditions, depth and destination."""

import pytest

from mailstead.model.dav import ALWAYS, Precondition
from mailstead.proto.dav import headers
from mailstead.proto.dav.headers import Prefer
from mailstead.proto.dav.paths import segment, segments
from mailstead.proto.dav.types import Depth
from mailstead.proto.dav.xml import BadRequest


def test_depth():
    assert headers.depth(None, Depth.ONE) is Depth.ONE
    assert [headers.depth(each, Depth.ZERO) for each in ("0", " 1", "Infinity", "1,noroot", "1, NoRoot")] == [
        Depth.ZERO,
        Depth.ONE,
        Depth.INFINITY,
        Depth.ONE,
        Depth.ONE,
    ]
    for value in ("2", "", "1,1", "1,noroot,noroot"):
        with pytest.raises(BadRequest):
            headers.depth(value, Depth.ZERO)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ALWAYS),
        ({"if-match": "*"}, Precondition(must_exist=True)),
        ({"if-match": '"a", "b"'}, Precondition(etags=frozenset({"a", "b"}))),
        ({"if-match": 'W/"a"'}, Precondition(etags=frozenset())),
        ({"if-none-match": "*"}, Precondition(must_be_absent=True)),
        ({"if-none-match": '"a"'}, Precondition(absent_etags=frozenset({"a"}))),
        ({"if-schedule-tag-match": '"s"'}, Precondition(schedule_tag="s")),
        ({"if": '(["a"])'}, Precondition(etags=frozenset({"a"}))),
        ({"if": '(["a"]) (["b"])'}, Precondition(etags=frozenset({"a", "b"}))),
        ({"if": '</x> (["a"]) </other> (["b"])'}, Precondition(etags=frozenset({"a"}))),
        ({"if": '<http://h/other> (["b"])'}, ALWAYS),
        ({"if": '(<urn:uuid:lock> ["a"])'}, Precondition(etags=frozenset())),
        ({"if": "(Not <DAV:no-lock>)"}, ALWAYS),
        ({"if": '(Not <DAV:no-lock>) (["a"])'}, ALWAYS),
        ({"if": "(<DAV:no-lock>)"}, Precondition(etags=frozenset())),
        ({"if": '(["a"] ["b"])'}, Precondition(etags=frozenset())),
        ({"if": '(["a"])', "if-match": '"a", "b"'}, Precondition(etags=frozenset({"a"}))),
        # Not: none of these, unless another list says otherwise
        ({"if": '(Not ["a"])'}, Precondition(absent_etags=frozenset({"a"}))),
        ({"if": '(Not ["a"] Not ["b"])'}, Precondition(absent_etags=frozenset({"a", "b"}))),
        ({"if": '(Not ["a"] Not ["b"]) (Not ["b"])'}, Precondition(absent_etags=frozenset({"b"}))),
        ({"if": '(Not ["a"]) (["a"])'}, ALWAYS),
        ({"if": '(Not ["a"]) (["b"])'}, Precondition(absent_etags=frozenset({"a"}))),
        ({"if": '(["a"] Not ["b"])'}, Precondition(etags=frozenset({"a"}))),
        ({"if": '(["a"] Not ["a"])'}, Precondition(etags=frozenset())),
        ({"if": '(<urn:uuid:lock>) (Not ["a"])'}, Precondition(absent_etags=frozenset({"a"}))),
        # a weak one is none of ours
        ({"if": '([W/"a"])'}, Precondition(etags=frozenset({'W/"a"'}))),
        ({"if": '(Not [W/"a"])'}, Precondition(absent_etags=frozenset({'W/"a"'}))),
    ],
)  # fmt: skip
def test_preconditions(fields, expected):
    assert headers.precondition(fields, "/x") == expected


@pytest.mark.parametrize("tag", ["/dav/a@x/c", "/dav/a%40x/c", "https://h/dav/%61@x/c/"])
def test_a_tagged_list_is_about_us_however_the_path_is_encoded(tag):
    found = headers.precondition({"if": f'<{tag}> (["a"])'}, "/dav/a%40x/c")
    assert found == Precondition(etags=frozenset({"a"}))


@pytest.mark.parametrize(
    "value",
    [
        '<http://[x> (["a"])',
        '<> (["a"])',
        "",
        "(",
        "()",
        "(['a'])",
        '("a")',
        "(<a> b)",
        "Not",
        "<a>",
        '((["a"]))',
        "(Not Not <a>)",
    ],
)
def test_an_if_that_is_none(value):
    with pytest.raises(BadRequest):
        headers.if_lists(value)


def test_attack_082_an_if_of_a_megabyte_is_refused_at_once():
    for value in ('(["a"])' * 150_000, "(" * 1_000_000, " " * 1_000_000 + "x"):
        with pytest.raises(BadRequest) as told:
            headers.if_lists(value)
        assert told.value.status in {400, 431}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("http://mail.test/a/b%20c", "/a/b%20c"),
        ("https://MAIL.test/a", "/a"),
        ("/a/b", "/a/b"),
        ("https://u@mail.test/a", "/a"),
        ("https://mail.test:443/a", "/a"),
        ("http://mail.test:80/a", "/a"),
    ],
)
def test_destinations_here(value, path):
    assert headers.destination(value, "mail.test") == path


@pytest.mark.parametrize(
    ("value", "status"),
    [("https://evil.test/a", 502), ("//evil.test/a", 502), ("file:///etc/passwd", 502), ("http://mail.test@evil.test/a", 502),
     ("http://[x/", 400), ("relative", 400), ("", 400), (None, 400), ("http://mail.test:8080/a", 502), ("http://mail.test:443/a", 502)],
)  # fmt: skip
def test_attack_082_destinations_elsewhere_are_refused(value, status):
    with pytest.raises(BadRequest) as told:
        headers.destination(value, "mail.test")
    assert told.value.status == status


def test_overwrite_prefer_and_the_rest():
    assert [headers.overwrites(each) for each in (None, "T", "f")] == [True, True, False]
    with pytest.raises(BadRequest):
        headers.overwrites("maybe")
    assert headers.prefer({"prefer": "return=minimal, depth-noroot"}) == Prefer(is_minimal=True, is_noroot=True)
    assert headers.prefer({"prefer": "wait=1;x, Return = minimal; y=z"}) == Prefer(is_minimal=True)
    assert headers.prefer({"depth": "1, NoRoot"}) == Prefer(is_noroot=True)
    assert headers.prefer({"brief": "t"}) == Prefer(is_minimal=True)
    assert headers.prefer({"prefer": 'return="representation"'}) == Prefer(is_representation=True)
    assert [headers.wants_zones({"caldav-timezones": each}) for each in ("T", "f", "x")] == [True, False, None]
    assert headers.media_type('Text/Calendar; component=vevent; charset="UTF-8"') == ("text/calendar", "utf-8")
    assert headers.media_type(None) == ("", "")


def test_segments():
    assert segments("/dav/alice%40example.test/Work%20%E2%9C%93/a%2525.ics") == (
        ["dav", "alice@example.test", "Work ✓", "a%25.ics"],
        False,
    )
    assert segments("//dav//x/") == (["dav", "x"], True)
    assert segment("alice@example.test") == "alice%40example.test"
    for name in ("a b", "ä✓", "100%", "a@b", "a?b#c", "a&b", "a;b=c", "%2f"):
        assert segments("/" + segment(name)) == ([name], False)


@pytest.mark.parametrize(
    "path",
    ["/dav/%2e%2e/x", "/dav/../x", "/dav/..%2fx", "/dav/a%2Fb", "/dav/a%5cb", "/dav/%00", "/dav/a%0d%0aX: y", "/dav/%ff", "/" + "a" * 5000, "/a" * 50, "/dav/."],
)  # fmt: skip
def test_attack_082_paths_that_lead_elsewhere(path):
    with pytest.raises(BadRequest):
        segments(path)


def test_attack_082_double_encoding_is_a_name_like_others():
    assert segments("/dav/%252e%252e%252fetc") == (["dav", "%2e%2e%2fetc"], False)
