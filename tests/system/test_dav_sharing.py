"""What people share, with clients that others wrote: python-caldav, vdirsyncer; and calendars from elsewhere."""

import json
import os
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest

from system.dav import DavServer, contact, event
from system.server import DOMAIN, PASSWORD

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def dav(tmp_path_factory):
    settings = {"MAILSTEAD_RELAY_ALLOWS_PRIVATE_ADDRESSES": "true", "MAILSTEAD_DAV_SHOWS_DIRECTORY": "true"}
    server = DavServer(tmp_path_factory.mktemp("dav-sharing"), settings)
    server.prepare()
    server.start()
    yield server
    code = server.stop()
    assert server.check() == []
    assert code == 0, server.log()[-2000:]


def summaries(calendar):
    return {str(each.icalendar_component["SUMMARY"]) for each in calendar.get_events()}


def test_python_caldav_reads_and_writes_what_is_shared(dav):
    import caldav

    owner, sharee = dav.add(f"owner@{DOMAIN}"), dav.add(f"sharee@{DOMAIN}")
    dav.run("calendar", "add", owner.address, "work", "--title", "Work ✓")
    assert owner.put(f"{owner.calendars}work/one.ics", event("one", "From the owner")) == 201
    dav.run("calendar", "share", owner.address, "work", sharee.address)
    with caldav.DAVClient(url=dav.url, username=sharee.address, password=PASSWORD) as client:
        shared = {each.get_display_name(): each for each in client.principal().get_calendars()}["Work ✓"]
        assert summaries(shared) == {"From the owner"}
        with pytest.raises(caldav.lib.error.DAVError):
            shared.add_event(dtstart=datetime(2026, 3, 2, 9, tzinfo=UTC), summary="Not yet", uid="two")
        dav.run("calendar", "share", owner.address, "work", sharee.address, "--write")
        shared.add_event(
            dtstart=datetime(2026, 3, 2, 9, tzinfo=UTC),
            dtend=datetime(2026, 3, 2, 10, tzinfo=UTC),
            summary="From the sharee",
            uid="two",
        )
        assert len(owner.objects(f"{owner.calendars}work/")) == 2
        dav.run("calendar", "unshare", owner.address, "work", sharee.address)
        assert "Work ✓" not in {each.get_display_name() for each in client.principal().get_calendars()}
    assert len(owner.objects(f"{owner.calendars}work/")) == 2


def test_a_delegate_acts_with_python_caldav(dav):
    import caldav

    boss, assistant = dav.add(f"boss@{DOMAIN}"), dav.add(f"assistant@{DOMAIN}")
    boss.put(f"{boss.calendars}default/one.ics", event("one", "Lunch"))
    with caldav.DAVClient(url=dav.url, username=assistant.address, password=PASSWORD) as client:
        calendar = client.calendar(url=f"{dav.url}{boss.calendars}default/")
        with pytest.raises(caldav.lib.error.NotFoundError):
            calendar.get_events()
        dav.run("calendar", "delegate", boss.address, assistant.address)
        assert summaries(calendar) == {"Lunch"}
        calendar.get_event_by_uid("one").delete()
    assert boss.objects(f"{boss.calendars}default/") == {}


def vdirsync(vdirsyncer, folder):
    for action in ("discover", "sync"):
        done = subprocess.run(
            [vdirsyncer, "-c", str(folder / "config"), action],
            input="y\n" * 10,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_vdirsyncer_reads_a_public_link(dav, need, tmp_path):
    person = dav.add(f"public@{DOMAIN}")
    for number in range(3):
        person.put(f"{person.calendars}default/{number}.ics", event(f"e{number}", f"Talk {number}"))
    made = json.loads(dav.run("--json", "calendar", "link", person.address, "default"))
    path = urlsplit(made["url"]).path
    (tmp_path / "config").write_text(f"""
[general]
status_path = "{tmp_path}/status"
[pair talks]
a = "here"
b = "there"
collections = null
[storage here]
type = "filesystem"
path = "{tmp_path}/talks"
fileext = ".ics"
[storage there]
type = "http"
url = "{dav.url}{path}"
""")
    vdirsync(need("vdirsyncer"), tmp_path)
    texts = [each.read_text() for each in (tmp_path / "talks").glob("*.ics")]
    assert sorted(text.partition("SUMMARY:")[2].split()[1] for text in texts) == ["0", "1", "2"]
    dav.run("calendar", "unlink", person.address, made["link"])
    assert person.ask("GET", path)[0] == 404


def test_vdirsyncer_reads_the_people_of_the_domain(dav, need, tmp_path):
    person = dav.add(f"people@{DOMAIN}")
    person.put(f"{person.addressbooks}default/anna.vcf", contact("anna", "Anna Bell", "anna@x.test"), "text/vcard")
    (tmp_path / "config").write_text(f"""
[general]
status_path = "{tmp_path}/status"
[pair people]
a = "here"
b = "there"
collections = ["directory", "default"]
[storage here]
type = "filesystem"
path = "{tmp_path}/people"
fileext = ".vcf"
[storage there]
type = "carddav"
url = "{dav.url}"
username = "{person.address}"
password = "{PASSWORD}"
read_only = true
""")
    vdirsync(need("vdirsyncer"), tmp_path)
    people = "".join(each.read_text() for each in (tmp_path / "people" / "directory").glob("*.vcf"))
    assert person.address in people
    assert "Anna Bell" in "".join(each.read_text() for each in (tmp_path / "people" / "default").glob("*.vcf"))


@contextmanager
def elsewhere():
    """A web server with a calendar; gives its address and the text that it answers with, which may be changed."""
    texts = [b""]

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/calendar")
            self.end_headers()
            self.wfile.write(texts[-1])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/holidays.ics", texts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_calendar_from_elsewhere(dav):
    person = dav.add(f"reader@{DOMAIN}")
    calendar = f"{person.calendars}holidays/"
    with elsewhere() as (url, texts):
        texts.append(event("xmas", "Christmas").encode())
        dav.run("calendar", "subscribe", person.address, url, "--name", "holidays")
        assert ["Christmas" in text for text in person.objects(calendar).values()] == [True]
        assert person.put(f"{calendar}own.ics", event("own", "Own")) == 403
        texts.append(event("newyear", "New Year").encode())
        dav.run("calendar", "refresh", person.address, "holidays")
        assert ["New Year" in text for text in person.objects(calendar).values()] == [True]
        texts.append(b"<html>We are moving</html>")
        assert dav.complete("calendar", "refresh", person.address, "holidays").returncode == 75
        assert len(person.objects(calendar)) == 1
    (shown,) = [
        each for each in json.loads(dav.run("--json", "calendar", "list", person.address)) if each["name"] == "holidays"
    ]
    assert shown["failure"]
    assert (shown["access"], shown["object_count"]) == ("read", 1)


def test_attack_037_a_calendar_inside_the_house_is_not_fetched(dav):
    """Without the setting for closed networks, loopback is out of reach."""
    person = dav.add(f"curious@{DOMAIN}")
    strict = DavServer(dav.folder, {})
    with elsewhere() as (url, texts):
        texts.append(event("secret", "Secret").encode())
        done = strict.complete("calendar", "subscribe", person.address, url, "--name", "inside")
        assert done.returncode == 75
        assert person.objects(f"{person.calendars}inside/") == {}
