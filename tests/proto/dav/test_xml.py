"""XML of requests: what is read, what is refused, and that it is written again as it was."""

from xml.etree import ElementTree as ET

import pytest

from mailstead.proto.dav.xml import ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, BadRequest, escaped, parse, written


def test_names_attributes_and_text():
    root = parse(b'<?xml version="1.0"?><a xmlns="DAV:" xmlns:x="urn:x" x:b="1" c="2">t<x:d/>u<e>v &amp; w</e>z</a>')
    assert (root.name, root.attributes, root.text, root.head) == ("{DAV:}a", {"{urn:x}b": "1", "c": "2"}, "tuz", "t")
    assert [(each.name, each.text, each.tail) for each in root.children] == [
        ("{urn:x}d", "", "u"),
        ("{DAV:}e", "v & w", "z"),
    ]
    assert root.child_text("{DAV:}e") == "v & w"
    assert root.child("{DAV:}none") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding):
    text = '<a xmlns="DAV:">ä✓</a>'
    assert parse(text.encode(encoding)).text == "ä✓"


@pytest.mark.parametrize(
    "octets",
    [b"", b"no", b"<a>", b"<a></b>", b"<a/><b/>", b"<x:a/>", b"\xff\xfe\xfd", b"<a>\x01</a>", b"<a>\xc3\x28</a>",
     b'<?xml version="1.0" encoding="x-nobody-knows"?><a/>', b"<a b='1' b='2'/>", b"<a>&nbsp;</a>"],
)  # fmt: skip
def test_what_is_no_xml_is_refused(octets):
    with pytest.raises(BadRequest) as told:
        parse(octets)
    assert told.value.status == 400


BOMBS = {
    "doctype": b"<!DOCTYPE a><a/>",
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external subset": b'<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % x "y"> %x;]><a/>',
    "billion laughs": b'<!DOCTYPE a [<!ENTITY a "ha">' + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(10)) + b"]><a>&a9;</a>",
    "quadratic": b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 50_000 + b'">]><a>' + b"&a;" * 50_000 + b"</a>",
    "instruction": b'<?xml-stylesheet href="http://127.0.0.1/"?><a/>',
    "levels": b"<a>" * 100_000 + b"</a>" * 100_000,
    "attributes": b"<a " + b" ".join(b'a%d=""' % n for n in range(100_000)) + b"/>",
    "elements": b"<a>" + b"<b/>" * (ELEMENTS_MAX + 1) + b"</a>",
    "namespaces": b"<a " + b" ".join(b'xmlns:a%d="urn:%d"' % (n, n) for n in range(20_000)) + b"><b></a>",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_attack_078_bombs_are_refused(name):
    with pytest.raises(BadRequest):
        parse(BOMBS[name])


def test_attack_078_text_between_elements_takes_time_by_its_length():
    """Joined piece by piece, this would not end within the time limit of tests."""
    root = parse(b"<a>" + b"x" * 60 + (b"<b/>" + b"x" * 60) * (ELEMENTS_MAX - 1) + b"</a>")
    assert len(root.text) == 60 * ELEMENTS_MAX
    assert {each.tail for each in root.children} == {"x" * 60}


def test_attack_078_includes_are_only_elements():
    root = parse(
        b'<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></a>'
    )
    assert root.text == ""
    assert [each.text for each in root.children] == [""]


def test_attack_078_limits_leave_room_for_what_is_needed():
    assert parse(b"<a>" * (DEPTH_MAX) + b"</a>" * DEPTH_MAX).name == "a"
    assert (
        len(parse(b"<a " + b" ".join(b'a%d=""' % n for n in range(ATTRIBUTES_MAX)) + b"/>").attributes)
        == ATTRIBUTES_MAX
    )
    assert len(parse(b"<a>" + b"<b>x</b>" * 100_000 + b"</a>").children) == 100_000


def test_text_of_all_kinds_is_joined_where_it_stands():
    root = parse(b"<a>1<!-- -->2&#51;<b>x<c/>y</b>4<![CDATA[<5>]]><d/></a>")
    assert (root.head, root.text) == ("123", "1234<5>")
    assert [(each.text, each.tail) for each in root.children] == [("xy", "4<5>"), ("", "")]


def as_tree(element):
    return element.tag, dict(element.attrib), element.text or "", [(as_tree(each), each.tail or "") for each in element]


@pytest.mark.parametrize(
    "text",
    [
        '<a xmlns="urn:a"/>',
        '<p:a xmlns:p="urn:a" xmlns:q="urn:b" q:c="&lt;&amp;&quot;" d="x">t<q:b xml:lang="de">ü</q:b>&#13;\n<c xmlns="">&lt;b&gt;</c> end</p:a>',
    ],
)
def test_what_is_written_another_parser_reads_as_the_first(text):
    assert as_tree(ET.fromstring(written(parse(text.encode())))) == as_tree(ET.fromstring(text))


def test_a_language_around_is_kept():
    assert ET.fromstring(written(parse(b'<a xmlns="urn:a">x</a>'), "de")).attrib == {
        "{http://www.w3.org/XML/1998/namespace}lang": "de"
    }


def test_line_ends_survive():
    text = "a\r\nb & <c>]]>"
    assert ET.fromstring("<a>" + escaped(text) + "</a>").text == text
