"""Content lines: what is read, what is written, and that nothing gets out of its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject
from mailstead.pim.component import (
    DEPTH_MAX,
    Component,
    Property,
    escaped,
    parse,
    split_unescaped,
    unescaped,
    write,
)

NAMES = st.from_regex(r"[A-Z][A-Z0-9-]{0,11}", fullmatch=True).filter(lambda name: name not in {"BEGIN", "END"})
# No controls and no halves of characters, which UTF-8 cannot carry.
LINE = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=120)
TEXTS = st.text(st.characters(blacklist_categories=("Cc", "Cs")) | st.just("\n"), max_size=120)
PARAMETERS = st.lists(st.tuples(NAMES, st.lists(TEXTS, min_size=1, max_size=3).map(tuple)), max_size=3).map(tuple)
PROPERTIES = st.builds(
    Property, NAMES, LINE, PARAMETERS, st.just("") | st.from_regex(r"[A-Za-z0-9-]{1,8}", fullmatch=True)
)
COMPONENTS = st.recursive(
    st.builds(Component, NAMES, st.lists(PROPERTIES, max_size=4)),
    lambda inner: st.builds(Component, NAMES, st.lists(PROPERTIES, max_size=3), st.lists(inner, max_size=2)),
    max_leaves=4,
)


def event(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT", ""]).encode()


@given(COMPONENTS)
def test_what_is_written_is_read_again(component):
    assert parse(write(component)) == [component]


@given(COMPONENTS)
def test_no_line_is_longer_than_75_octets_and_none_breaks_a_character(component):
    for line in write(component).split(b"\r\n"):
        assert len(line) <= 75
        line.decode()


@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_a_text_survives_escaping(text):
    assert unescaped(escaped(text)) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert split_unescaped(escaped(text), ",") == [escaped(text)]
    assert split_unescaped(escaped(text), ";") == [escaped(text)]


@given(st.lists(st.text("ab,;\\\n"), min_size=1))
def test_parts_come_back_out_of_a_list(texts):
    assert [unescaped(each) for each in split_unescaped(",".join(map(escaped, texts)), ",")] == texts


@given(st.binary(max_size=400) | st.text('BEGINDVT:;="\\,^\r\n \t.é', max_size=200).map(str.encode))
def test_garbage_is_refused_and_nothing_else(octets):
    try:
        found = parse(octets)
    except BadObject:
        return
    assert found


def test_the_condition_is_told_to_who_asks():
    with pytest.raises(BadObject) as refused:
        parse(b"", "valid-address-data")
    assert refused.value.log_fields["condition"] == "valid-address-data"


@given(st.data())
def test_a_damaged_object_is_read_or_refused(data):
    octets = bytearray(write(data.draw(COMPONENTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse(bytes(octets))
    except BadObject:
        return
    assert [part for each in found for part in parse(write(each))] == found


def test_folds_within_a_character_and_bare_line_feeds_and_a_mark_at_the_beginning():
    octets = b"\xef\xbb\xbfBEGIN:VEVENT\nSUMMARY:caf\xc3\n \xa9 and\n\t more\n\nEND:VEVENT\n"
    (found,) = parse(octets)
    assert found.value("SUMMARY") == "café and more"


def test_names_are_folded_and_groups_kept():
    (found,) = parse(b"begin:vcard\r\nitem1.Tel;type=home:1\r\nend:VCard\r\n")
    assert found == Component("VCARD", [Property("TEL", "1", (("TYPE", ("home",)),), "item1")])


def test_parameters_with_quotes_commas_and_carets():
    (found,) = parse(event('ATTENDEE;CN="Doe, Jane; a:b";X="a","b",c;Y=say ^\'hi^\'^n^^;Z=:mailto:j@example.org'))
    attendee = found.properties[0]
    assert attendee.parameter("CN") == "Doe, Jane; a:b"
    assert attendee.parameter_values("X") == ["a", "b", "c"]
    assert attendee.parameter("Y") == 'say "hi"\n^'
    assert attendee.parameter("Z") == ""
    assert attendee.value == "mailto:j@example.org"
    assert attendee.parameter("NONE") is None


def test_bare_parameters_of_old_cards_are_types():
    (found,) = parse(event("TEL;HOME;VOICE:1"))
    assert found.properties[0].parameter_values("TYPE") == ["HOME", "VOICE"]


def test_a_parameter_is_replaced_or_taken_away():
    prop = Property("DTSTART", "x", (("TZID", ("A",)), ("VALUE", ("DATE-TIME",))))
    assert prop.with_parameter("TZID", "B").parameter("TZID") == "B"
    assert prop.with_parameter("TZID", None).parameters == (("VALUE", ("DATE-TIME",)),)


def test_a_copy_is_another_one():
    (found,) = parse(event("SUMMARY:a", "BEGIN:VALARM", "ACTION:DISPLAY", "END:VALARM"))
    copy = found.copy()
    copy.components[0].properties.clear()
    copy.properties[0].value = "b"
    assert found.value("SUMMARY") == "a"
    assert found.components[0].value("ACTION") == "DISPLAY"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "nothing in it"),
        (b"\r\n\r\n", "nothing in it"),
        (b"SUMMARY:a\r\n", "outside of any component"),
        (b"BEGIN:VEVENT\r\nno colon\r\nEND:VEVENT\r\n", "Line 2 is no content line"),
        (b"BEGIN:VEVENT\r\nSUMMARY:a\r\n", "END:VEVENT is missing"),
        (b"BEGIN:VEVENT\r\nEND:VTODO\r\n", "END without its BEGIN"),
        (b"END:VEVENT\r\n", "END without its BEGIN"),
        (b"BEGIN:VEVENT\r\nSUMMARY:\xff\r\nEND:VEVENT\r\n", "not in UTF-8"),
        (b"BEGIN:VEVENT\r\nX\xc3\xa4:a\r\nEND:VEVENT\r\n", "Line 2 is no content line"),
        (b"BEGIN:A\r\n" * (DEPTH_MAX + 1), "nested too deeply"),
        (b"BEGIN:A\r\n" + b"X:\r\n" * 200_001 + b"END:A\r\n", "more than 200000 lines"),
    ],
)
def test_what_is_no_object_is_told_with_its_line(octets, words):
    with pytest.raises(BadObject, match=words):
        parse(octets)


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x0b", "\x1b", "\r", "\x7f"])
def test_attack_085_control_characters_are_refused(control):
    with pytest.raises(BadObject, match="Line 2 has a control character"):
        parse(event(f"SUMMARY:a{control}b"))


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_attack_085_no_value_begins_a_line_of_its_own(end):
    prop = Property("SUMMARY", f"a{end}ATTENDEE:mailto:x@example.org", (("CN", (f"b{end}END:VEVENT",)),))
    octets = write(Component("VEVENT", [prop, Property("COMMENT", escaped(f"c{end}URL:x\x00"))]))
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r") == len(octets.split(b"\r\n")) - 1
    (found,) = parse(octets)
    assert [each.name for each in found.properties] == ["SUMMARY", "COMMENT"]
    assert found.properties[0].parameter("CN") == "b\nEND:VEVENT"
    assert unescaped(found.value("COMMENT")) == "c\nURL:x"


@given(st.text(), st.text(), st.text())
def test_attack_085_whatever_is_in_values_they_stay_in_their_line(value, parameter, text):
    texts = [each.encode(errors="replace").decode() for each in (value, parameter, text)]
    prop = Property("SUMMARY", texts[0], (("CN", (texts[1],)),))
    (found,) = parse(write(Component("VEVENT", [prop, Property("COMMENT", escaped(texts[2]))])))
    assert [each.name for each in found.properties] == ["SUMMARY", "COMMENT"]
    assert not found.components
