"""`self-hosting/update.sh`: to a version that works, back from those that do not, and what may go wrong on the way."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from containers.engine import ROOT, until
from containers.test_compose import stack

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

SCRIPT = str(ROOT / "self-hosting" / "update.sh")
PLACE = "MAILSTEAD_BACKUP_TARGET=/var/lib/mailstead-keys/place"
MIGRATION = """\
USER root
RUN python - <<'PROGRAM'
import pathlib, mailstead.storage.embedded.directory_schema as schema
file = pathlib.Path(schema.__file__)
file.write_text(file.read_text() + "\\nMIGRATIONS = (*MIGRATIONS, '%s')\\n")
PROGRAM
USER 10001:10001
"""
LABEL = "org.opencontainers.image.version"
VERSION = f"LABEL {LABEL}=%s\n"
VERSIONS = {
    "1.1.0": VERSION % "1.1.0",
    # It takes the data over, so that the old version could not read them any more, and then it does not start.
    "1.2.0": VERSION % "1.2.0"
    + MIGRATION % "CREATE TABLE further (number INTEGER)"
    + "ENV MAILSTEAD_IMAP_LISTEN_TLS=nonsense\n",
    "1.3.0": VERSION % "1.3.0" + MIGRATION % "SELECT broken FROM nowhere",
    "1.4.0": VERSION % "1.4.0" + MIGRATION % "CREATE TABLE further (number INTEGER)",
    "1.8.0": VERSION % "1.0.5",  # an old version under a new name
    "1.9.0": VERSION % "1.9.0" + "LABEL org.opencontainers.image.title=Another\n",
}


@pytest.fixture(scope="module")
def versions(engine, image):
    for version, lines in VERSIONS.items():
        name = f"{image.rpartition(':')[0]}:{version}"
        engine.docker("build", "-q", "-t", name, "-", stdin=f"FROM {image}\n{lines}")
        engine.docker("push", "-q", name)
        engine.docker("rmi", name)


@pytest.fixture
def made(engine, image, versions, tmp_path):
    """Give a stack of 1.0.0 with one message."""
    with stack(engine, image, tmp_path / "updated", [PLACE]) as running:
        running.up()
        running.prepare("mailstead")
        running.send("before")
        yield running


def publish_newest(engine, image, version):
    """Let the tag `latest` of the registry be that version."""
    name = image.rpartition(":")[0]
    engine.docker("pull", "-q", f"{name}:{version}")
    engine.docker("tag", f"{name}:{version}", f"{name}:latest")
    engine.docker("push", "-q", f"{name}:latest")
    engine.docker("rmi", f"{name}:latest")


def update(engine, made, *words):
    done = subprocess.run(
        ["sh", SCRIPT, *words, "--folder", str(made.folder)],
        env=engine.environment, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    log = made.folder / "update.log"
    return done.returncode, done.stdout + done.stderr + (log.read_text()[-3000:] if log.exists() else "")


def begin(engine, made, version):
    return subprocess.Popen(
        ["sh", SCRIPT, version, "--folder", str(made.folder)],
        env=engine.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def holders(file):
    """Give the processes that have a file open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is the kernel's
            if any(os.readlink(each) == str(file) for each in (process / "fd").iterdir()):
                found.append(int(process.name))
    return found


def cut_power(engine, made, script):
    """End the script, all that it has started, and the containers: nobody is asked, nothing is cleared up."""
    lock = made.folder / ".update.lock"
    # What has only just been started is in no list; it has the lock, though, as all that the script starts.
    while processes := [*(tree(script.pid) if script.poll() is None else ()), *holders(lock)]:
        for process in processes:
            with suppress(ProcessLookupError):  # it has come to its end meanwhile
                os.kill(process, signal.SIGKILL)
    script.communicate()
    project = f"label=com.docker.compose.project={project_of(made)}"
    for container in engine.docker("ps", "-q", "--filter", project).split():
        engine.docker("kill", container, expect=None)


def project_of(made):
    lines = (made.folder / ".env").read_text().splitlines()
    return next(line for line in lines if line.startswith("COMPOSE_PROJECT_NAME=")).partition("=")[2]


def tree(pid):
    """Give a process and its offspring, also those in sessions of their own; parents first."""
    offspring = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [pid, *(each for child in offspring.stdout.split() for each in tree(int(child)))]


def phase(made):
    state = made.folder / ".update-state"
    try:
        return state.read_text().split()[0].removeprefix("phase=")
    except (FileNotFoundError, IndexError):
        return ""


def until_phase(engine, made, script, at):
    """Wait until it is there, and in the trial until the new version has the data."""

    def is_there():
        assert script.poll() is None, script.communicate()[0]
        trials = ("ps", "-q", "--filter", "name=mailstead-trial-")
        return phase(made) == at and (at != "trying" or engine.docker(*trials))

    until(is_there, 300, lambda: phase(made))


def tag(made):
    lines = [line for line in (made.folder / ".env").read_text().splitlines() if line.startswith("MAILSTEAD_TAG=")]
    assert len(lines) == 1
    return lines[0].removeprefix("MAILSTEAD_TAG=").partition("@")[0]


def image_of(engine, made):
    """Give the version that runs, by its image's label, as a name could lie; empty if none runs."""
    running = made.running()
    if "mailstead" not in running:
        return ""
    return engine.inspect("container", running["mailstead"]["ID"])["Config"]["Labels"][LABEL]


def test_to_a_version_that_works_and_back_from_those_that_do_not(engine, made):
    code, told = update(engine, made, "1.1.0")
    assert (code, tag(made), image_of(engine, made)) == (0, "1.1.0", "1.1.0"), told
    made.send("with-1.1")
    assert made.subjects() == ["before", "with-1.1"]

    code, told = update(engine, made, "1.3.0")
    assert (code, tag(made), image_of(engine, made)) == (1, "1.1.0", "1.1.0"), told
    assert "cannot take over a copy" in told
    made.send("after-1.3")

    code, told = update(engine, made, "1.2.0", "--limit", "20")
    assert (code, tag(made), image_of(engine, made)) == (1, "1.1.0", "1.1.0"), told
    assert "1.1.0 runs again, with all mail" in told
    made.send("after-1.2")
    assert made.subjects() == ["before", "with-1.1", "after-1.3", "after-1.2"]
    assert "consistent" in made.mailstead("mailstead", "check")
    assert made.mailstead("mailstead", "account", "list").count("@") == 1

    for version, said in (
        ("1.0.0", "older than 1.1.0"),
        ("1.1.0", "the version that runs"),
        ("9.9.9", "cannot be pulled"),
    ):
        assert said in update(engine, made, version)[1]
    assert made.subjects() == ["before", "with-1.1", "after-1.3", "after-1.2"]


def test_the_newest_is_found_and_one_that_failed_is_not_tried_each_night(engine, image, made):
    publish_newest(engine, image, "1.1.0")
    with (made.folder / ".env").open("a") as file:
        file.write("MAILSTEAD_UPDATE=off\n")
    code, told = update(engine, made, "--newest")
    assert (code, tag(made)) == (0, "1.0.0"), told
    assert "1.0.0 stays: .env has MAILSTEAD_UPDATE=off" in told

    (made.folder / ".env").write_text((made.folder / ".env").read_text().replace("MAILSTEAD_UPDATE=off", ""))
    code, told = update(engine, made, "--newest")
    assert (code, tag(made), image_of(engine, made)) == (0, "1.1.0", "1.1.0"), told
    log = (made.folder / "update.log").read_text()
    assert update(engine, made, "--newest") == (0, log[-3000:])  # nothing to do, and nothing said

    publish_newest(engine, image, "1.3.0")
    assert update(engine, made, "--newest")[0] == 1
    code, told = update(engine, made, "--newest")
    assert code == 0
    assert "1.3.0 has failed here before, and 1.1.0 stays" in told
    assert made.subjects() == ["before"]


def test_attack_107_what_a_registry_passes_off_as_newer_is_refused(engine, image, made):
    was = engine.inspect("container", made.running()["mailstead"]["ID"])["Id"]
    for version, said in (
        ("0.9.0", "older than 1.0.0"),
        ("1.8.0", "calls itself 1.0.5; nothing was changed"),
        ("1.9.0", "is not the same product"),
        ("9.9.9", "cannot be pulled; nothing was changed"),
    ):
        code, told = update(engine, made, version)
        assert code != 0
        assert said in told
    # A mirror that holds back what is new, or offers what is old.
    publish_newest(engine, image, "1.8.0")
    code, told = update(engine, made, "--newest")
    assert code != 0, told
    assert engine.inspect("container", made.running()["mailstead"]["ID"])["Id"] == was
    assert made.subjects() == ["before"]


def test_attack_107_what_was_rehearsed_is_what_runs_whatever_the_tag_is_later(engine, image, made):
    assert update(engine, made, "1.1.0")[0] == 0
    name = image.rpartition(":")[0]
    try:
        engine.docker("pull", "-q", f"{name}:1.9.0")
        engine.docker("tag", f"{name}:1.9.0", f"{name}:1.1.0")
        engine.docker("push", "-q", f"{name}:1.1.0")
        made.compose("pull", "-q", "mailstead")
        made.compose("up", "-d", "--wait", "--force-recreate")
        container = engine.inspect("container", made.running()["mailstead"]["ID"])
        assert container["Config"]["Labels"]["org.opencontainers.image.title"] == "Mailstead"
        assert "@sha256:" in container["Config"]["Image"]
    finally:
        engine.docker("build", "-q", "-t", f"{name}:1.1.0", "-", stdin=f"FROM {image}\n{VERSIONS['1.1.0']}")
        engine.docker("push", "-q", f"{name}:1.1.0")


def test_attack_107_a_power_cut_in_the_middle_goes_on_or_back_with_all_mail(engine, made):
    for version, at, then in (
        ("1.4.0", "stopping", "1.0.0"),
        ("1.4.0", "trying", "1.0.0"),
        ("1.2.0", "going", "1.0.0"),
        ("1.4.0", "switching", "1.4.0"),
    ):
        script = begin(engine, made, version)
        until_phase(engine, made, script, at)
        cut_power(engine, made, script)
        assert phase(made) == at, (made.folder / "update.log").read_text()
        assert not made.running()
        code, told = update(engine, made, "--resume")
        assert (code, tag(made), image_of(engine, made)) == (0, then, then), told
        made.send(f"after-{at}")
    assert made.subjects() == ["before", "after-stopping", "after-trying", "after-going", "after-switching"]
    assert "consistent" in made.mailstead("mailstead", "check")
    assert update(engine, made, "--resume")[0] == 0  # and nothing is left to be done
    assert phase(made) == ""


def test_attack_107_the_next_run_first_goes_back_and_then_on(engine, made):
    script = begin(engine, made, "1.2.0")
    until_phase(engine, made, script, "trying")
    cut_power(engine, made, script)
    code, told = update(engine, made, "1.1.0")
    assert (code, tag(made), image_of(engine, made)) == (0, "1.1.0", "1.1.0"), told
    assert made.subjects() == ["before"]


def test_attack_107_who_is_told_to_end_in_the_middle_ends_later(engine, made):
    script = begin(engine, made, "1.1.0")
    until_phase(engine, made, script, "stopping")
    # As Ctrl-C at a terminal, and as systemd, which tells the script alone (KillMode=mixed).
    os.killpg(script.pid, signal.SIGINT)
    os.kill(script.pid, signal.SIGTERM)
    assert "another update is running" in update(engine, made, "1.1.0")[1]
    told = script.communicate(timeout=300)[0]
    assert (script.returncode, image_of(engine, made)) == (0, "1.1.0"), told
    assert made.subjects() == ["before"]


def test_what_is_not_there_is_told(engine, tmp_path):
    class Bare:
        folder = tmp_path

    assert "there is no compose.yaml" in update(engine, Bare, "1.1.0")[1]
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert "there is no .env" in update(engine, Bare, "1.1.0")[1]
    (tmp_path / ".env").write_text("A=b\n")
    assert "does not pin the version" in update(engine, Bare, "1.1.0")[1]
    assert "not both" in update(engine, Bare, "1.1.0", "--newest")[1]
