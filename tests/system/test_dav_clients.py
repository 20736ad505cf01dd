"""Calendars and contacts with clients that others wrote: vdirsyncer with khal, khard and todoman, python-caldav, tsdav, curl."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from system.dav import DavServer, contact, event, write
from system.server import DOMAIN, PASSWORD

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".test-tools"


@pytest.fixture(scope="module")
def dav(tmp_path_factory):
    server = DavServer(tmp_path_factory.mktemp("dav"))
    server.prepare()
    server.start()
    yield server
    code = server.stop()
    assert server.check() == []
    assert code == 0, server.log()[-2000:]


class Device:
    """A folder of somebody with vdirsyncer, and with the programs that read what it brings."""

    def __init__(self, folder: Path, person, vdirsyncer: str) -> None:
        folder.mkdir()
        self.folder, self.person, self.vdirsyncer = folder, person, vdirsyncer
        self.calendars, self.contacts = folder / "calendars", folder / "contacts"
        (folder / "config").write_text(f"""
[general]
status_path = "{folder}/status"
[pair events]
a = "events_here"
b = "events_there"
collections = ["from a", "from b"]
conflict_resolution = "b wins"
metadata = ["displayname", "color"]
[storage events_here]
type = "filesystem"
path = "{self.calendars}"
fileext = ".ics"
[storage events_there]
type = "caldav"
url = "{person.server.url}"
username = "{person.address}"
password = "{PASSWORD}"
[pair people]
a = "people_here"
b = "people_there"
collections = ["from a", "from b"]
conflict_resolution = "b wins"
[storage people_here]
type = "filesystem"
path = "{self.contacts}"
fileext = ".vcf"
[storage people_there]
type = "carddav"
url = "{person.server.url}"
username = "{person.address}"
password = "{PASSWORD}"
""")

    def run(self, *command: str, stdin: str = "", expect: int = 0, **env: str) -> str:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC", **env},
        )
        assert done.returncode == expect, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def discover(self) -> None:
        self.run(self.vdirsyncer, "-c", str(self.folder / "config"), "discover", stdin="y\n" * 20)

    def sync(self, expect: int = 0) -> str:
        return self.run(self.vdirsyncer, "-c", str(self.folder / "config"), "sync", expect=expect)

    def events(self, calendar: str = "default") -> dict[str, str]:
        return {path.name: path.read_bytes().decode() for path in (self.calendars / calendar).glob("*.ics")}


def test_vdirsyncer_two_devices_both_ways_with_a_conflict(dav, need, tmp_path):
    person = dav.add(f"two@{DOMAIN}")
    laptop, phone = (Device(tmp_path / name, person, need("vdirsyncer")) for name in ("laptop", "phone"))
    laptop.discover()
    write(laptop.calendars / "default", "one.ics", event("one", "From the laptop ✓"))
    write(laptop.contacts / "default", "anna.vcf", contact("anna", "Anna Bell", "anna@elsewhere.test"))
    laptop.sync()
    phone.discover()
    phone.sync()
    assert "SUMMARY:From the laptop ✓" in "".join(phone.events().values())
    assert len(list((phone.contacts / "default").glob("*.vcf"))) == 1
    # back again
    (name,) = phone.events()
    write(phone.calendars / "default", name, event("one", "Changed on the phone"))
    write(phone.calendars / "default", "two.ics", event("two", "Made on the phone"))
    phone.sync()
    laptop.sync()
    assert sorted(text.partition("SUMMARY:")[2].partition("\r\n")[0] for text in laptop.events().values()) == [
        "Changed on the phone",
        "Made on the phone",
    ]
    # both change the same one: the server's, which the phone brought first, wins
    write(phone.calendars / "default", name, event("one", "Phone's"))
    (there,) = [one for one, text in laptop.events().items() if "UID:one" in text]
    write(laptop.calendars / "default", there, event("one", "Laptop's"))
    phone.sync()
    laptop.sync()
    phone.sync()
    for device in (laptop, phone):
        assert sum("SUMMARY:Phone's" in text for text in device.events().values()) == 1
        assert not any("Laptop's" in text for text in device.events().values())
    # and gone
    (laptop.calendars / "default" / there).unlink()
    laptop.sync()
    phone.sync()
    assert ["UID:two" in text for text in phone.events().values()] == [True]
    assert len(person.hrefs(person.calendars + "default/")) == 1
    # a calendar made on a device comes into being on the server, and the other device finds it
    (laptop.calendars / "travel").mkdir()
    write(laptop.calendars / "travel", "train.ics", event("train", "Train"))
    laptop.discover()
    laptop.sync()
    phone.discover()
    phone.sync()
    assert "SUMMARY:Train" in "".join(
        text for folder in phone.calendars.iterdir() for text in phone.events(folder.name).values()
    )
    assert "SUMMARY:Made on the phone" in "".join(phone.events().values())


def test_khal_khard_and_todoman_on_what_vdirsyncer_brings(dav, need, tmp_path):
    person = dav.add(f"khal@{DOMAIN}")
    device = Device(tmp_path / "device", person, need("vdirsyncer"))
    device.discover()
    device.sync()
    calendar, contacts = device.calendars / "default", device.contacts / "default"
    (device.folder / "khal.conf").write_text(
        f"[calendars]\n[[home]]\npath = {calendar}\n[locale]\ntimeformat = %H:%M\ndateformat = %Y-%m-%d\n"
        "longdateformat = %Y-%m-%d\ndatetimeformat = %Y-%m-%d %H:%M\nlongdatetimeformat = %Y-%m-%d %H:%M\n"
        "default_timezone = Europe/Berlin\nlocal_timezone = Europe/Berlin\n[default]\ndefault_calendar = home\n"
        f"[sqlite]\npath = {device.folder}/khal.db\n"
    )
    khal = (need("khal"), "-c", str(device.folder / "khal.conf"))
    device.run(
        *khal,
        "new",
        "--repeat",
        "weekly",
        "--until",
        "2026-04-30",
        "2026-03-02",
        "09:00",
        "10:30",
        "Choir",
        ":: bring notes",
    )
    (device.folder / "todo.py").write_text(
        f'path = "{device.calendars}/*"\ndefault_list = "default"\ndate_format = "%Y-%m-%d"\n'
    )
    todo = (need("todoman"), "--config", str(device.folder / "todo.py"))
    device.run(*todo, "new", "--due", "2026-03-05", "Water the plants")
    (device.folder / "khard.conf").write_text(
        f"[addressbooks]\n[[home]]\npath = {contacts}\n[general]\neditor = true\nmerge_editor = true\n"
    )
    khard = (need("khard"), "-c", str(device.folder / "khard.conf"))
    card = "First name : Zoë\nLast name : Quill\nEmail :\n    home : zoe@elsewhere.test\nPhone :\n    cell : +49 30 123456\n"
    device.run(*khard, "new", "--addressbook", "home", stdin=card)
    device.sync()
    on_server = "".join(person.objects(person.calendars + "default/").values())
    assert "RRULE:FREQ=WEEKLY" in on_server
    assert "SUMMARY:Choir" in on_server
    assert "SUMMARY:Water the plants" in on_server
    assert "zoe@elsewhere.test" in "".join(person.objects(person.addressbooks + "default/").values())
    # somebody changes it elsewhere; both programs show it after the next sync
    assert person.put(person.calendars + "default/club.ics", event("club", "Club night", "20260303T180000Z")) == 201
    assert (
        person.put(
            person.addressbooks + "default/max.vcf", contact("max", "Max Stone", "max@elsewhere.test"), "text/vcard"
        )
        == 201
    )
    (done,) = [href for href, text in person.objects(person.calendars + "default/").items() if "VTODO" in text]
    task = person.ask("GET", done)[2].decode()
    assert (
        person.ask(
            "PUT", done, task.replace("END:VTODO", "STATUS:COMPLETED\r\nEND:VTODO"), Content_Type="text/calendar"
        )[0]
        == 204
    )
    device.sync()
    shown = device.run(*khal, "list", "2026-03-01", "2026-03-10")
    assert "Choir" in shown
    assert "Club night" in shown
    assert "Max Stone" in device.run(*khard, "list")
    assert "Water the plants" not in device.run(*todo, "list")


def test_python_caldav_from_the_bare_address(dav):
    import caldav

    person = dav.add(f"py@{DOMAIN}")
    with caldav.DAVClient(url=dav.url, username=person.address, password=PASSWORD) as client:
        principal = client.principal()
        assert person.user in str(principal.url)
        calendar = principal.make_calendar(name="Work ✓", supported_calendar_component_set=["VEVENT"])
        assert "Work ✓" in {each.get_display_name() for each in principal.get_calendars()}
        begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
        saved = calendar.add_event(
            dtstart=begin,
            dtend=begin + timedelta(hours=1),
            summary="Stand-up",
            rrule={"FREQ": "WEEKLY", "COUNT": 6},
            uid="standup",
        )
        with pytest.raises(caldav.lib.error.DAVError):  # no tasks in here
            calendar.add_todo(summary="not here", uid="todo")
        found = calendar.search(
            start=datetime(2026, 3, 16, tzinfo=UTC), end=datetime(2026, 3, 31, tzinfo=UTC), event=True, expand=True
        )
        assert sorted(each.icalendar_component["DTSTART"].dt for each in found) == [
            begin + timedelta(days=14),
            begin + timedelta(days=21),
            begin + timedelta(days=28),
        ]
        unexpanded = calendar.search(
            start=datetime(2026, 3, 16, tzinfo=UTC), end=datetime(2026, 3, 31, tzinfo=UTC), event=True, expand=False
        )
        assert len(unexpanded) == 1
        token = calendar.get_objects_by_sync_token()
        assert len(list(token)) == 1
        saved.icalendar_component["SUMMARY"] = "Moved"
        saved.save()
        calendar.add_event(dtstart=begin, dtend=begin + timedelta(hours=1), summary="More", uid="more")
        updated, deleted = token.sync()
        assert len(list(updated)) == 2
        calendar.get_event_by_uid("more").delete()
        updated, deleted = token.sync()
        assert len(list(deleted)) == 1
        assert calendar.get_event_by_uid("standup").icalendar_component["SUMMARY"] == "Moved"
        busy = calendar.freebusy_request(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))
        assert "FREEBUSY" in busy.data
        assert [each.icalendar_component["SUMMARY"] for each in calendar.search(summary="Moved", event=True)] == [
            "Moved"
        ]
        tasks = principal.make_calendar(name="Tasks", supported_calendar_component_set=["VTODO"])
        tasks.add_todo(summary="Buy milk", due=datetime(2026, 3, 5, tzinfo=UTC), uid="milk")
        (todo,) = tasks.get_todos()
        todo.complete()
        assert tasks.get_todos() == []
        calendar.delete()
        assert "Work ✓" not in {each.get_display_name() for each in principal.get_calendars()}
        assert len(tasks.get_todos(include_completed=True)) == 1  # deleting one never touches another


def test_tsdav_finds_and_syncs(dav, need):
    node = need("node")
    if not (TOOLS / "node_modules" / "tsdav").exists():
        pytest.skip("tsdav is not installed: run `make setup-tools`")
    person = dav.add(f"ts@{DOMAIN}")
    done = subprocess.run(
        [node, str(Path(__file__).with_name("dav_client.mjs")), dav.url, person.address, PASSWORD],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TEST_TOOLS": str(TOOLS)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["calendars"] >= 1
    assert result["made"] == 201
    assert result["objects"] == ["SUMMARY:By tsdav"]
    assert result["inMarch"] == 1
    assert result["inApril"] == 0
    assert result["changed"] == 1
    assert result["deleted"] == 204
    assert result["left"] == 0
    assert result["addressBooks"] == 1
    assert result["cards"] == ["FN:Teresa Script"]
    assert person.hrefs(person.calendars + "default/") == []


def test_curl_from_well_known_to_an_object(dav, need, tmp_path):
    person = dav.add(f"curl@{DOMAIN}")
    curl = [need("curl"), "-sS", "--fail-with-body", "-u", f"{person.address}:{PASSWORD}"]

    def run(*arguments: str) -> str:
        # As octets: read as text, CRLF would come out as LF.
        done = subprocess.run([*curl, *arguments], capture_output=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode()

    # RFC 6764 §6: well-known, redirect, principal, home
    for service, home in (("caldav", "calendar-home-set"), ("carddav", "addressbook-home-set")):
        # Not redirect_url: curl writes the log-in into it.
        asked = ("-w", "%{http_code} %header{location}", f"{dav.url}/.well-known/{service}")
        assert run("-o", str(tmp_path / "out"), *asked) == "301 /"
        found = run("-X", "PROPFIND", "-H", "Depth: 0", "--data", _asks("current-user-principal"), f"{dav.url}/")
        assert f"/principals/{person.user}/" in found
        assert home in run(
            "-X", "PROPFIND", "-H", "Depth: 0", f"{dav.url}/principals/{person.user}/", "--data", _asks(home)
        )
    text = event("curl", "By curl").replace("\n", "\r\n")
    (tmp_path / "event.ics").write_bytes(text.encode())
    target = f"{dav.url}{person.calendars}default/curl.ics"
    assert (
        run(
            "-w",
            "%{http_code}",
            "-T",
            str(tmp_path / "event.ics"),
            "-H",
            "Content-Type: text/calendar",
            "-H",
            "If-None-Match: *",
            target,
        )
        == "201"
    )
    assert run(target) == text
    done = subprocess.run(
        [
            *curl,
            "-T",
            str(tmp_path / "event.ics"),
            "-H",
            "Content-Type: text/calendar",
            "-H",
            "If-None-Match: *",
            "-w",
            "%{http_code}",
            target,
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("412")
    assert run("-X", "DELETE", "-w", "%{http_code}", target) == "204"
    nobody = subprocess.run(
        [need("curl"), "-sS", "-o", "/dev/null", "-w", "%{http_code}", target], capture_output=True, text=True
    )
    assert nobody.stdout == "401"


def _asks(name: str) -> str:
    kind = "carddav" if name.startswith("address") else "caldav"
    namespace = f"urn:ietf:params:xml:ns:{kind}" if name.endswith("-set") else "DAV:"
    return f'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><{name} xmlns="{namespace}"/></prop></propfind>'


def test_the_server_tester_of_the_caldav_project(dav):
    """Its checks of what servers support; what it finds unsupported must be what we say is unsupported."""
    person = dav.add(f"tester@{DOMAIN}")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("caldav-server-tester")),
            "--caldav-url",
            dav.url + "/",
            "--caldav-username",
            person.address,
            "--caldav-password",
            PASSWORD,
            "--format",
            "json",
        ],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    features = json.loads(done.stdout)["features"]
    assert features
    assert [name for name, found in features.items() if found["support"] == "broken"] == []


def test_evolution_finds_calendars_and_contacts_from_the_address(dav, need, tmp_path):
    """GNOME's stack: what GNOME Calendar, Contacts and Evolution itself stand on."""
    session = need("dbus-run-session")
    if not Path("/usr/libexec/evolution-calendar-factory").exists() or not list(
        Path("/usr/lib").glob("*/girepository-1.0/ECal-2.0.typelib")
    ):
        pytest.skip("Evolution's data server is not installed: run `make setup-tools` as root")
    person = dav.add(f"evo@{DOMAIN}")
    assert person.put(person.calendars + "default/club.ics", event("club", "Club night", "20260303T100000Z")) == 201
    assert (
        person.put(
            person.addressbooks + "default/max.vcf", contact("max", "Max Stone", "max@elsewhere.test"), "text/vcard"
        )
        == 201
    )
    results = {}
    for mode in ("find", "use"):
        done = subprocess.run(
            [session, "--", "/usr/bin/python3", str(Path(__file__).with_name("evolution_client.py")), mode, dav.url, person.address, PASSWORD],
            capture_output=True,
            text=True,
            timeout=100,
            env={
                **{name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"},
                "HOME": str(tmp_path), "GIO_USE_VFS": "local", "GSETTINGS_BACKEND": "memory",
                **{f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "CACHE", "DATA")},
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        results |= json.loads(done.stdout.splitlines()[-1])  # a keyring may have said something before
    assert [f"{dav.url}{person.calendars}default/"] == [href for href, _ in results["cal"]]
    assert [f"{dav.url}{person.addressbooks}default/"] == [href for href, _ in results["book"]]
    assert results["events"] == ["By Evolution", "Club night"]
    assert results["contacts"] == ["Eva Volution", "Max Stone"]
    assert "SUMMARY:By Evolution" in "".join(person.objects(person.calendars + "default/").values())
    assert "FN:Eva Volution" in "".join(person.objects(person.addressbooks + "default/").values())


def test_syncevolution_reads_and_writes(dav, need, tmp_path):
    program = [need("syncevolution"), "--daemon=no", "--keyring=no"]
    person = dav.add(f"syncevo@{DOMAIN}")

    def run(*arguments: str) -> str:
        env = {
            **os.environ,
            "HOME": str(tmp_path),
            **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "CACHE", "DATA")},
        }
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    there = f"{dav.url}{person.calendars}default/"
    # from the bare address, by RFC 6764 and RFC 5397
    assert there in run(
        "--print-databases",
        "backend=caldav",
        f"syncURL={dav.url}/",
        f"username={person.address}",
        f"password={PASSWORD}",
    )
    run("--configure", "--template", "none", f"username={person.address}", f"password={PASSWORD}", "target-config@here")
    run("--configure", "backend=caldav", f"database={there}", "target-config@here", "cal")
    write(tmp_path, "new.ics", event("se-1", "By SyncEvolution"))
    run("--import", str(tmp_path / "new.ics"), "target-config@here", "cal")
    assert person.put(person.calendars + "default/club.ics", event("club", "Club night", "20260303T100000Z")) == 201
    listed = run("--print-items", "target-config@here", "cal")
    assert "By SyncEvolution" in listed
    assert "Club night" in listed
    (name,) = [line.partition(":")[0] for line in listed.splitlines() if "By SyncEvolution" in line]
    run("--delete-items", "target-config@here", "cal", name)
    assert len(person.hrefs(person.calendars + "default/")) == 1
