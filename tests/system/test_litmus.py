"""WebDAV itself, with the programs that others test and use it by: litmus and cadaver.

litmus puts plain files into plain folders, which are not kept here: there are calendars and address books, and what
belongs into them. What of it does not apply is named, test by test; anything else that fails is a fault.
"""

import os
import re
import subprocess

import pytest

from system.dav import DavServer, event, write
from system.server import DOMAIN, PASSWORD

pytestmark = pytest.mark.full

NO_FILES = {
    "basic": {"put_get", "put_get_utf8_segment", "delete_fragment", "mkcol", "mkcol_with_body"},
    "props": {"propinit", "propmanyns"},
    "http": set(),
}
"""Tests that put a text, or make a folder within a folder: 403 with the reason."""


@pytest.fixture(scope="module")
def dav(tmp_path_factory):
    server = DavServer(tmp_path_factory.mktemp("dav"))
    server.prepare()
    server.start()
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("suite", NO_FILES)
def test_litmus(dav, need, tmp_path, suite):
    person = dav.add(f"{suite}@{DOMAIN}")
    env = {**os.environ, "TESTS": suite, "HOME": str(tmp_path)}
    done = subprocess.run(
        [need("litmus"), "-k", dav.url + person.calendars, person.address, PASSWORD],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        timeout=100,
    )
    said = done.stdout.decode(errors="replace")
    results = dict(re.findall(r"\d+\. (\w+)\.+ *(pass|FAIL|SKIPPED)", said))
    results |= dict.fromkeys(re.findall(r"\d+\. (\w+)\.+ WARNING: server does not claim Class 2", said), "pass")
    assert len(results) >= 4, said
    assert {name for name, result in results.items() if result == "FAIL"} == NO_FILES[suite], said


def test_cadaver_goes_round(dav, need, tmp_path):
    person = dav.add(f"cadaver@{DOMAIN}")
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1\nlogin {person.address}\npassword {PASSWORD}\n")
    write(tmp_path, "a.ics", event("cad", "Lunch"))
    commands = "ls\ncd default\nput a.ics\nget a.ics b.ics\nmove a.ics c.ics\nls\ncd ..\nmkcol new\nmove default/c.ics new/c.ics\nls new\nrmcol new\nls\nquit\n"
    done = subprocess.run(
        [need("cadaver"), dav.url + person.calendars],
        input=commands,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        cwd=tmp_path,
        timeout=60,
    )
    assert "failed" not in done.stdout, done.stdout
    assert (tmp_path / "b.ics").read_bytes() == (tmp_path / "a.ics").read_bytes()
    assert "c.ics" in done.stdout
    assert {href.rstrip("/").rpartition("/")[2] for href in person.hrefs(person.calendars)} == {
        "default",
        "inbox",
        "outbox",
    }
    assert person.hrefs(person.calendars + "default/") == []
