"""An update begun on its page."""

from datetime import timedelta

import pytest_asyncio

from mailstead.usecases.update_state import Kind
from mailstead.wiring.installed import ThisInstallation
from mailstead.wiring.systemd import WANTED_PATH
from mailstead.wiring.update_wishes import WishFile
from services.web.site.test_rights import ADMIN, asking

PATH, BEGIN = "/admin/updates", {"verb": "begin", "version": "99.0.0"}


@pytest_asyncio.fixture
async def site(tmp_path, monkeypatch):
    monkeypatch.setattr(ThisInstallation, "kind", lambda _: Kind.VERSIONS)
    monkeypatch.setattr("mailstead.wiring.update_wishes.UNITS", tmp_path)
    init = WishFile.__init__
    monkeypatch.setattr(WishFile, "__init__", lambda self, folder: init(self, folder, units=tmp_path))
    async with asking(tmp_path) as site:
        yield site


def watch(tmp_path):
    (tmp_path / WANTED_PATH).write_text(f"PathExists={tmp_path}/data/update-wanted\n")


async def test_where_nobody_takes_wishes_the_page_says_what_to_do_once(site):
    text = (await site.ask("GET", PATH, ADMIN))[2]
    assert 'value="begin"' not in text
    assert "run this once" in text
    assert (await site.ask("POST", PATH, ADMIN, BEGIN))[0] == 400


async def test_an_update_is_begun_waits_and_is_taken_back(site, tmp_path):
    watch(tmp_path)
    assert 'value="begin"' in (await site.ask("GET", PATH, ADMIN))[2]
    assert (await site.ask("POST", PATH, ADMIN, BEGIN))[:2] == (303, PATH)
    text = (await site.ask("GET", PATH, ADMIN))[2]
    assert "An update to 99.0.0 waits" in text
    assert 'value="begin"' not in text
    assert (await site.ask("POST", PATH, ADMIN, BEGIN))[0] == 409
    assert (await site.ask("POST", PATH, ADMIN, {"verb": "take-back"}))[0] == 303
    assert not (tmp_path / "data" / "update-wanted").exists()
    for wrong in ({}, {"verb": "begin", "version": "0.0.1"}, {"verb": "begin", "version": "<b>"}):
        assert (await site.ask("POST", PATH, ADMIN, wrong))[0] >= 400
    assert not (tmp_path / "data" / "update-wanted").exists()


async def test_attack_090_a_session_that_began_long_ago_begins_no_update(site, tmp_path, monkeypatch):
    watch(tmp_path)
    await site.ask("GET", PATH, ADMIN)
    monkeypatch.setattr("mailstead.usecases.web_sessions.STRONG_FOR", timedelta(seconds=-1))  # all was long ago
    text = (await site.ask("GET", PATH, ADMIN))[2]
    assert f"/me/strengthen?then={PATH}" in text
    assert 'value="begin"' not in text
    assert (await site.ask("POST", PATH, ADMIN, BEGIN))[0] == 401
    assert not (tmp_path / "data" / "update-wanted").exists()
