"""Odd but real-looking objects, as many programs write them: each is read and says what it says.

That they come back octet by octet is tested where they are stored, with the same files.
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailstead.pim.calendar_object import calendar_object, split
from mailstead.pim.component import parse, unescaped, write
from mailstead.pim.values import moment
from mailstead.pim.vcard import card, card_facts, split_cards

GOLDEN = Path(__file__).parents[1] / "golden" / "pim"
FACTS = tomllib.loads((GOLDEN / "facts.toml").read_text())
CALENDARS = sorted(name for name in FACTS if name.endswith(".ics"))
CARDS = sorted(name for name in FACTS if name.endswith(".vcf"))


def test_all_are_described():
    assert sorted(FACTS) == sorted(file.name for file in GOLDEN.iterdir() if file.suffix in {".ics", ".vcf"})
    assert len(FACTS) >= 60


@pytest.mark.parametrize("name", CALENDARS)
def test_a_calendar_object(name):
    said = FACTS[name]
    found = calendar_object((GOLDEN / name).read_bytes())
    assert (found.uid, found.component) == (said["uid"], said["component"])
    assert len(found.parts) == said.get("parts", 1)
    assert (found.master is not None) == said.get("has_master", True)
    first = found.parts[0]
    start = first.first("DTSTART")
    assert (start is not None) == ("start" in said)
    if start is not None:
        assert moment(start, found.zones).utc(UTC) == datetime.fromisoformat(said["start"])
    assert {each: unescaped(first.value(each)) for each in said.get("values", {})} == said.get("values", {})


@pytest.mark.parametrize("name", CALENDARS)
def test_a_calendar_object_read_again_and_imported(name):
    octets = (GOLDEN / name).read_bytes()
    found = calendar_object(octets)
    assert parse(write(found.calendar)) == [found.calendar]
    (imported,) = split(octets)
    again = calendar_object(write(imported))
    assert (again.uid, again.component, again.parts) == (found.uid, found.component, found.parts)
    zone = again.parts[0].first("DTSTART")
    assert zone is None or moment(zone, again.zones).utc(UTC) == datetime.fromisoformat(FACTS[name]["start"])


@pytest.mark.parametrize("name", CARDS)
def test_a_contact(name):
    said = FACTS[name]
    found = card((GOLDEN / name).read_bytes())
    assert (found.uid, found.version, found.is_group) == (said["uid"], said["version"], said.get("is_group", False))
    facts = card_facts(found)
    assert facts.summary == said["name"]
    assert [each for each in said.get("texts", []) if each not in facts.text] == []
    assert parse(write(found.component)) == [found.component]


@pytest.mark.parametrize("name", CARDS)
def test_a_contact_imported(name):
    (piece,) = split_cards((GOLDEN / name).read_bytes())
    assert card(piece).component == card((GOLDEN / name).read_bytes()).component
