"""Lines that are as before stand as they stood: folds, quotes, case of names, and characters cut by a fold."""

from mailstead.pim.component import Property, parse
from mailstead.pim.kept_lines import OCTETS_MAX, write_keeping

ODD = (
    b'BEGIN:VCALENDAR\r\nversion:2.0\r\nX-A;X-P="plain":caf\xc3\r\n \xa9 and\r\n\t more\r\n'
    b'BEGIN:VEVENT\r\nUID:1\r\nATTENDEE;CN="Ann":mailto:a@b.test\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
)


def test_what_is_not_changed_is_the_same_octets():
    assert write_keeping(parse(ODD)[0], ODD) == ODD


def test_only_what_is_changed_is_another():
    (calendar,) = parse(ODD)
    calendar.components[0].properties[0] = Property("UID", "2")
    assert write_keeping(calendar, ODD) == ODD.replace(b"UID:1", b"UID:2")
    calendar.components[0].properties.append(Property("SUMMARY", "x" * 100))
    octets = write_keeping(calendar, ODD)
    assert b'X-A;X-P="plain":caf\xc3\r\n \xa9 and\r\n\t more\r\n' in octets
    assert all(len(line) <= 75 for line in octets.split(b"\r\n"))


def test_bare_line_feeds_lose_nothing():
    octets = write_keeping(parse(ODD)[0], ODD.replace(b"\r\n", b"\n"))
    assert parse(octets) == parse(ODD)


def test_attack_085_no_line_begins_in_a_value():
    (calendar,) = parse(ODD)
    calendar.components[0].properties.append(Property("SUMMARY", "a\r\nATTACH:file:///b"))
    (read,) = parse(write_keeping(calendar, ODD))
    assert read.components[0].first("ATTACH") is None


def test_large_objects_are_written_anew():
    (calendar,) = parse(ODD)
    calendar.components[0].properties.append(Property("X-LARGE", "y" * OCTETS_MAX))
    before = ODD.replace(b"UID:1\r\n", b"UID:1\r\nX-LARGE:" + b"y" * OCTETS_MAX + b"\r\n")
    octets = write_keeping(calendar, before)
    assert parse(octets)[0].components[0].value("X-LARGE") == "y" * OCTETS_MAX
