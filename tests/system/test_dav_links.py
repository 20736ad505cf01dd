"""A calendar that goes round: out by a public link, and in again as a subscription, with curl and the commands."""

import json
import subprocess

import pytest

from system.dav import DavServer, event
from system.server import DOMAIN

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def dav(tmp_path_factory):
    server = DavServer(tmp_path_factory.mktemp("dav"))
    server.settings["MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES"] = "true"
    server.settings["MAILSTEAD_DAV_BASE_URL"] = server.url
    server.prepare()
    server.start()
    yield server
    code = server.stop()
    assert server.check() == []
    assert code == 0, server.log()[-2000:]


def command(dav, *words):
    return json.loads(dav.run("--json", *words))


def test_a_calendar_goes_round_by_link_and_subscription(dav):
    source, reader = dav.add(f"source@{DOMAIN}"), dav.add(f"reader@{DOMAIN}")
    source.put(f"{source.calendars}default/a.ics", event("a", "open to all"))
    url = command(dav, "calendar", "link", source.address, "default")["url"]
    got = subprocess.run(["curl", "-sSi", url], capture_output=True, text=True, check=True).stdout
    assert " 200 " in got.splitlines()[0]
    assert "SUMMARY:open to all" in got
    assert command(dav, "calendar", "subscribe", reader.address, url, "--name", "theirs")["changed_count"] == 1
    assert "open to all" in next(iter(reader.objects(f"{reader.calendars}theirs/").values()))
    assert reader.put(f"{reader.calendars}theirs/x.ics", event("x", "mine")) == 403
    source.put(f"{source.calendars}default/b.ics", event("b", "another"))
    assert command(dav, "calendar", "refresh", reader.address, "theirs")["changed_count"] == 1
    source.ask("DELETE", f"{source.calendars}default/a.ics")
    assert command(dav, "calendar", "refresh", reader.address, "theirs")["removed_count"] == 1
    command(dav, "calendar", "unlink", source.address, url)
    assert dav.run("calendar", "refresh", reader.address, "theirs", expect=75)
    assert len(reader.objects(f"{reader.calendars}theirs/")) == 1
