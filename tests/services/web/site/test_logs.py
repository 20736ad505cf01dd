"""The page of the log, over the house as it is wired."""

import pytest

from mailstead.telemetry import last_lines
from mailstead.wiring.process_facts import secrets_of, settings_text
from services.web.site.test_rights import ADMIN, asking


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


def say(level, event, **facts):
    last_lines.keep(None, level, {"event": event, "level": level, "room": "smtp", "timestamp": "T1", **facts})


async def test_attack_086_lines_are_shown_and_what_others_wrote_is_escaped(site):
    say("info", "a greeting <img src=x>", helo="<script>alert(1)</script>")
    say("error", "it failed quite badly")
    _, _, text = await site.ask("GET", "/admin/logs", ADMIN)
    assert "a greeting &lt;img src=x&gt;" in text
    assert "<script>alert" not in text
    assert text.index("it failed quite badly") < text.index("a greeting")
    _, _, text = await site.ask("GET", "/admin/logs?level=error", ADMIN)
    assert "it failed quite badly" in text
    assert "a greeting" not in text
    _, _, text = await site.ask("GET", "/admin/logs?q=quite&part=smtp", ADMIN)
    assert "it failed quite badly" in text
    assert 'value="quite"' in text
    assert "No line fits." in (await site.ask("GET", "/admin/logs?q=nothing+like+that", ADMIN))[2]


async def test_the_bundle_is_a_file(site):
    status, _, text = await site.ask("POST", "/admin/logs/bundle", ADMIN)
    assert (status, text[:2]) == (200, "PK")
    await site.house.audit.settle()
    assert "log.bundle" in (await site.ask("GET", "/admin/audit?verb=log.", ADMIN))[2]


async def test_nothing_of_the_settings_that_is_a_secret_is_in_their_text(site):
    settings = site.house.settings
    assert secrets_of(settings) == ["00" * 32]
    text = settings_text(settings)
    assert "00" * 32 not in text
    assert f"server.hostname = {settings.server.hostname}" in text
