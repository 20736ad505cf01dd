"""Reading the last lines of the log, and the bundle for whoever helps: nobody's secret or name is in it."""

import io
import zipfile

import pytest

from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.telemetry.last_lines import Line
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.recent_log import SHOWN_MAX, LogTerms, RecentLog

SECRET = "pw-never-in-a-log-of-bundles"


@pytest.fixture
def lines():
    return [
        Line("2026-01-01T00:00:00Z", "info", "smtp", "a message came", "mail_from=alice@example.test"),
        Line("2026-01-01T00:00:01Z", "warning", "web", "log-in failed", "who=Bob@example.test"),
        Line("2026-01-01T00:00:02Z", "error", "smtp", "it failed", f"to=alice@example.test reason={SECRET}"),
    ]


@pytest.fixture
def recent(clock, lines):
    async def examine(_actor):
        return [Diagnosis("mx", Health.ERROR, "none", "10 mail.test.", "Tell alice@example.test", "example.test")]

    terms = LogTerms(
        "17", {"Mailstead": "1.2.0"}, lambda: f"server.hostname = mail.test\nx = {SECRET}\n", lambda: [SECRET]
    )
    return RecentLog(terms, clock, Unnoted(), examine, lambda: lines)


def test_lines_are_found_by_level_part_and_text(recent, admin):
    def events(**wanted):
        return [each.event for each in recent.look(admin, **wanted).lines]

    assert events() == ["it failed", "log-in failed", "a message came"]
    assert events(level="warning") == ["it failed", "log-in failed"]
    assert events(room="smtp") == ["it failed", "a message came"]
    assert events(text="BOB@") == ["log-in failed"]
    assert events(level="error", room="web") == []
    assert recent.look(admin).rooms == ["smtp", "web"]


def test_of_many_the_newest_are_given(recent, admin, lines):
    lines *= SHOWN_MAX
    found = recent.look(admin)
    assert (len(found.lines), found.count) == (SHOWN_MAX, 3 * SHOWN_MAX)


def unpacked(octets):
    with zipfile.ZipFile(io.BytesIO(octets)) as file:
        return {name.rpartition("/")[2]: file.read(name).decode() for name in file.namelist()}


async def test_nobody_is_known_by_the_bundle_and_the_same_one_has_the_same_name(recent, admin):
    texts = unpacked(await recent.bundle(admin, has_doctor=True))
    assert set(texts) == {"about.txt", "settings.txt", "log.txt", "doctor.txt"}
    whole = "".join(texts.values()).lower()
    assert "alice" not in whole
    assert "bob" not in whole
    assert texts["log.txt"].count("person-1@example.test") == 2
    assert "person-2@example.test" in texts["log.txt"]
    assert "person-1@example.test" in texts["doctor.txt"]
    assert "Mailstead: 1.2.0" in texts["about.txt"]


async def test_secrets_of_the_settings_are_taken_out_wherever_they_are(recent, admin):
    texts = unpacked(await recent.bundle(admin, has_doctor=False))
    assert set(texts) == {"about.txt", "settings.txt", "log.txt"}
    assert SECRET not in "".join(texts.values())
    assert "reason=(a secret)" in texts["log.txt"]


async def test_attack_092_only_for_administrators_of_the_server(recent):
    nobody = Actor(None, None)
    with pytest.raises(NotAllowed):
        recent.look(nobody)
    with pytest.raises(NotAllowed):
        await recent.bundle(nobody, has_doctor=False)
