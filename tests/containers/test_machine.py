"""The way without Docker on a whole machine: installed as docs/without-docker.md says, with systemd, updated, and back."""

import imaplib
import json
import re
import secrets
import shutil
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from containers.engine import ROOT, until
from containers.vps import Vps
from mailstead.net.certificates import make_self_signed
from system.server import ALICE, DOMAIN, PASSWORD, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]

MIGRATION = "\nMIGRATIONS = (*MIGRATIONS, {sql!r})\n"
TAKES_OVER = MIGRATION.format(sql="CREATE TABLE further (number INTEGER)")
AND_THEN = """
async def serve(settings, **how):
    async with open_house(settings):
        {does}
"""
VERSIONS = {
    "1.0.0": {},
    "1.1.0": {},
    # They take the data over, so that the old version could not read them any more, and then they are not well.
    "1.2.0": {
        "storage/embedded/directory_schema.py": TAKES_OVER,
        "wiring/serve.py": AND_THEN.format(does="raise RuntimeError('broken on purpose')"),
    },
    "1.3.0": {"storage/embedded/directory_schema.py": MIGRATION.format(sql="SELECT broken FROM nowhere")},
    "1.4.0": {
        "storage/embedded/directory_schema.py": TAKES_OVER,
        "wiring/serve.py": AND_THEN.format(does="await asyncio.Event().wait()"),
    },
    "1.5.0": {},
}
"""What is added to modules of a version."""

SETTINGS = """
[tls]
watch_s = 3600
[dns]
servers = ["127.0.0.1:9"]
[authentication]
is_enabled = false
[limits]
allows_bridged_clients = true
"""
"""The tests come over Docker's bridge. Nothing goes to the Internet: a resolver that is not there, and senders that are not looked up."""

INSTALL = """
set -eu
python3 -m venv /opt/mailstead/versions/1.0.0
cd /opt/mailstead
python3 -m zipfile -e /root/wheels/mailstead-1.0.0-py3-none-any.whl release
versions/1.0.0/bin/pip install --quiet --require-hashes -r release/mailstead/constraints.txt
versions/1.0.0/bin/pip install --quiet --no-deps /root/wheels/mailstead-1.0.0-py3-none-any.whl
ln -s versions/1.0.0 current
current/bin/mailstead systemd install --hostname mail.example.test
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Build the wheel of the checkout under several version numbers, some of them broken."""
    folder = tmp_path_factory.mktemp("wheels")
    for version, additions in VERSIONS.items():
        source = tmp_path_factory.mktemp("source")
        for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
            shutil.copy(ROOT / name, source)
        for name in ("src", "constraints"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (source / "pyproject.toml", source / "src" / "mailstead" / "__init__.py"):
            text, count = re.subn(r'(?m)^((?:__)?version(?:__)? = )".*"', rf'\1"{version}"', file.read_text())
            assert count == 1, file
            file.write_text(text)
        for name, lines in additions.items():
            file = source / "src" / "mailstead" / name
            file.write_text(file.read_text() + lines)
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source],
            check=True, timeout=120,
        )  # fmt: skip
    return folder


class Installed:
    """A machine on which Mailstead serves."""

    def __init__(self, vps):
        self.vps = vps

    def mailstead(self, line, **how):
        return self.vps.run(f"mailstead {line}", **how)

    def send(self, subject):
        with smtplib.SMTP(self.vps.address, 25, timeout=20) as client:
            client.sendmail(
                "me@elsewhere.test", ALICE, f"From: me@elsewhere.test\nTo: {ALICE}\nSubject: {subject}\n\nHi\n"
            )

    def log_in(self):
        client = imaplib.IMAP4_SSL(self.vps.address, 993, ssl_context=tls_context(), timeout=20)
        client.login(ALICE, PASSWORD)
        client.select()
        return client

    def subjects(self):
        with self.log_in() as client:
            numbers = client.search(None, "ALL")[1][0].split()
            heads = [client.fetch(each, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1] for each in numbers]
        return [re.search(rb"Subject: (\S+)", head)[1].decode() for head in heads]

    def update(self, words, code=0):
        done = self.vps.run(f"mailstead update {words} 2>&1; echo exit $?", limit_s=600, expect=None)
        log = self.vps.run("tail -c 3000 /opt/mailstead/update.log", expect=None)
        assert f"\nexit {code}\n" in done, done + log
        return done + log

    def version(self):
        return self.vps.run("readlink /opt/mailstead/current").strip().removeprefix("versions/")

    def show(self, name):
        return self.vps.run(f"systemctl show --property={name} --value mailstead").strip()


@pytest.fixture(scope="module")
def installed(engine, wheels):
    with Vps.start(engine, "debian:12", has_docker=False) as vps:
        vps.copy(wheels, "/root/wheels")
        # Docker lets everybody bind low ports; a machine does not.
        vps.run("echo net.ipv4.ip_unprivileged_port_start=1024 >/etc/sysctl.d/50-ports.conf && sysctl -q --system")
        vps.run(INSTALL, limit_s=600)
        target = '\n[backup]\ntarget = "/srv/backups"\n'
        file = "/etc/mailstead/mailstead.toml"
        made = vps.run(f"cat {file}")
        assert 'hostname = "mail.example.test"' in made
        text = made.replace("[backup]\n", target.lstrip()) + SETTINGS
        vps.run(f"cat >{file}", stdin=text)
        vps.run("mailstead systemd install --start")
        machine = Installed(vps)
        machine.mailstead(f"domain add {DOMAIN}")
        machine.mailstead(f"account add {ALICE} --password-stdin", stdin=PASSWORD + "\n")
        yield machine


def test_the_service_runs_without_rights_and_mail_comes_through(installed):
    machine = installed
    assert machine.show("ActiveState") == "active"
    status = machine.vps.run(f"cat /proc/{machine.show('MainPID')}/status")
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert found["Uid"].split()[0] == machine.vps.run("id -u mailstead").strip()
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert int(found["CapEff"], 16) == 1 << 10, "CAP_NET_BIND_SERVICE, and nothing else"
    assert machine.show("MemoryDenyWriteExecute") == "yes"
    assert machine.show("ReadWritePaths") == "/srv/backups"
    judged = machine.vps.run("systemd-analyze security --no-pager mailstead")
    assert float(re.search(r"exposure level for mailstead\.service: ([\d.]+)", judged)[1]) < 2.5, judged
    modes = machine.vps.run("stat -c '%a %U %n' /var/lib/mailstead /var/lib/mailstead-keys/master.key "
                            "/etc/mailstead/mailstead.toml; stat -c %G /etc/mailstead/mailstead.toml")  # fmt: skip
    assert modes.split() == [
        "700", "mailstead", "/var/lib/mailstead", "600", "mailstead", "/var/lib/mailstead-keys/master.key",
        "640", "root", "/etc/mailstead/mailstead.toml", "mailstead",
    ]  # fmt: skip
    machine.send("first")
    assert machine.subjects() == ["first"]
    assert "ill" not in machine.mailstead("health")
    assert "came through" in machine.mailstead("trial")
    assert machine.vps.run("find /var/lib/mailstead /srv/backups ! -user mailstead") == ""


def test_installing_again_changes_nothing(installed):
    before = installed.show("MainPID")
    assert json.loads(installed.mailstead("--json systemd install"))["written"] == []
    assert installed.show("MainPID") == before


def test_a_reload_takes_a_new_certificate_and_keeps_connections(installed, tmp_path):
    machine = installed

    def certificate():
        with machine.log_in() as client:
            return client.sock.getpeercert(binary_form=True)

    old = certificate()
    with machine.log_in() as kept:
        make_self_signed(tmp_path / "certificate.pem", tmp_path / "key.pem", "mail.example.test")
        for name in ("certificate.pem", "key.pem"):
            machine.vps.copy(tmp_path / name, f"/var/lib/mailstead/tls/{name}")
        machine.vps.run("chown mailstead: /var/lib/mailstead/tls/*")
        assert certificate() == old
        number = machine.show("MainPID")
        machine.vps.run("systemctl reload mailstead")
        until(lambda: certificate() != old, 20, lambda: machine.vps.run("journalctl -u mailstead -n 20"))
        new = ssl.PEM_cert_to_DER_cert((tmp_path / "certificate.pem").read_text())
        assert certificate() == new
        assert kept.noop()[0] == "OK"
        assert kept.search(None, "ALL")[0] == "OK"
    assert machine.show("MainPID") == number


def test_after_a_reboot_it_serves(installed):
    before = installed.subjects()
    installed.vps.reboot()
    until(lambda: installed.show("ActiveState") == "active", 60, lambda: installed.vps.run("journalctl -u mailstead"))
    assert installed.subjects() == before


def test_to_a_version_that_works_and_back_from_those_that_do_not(installed):
    machine = installed
    before = machine.subjects()
    # All wheels in one folder: the updates themselves need no network.
    machine.vps.run(
        "mkdir /srv/wheels && cd /opt/mailstead && current/bin/pip download --quiet --require-hashes --dest /srv/wheels "
        "-r release/mailstead/constraints.txt && cp /root/wheels/*.whl /srv/wheels",
        limit_s=600,
    )
    machine.update("1.1.0 --from /srv/wheels")
    assert (machine.version(), machine.show("ActiveState")) == ("1.1.0", "active")
    assert "1.1.0" in machine.mailstead("--version")
    machine.send("with-1.1")
    assert machine.subjects() == [*before, "with-1.1"]

    told = machine.update("1.3.0 --from /srv/wheels", code=1)
    assert "cannot take over a copy of the data; nothing was changed" in told.replace("\n", " ")
    machine.send("after-1.3")

    told = machine.update("1.2.0 --from /srv/wheels --limit 30", code=1)
    assert "1.1.0 runs again, with all mail" in told
    assert "broken on purpose" in told
    assert (machine.version(), machine.show("ActiveState")) == ("1.1.0", "active")
    machine.send("after-1.2")
    mail = [*before, "with-1.1", "after-1.3", "after-1.2"]
    assert machine.subjects() == mail
    assert "consistent" in machine.mailstead("check")
    assert machine.mailstead("account list").count("@") == 1
    assert machine.vps.run("find /var/lib/mailstead ! -user mailstead; ls /var/lib/mailstead/scratch") == ""
    assert machine.vps.run("ls /run/systemd/system | grep trial", expect=1) == ""

    assert "older than 1.1.0" in machine.update("1.0.0 --from /srv/wheels", code=78)
    assert "is the version that runs" in machine.update("1.1.0 --from /srv/wheels")
    assert "Only root" in machine.vps.run("setpriv --reuid=mailstead --regid=mailstead --clear-groups "
                                          "/opt/mailstead/current/bin/mailstead update 1.2.0", expect=None)  # fmt: skip
    assert machine.subjects() == mail


def test_attack_107_a_power_cut_in_the_middle_of_a_trial_goes_back_at_the_next_boot(installed):
    machine = installed
    subject = f"before-{secrets.token_hex(4)}"
    machine.send(subject)
    before, version = machine.subjects(), machine.version()
    machine.vps.run("systemd-run --unit=cut --setenv=MAILSTEAD_CONFIG=/etc/mailstead/mailstead.toml "
                    "/opt/mailstead/current/bin/mailstead update 1.4.0 --from /srv/wheels --limit 900")  # fmt: skip

    def is_tried():
        return machine.vps.succeeds("test -e /opt/mailstead/update.json && systemctl show -p ActiveState --value "
                                    "mailstead-trial | grep -q activating")  # fmt: skip

    until(is_tried, 300, lambda: machine.vps.run("cat /opt/mailstead/update.log; journalctl -n 30 -u cut", expect=None))
    machine.vps.power_cut()
    until(
        lambda: machine.show("ActiveState") == "active", 120,
        lambda: machine.vps.run("journalctl -n 60 -u mailstead -u mailstead-recover", expect=None),
    )  # fmt: skip
    assert (machine.version(), machine.subjects()) == (version, before)
    assert "goes back to" in machine.vps.run("tail -n 5 /opt/mailstead/update.log")
    assert not machine.vps.succeeds("test -e /opt/mailstead/update.json")


def test_an_update_that_was_wished_for_on_the_page_is_begun_by_the_machine(installed):
    machine = installed
    before, number = machine.subjects(), machine.show("MainPID")
    machine.vps.run("/opt/mailstead/current/bin/pip config --global set global.find-links /srv/wheels")
    as_the_service = "setpriv --reuid=mailstead --regid=mailstead --clear-groups"

    def wish(version):
        text = json.dumps({"version": version, "who": "admin@example.test", "at": "2026-01-01T00:00:00+00:00"})
        machine.vps.run(f"{as_the_service} sh -c 'cat >/var/lib/mailstead/.wish && "
                        "mv /var/lib/mailstead/.wish /var/lib/mailstead/update-wanted'", stdin=text)  # fmt: skip

    def journal():
        return machine.vps.run(
            "cat /opt/mailstead/update.log; journalctl -n 30 -u mailstead-update-wanted", expect=None
        )

    def waits():
        return machine.vps.succeeds(
            "test -L /var/lib/mailstead/update-wanted || test -e /var/lib/mailstead/update-wanted"
        )

    wish("1.0.0")
    until(lambda: "came to nothing: 1.0.0 is older than 1.1.0" in journal(), 60, journal)
    machine.vps.run(f"{as_the_service} ln -s /etc/shadow /var/lib/mailstead/update-wanted")
    until(lambda: "came to nothing: the wish is no plain file" in journal(), 60, journal)
    assert not waits()
    assert machine.vps.succeeds("test -s /etc/shadow")
    assert (machine.version(), machine.show("MainPID")) == ("1.1.0", number)

    wish("1.5.0")
    until(lambda: "done: 1.5.0 runs" in journal(), 300, journal)
    assert not waits()
    assert (machine.version(), machine.show("ActiveState"), machine.subjects()) == ("1.5.0", "active", before)
    assert machine.vps.run("systemctl is-active mailstead-update-wanted.path").strip() == "active"


def test_nightly_updates_are_off_until_asked_for_and_all_can_be_removed_but_the_data(installed):
    machine = installed
    assert machine.vps.run("systemctl is-enabled mailstead-update.timer", expect=None).strip() == "disabled"
    machine.mailstead("systemd install --updates")
    assert "mailstead-update.timer" in machine.vps.run("systemctl list-timers --no-pager")
    machine.mailstead("systemd remove")
    assert machine.vps.run("ls /etc/systemd/system | grep mailstead; ls /usr/local/bin", expect=None) == ""
    assert machine.vps.succeeds("test -s /var/lib/mailstead/directory.db && test -s /etc/mailstead/mailstead.toml")


def test_pipx_serves_the_same_data_and_says_how_it_is_updated(installed, wheels):
    machine = installed
    (wheel,) = Path(wheels).glob("mailstead-1.5.0-*.whl")
    machine.vps.run(
        f"PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/opt/pipx/bin pipx install /root/wheels/{wheel.name}", limit_s=600
    )
    machine.vps.run("/opt/pipx/bin/mailstead systemd install --start")
    assert "/opt/pipx/venvs/mailstead/bin/mailstead" in machine.show("ExecStart")
    machine.send("by-pipx")
    assert machine.subjects()[-1] == "by-pipx"
    assert "pipx upgrade mailstead" in machine.mailstead("update --newest", expect=None)
