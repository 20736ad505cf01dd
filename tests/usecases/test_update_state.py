"""What is told of versions: the journal of the last update, the newest that was seen, what ran here, what is new."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.ports.versions import Underway
from mailstead.usecases.update_state import Ended, Kind, UpdateState, last_update, notes_of

BEGIN = "2026-01-02T01:10:00Z from 1.0.0 to 1.1.0"
STOPS = "2026-01-02T01:12:00Z 1.0.0 stops; this cannot be interrupted until 1.1.0 or 1.0.0 runs"


class Installed:
    def __init__(self):
        self.lines, self.going, self.bad, self.there, self.text = [], None, "", [], ""

    def kind(self):
        return Kind.VERSIONS

    def journal(self):
        return self.lines

    def underway(self):
        return self.going

    def failed(self):
        return self.bad

    def seen(self):
        return self.there

    def changelog(self):
        return self.text


@pytest.fixture
def installed():
    return Installed()


@pytest.mark.parametrize(
    ("lines", "underway", "ended"),
    [
        ([BEGIN, STOPS, "2026-01-02T01:12:40Z done: 1.1.0 runs"], None, Ended.DONE),
        ([BEGIN, STOPS, "2026-01-02T01:13:00Z everything goes back to 1.0.0"], None, Ended.WENT_BACK),
        (
            [BEGIN, STOPS, "2026-01-02T01:13:00Z 1.1.0 is not well; everything goes back to 1.0.0"],
            None,
            Ended.WENT_BACK,
        ),
        ([BEGIN, STOPS], Underway("1.0.0", "1.1.0", "x"), Ended.UNDER_WAY),
        ([BEGIN], None, Ended.STAYED),
    ],
)
def test_how_the_last_update_ended(lines, underway, ended):
    earlier = [
        "2026-01-01T01:00:00Z from 0.9.0 to 1.0.0",
        "2026-01-01T01:02:00Z done: 1.0.0 runs",
        "pip said something",
    ]
    found = last_update([*earlier, *lines], underway)
    assert (found.old, found.new, found.ended) == ("1.0.0", "1.1.0", ended)
    assert found.lines == tuple(lines)
    assert f"{found.began_at:%d %H:%M}" == "02 01:10"


def test_a_journal_of_nothing_tells_of_no_update():
    assert last_update([], None) is None
    assert last_update(["2026-01-01T01:00:00Z 1.0.0 stays"], None) is None
    assert last_update(["sometimeZ from 1 to 2"], None) is None


async def test_the_newest_is_the_highest_that_was_seen(installed, storage, clock, admin):
    state = UpdateState(installed, storage.memory, clock, "1.2.0")
    assert (await state.look(admin)).newest == "1.2.0"
    installed.there = ["1.9.0", "1.10.0rc1", "lost+found"]
    installed.bad = "1.10.0"
    view = await state.look(admin)
    assert (view.newest, view.failed) == ("1.10.0", "1.10.0")


async def test_which_versions_ran_here_and_since_when(installed, storage, clock, admin):
    await UpdateState(installed, storage.memory, clock, "1.1.0").note_running()
    first_at = clock.now()
    clock.passed_s += 3600
    later = UpdateState(installed, storage.memory, clock, "1.2.0")
    await later.note_running()
    second_at = clock.now()
    clock.passed_s += 3600
    await later.note_running()  # started again
    assert (await later.look(admin)).ran == (("1.2.0", second_at), ("1.1.0", first_at))


def test_notes_of_the_newest_versions():
    text = """# Changelog

    What the form is.

## [1.2.0] - 2026-05-01

### Added
- A thing
  that goes on.
- Another one.

### Fixed
* A mistake.

## 1.1.0
Words.

## Unreleased
"""
    notes = notes_of(text)
    assert [(each.version, each.text) for each in notes] == [
        ("1.2.0", ("Added:", "A thing that goes on.", "Another one.", "Fixed:", "A mistake.")),
        ("1.1.0", ("Words.",)),
    ]
    assert notes_of("") == []


async def test_attack_092_only_for_administrators_of_the_server(installed, storage, clock):
    with pytest.raises(NotAllowed):
        await UpdateState(installed, storage.memory, clock, "1").look(Actor(None, None))
