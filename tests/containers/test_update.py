"""`self-hosting/update.sh`: to a version that works, and back from two that do not, with all mail."""

import subprocess

import pytest

from containers.engine import ROOT
from containers.test_compose import stack

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

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
VERSIONS = {
    "1.1.0": 'LABEL note="works"\n',
    # It takes the data over, so that the old version could not read them any more, and then it does not start.
    "1.2.0": MIGRATION % "CREATE TABLE further (number INTEGER)" + "ENV MAILSTEAD_IMAP_LISTEN_TLS=nonsense\n",
    "1.3.0": MIGRATION % "SELECT broken FROM nowhere",
}


@pytest.fixture(scope="module")
def versions(engine, image):
    for version, lines in VERSIONS.items():
        name = f"{image.rpartition(':')[0]}:{version}"
        engine.docker("build", "-q", "-t", name, "-", stdin=f"FROM {image}\n{lines}")
        engine.docker("push", "-q", name)
        engine.docker("rmi", name)


def update(engine, made, version, *options):
    done = subprocess.run(
        ["sh", str(ROOT / "self-hosting" / "update.sh"), version, "--folder", str(made.folder), *options],
        env=engine.environment, capture_output=True, text=True, timeout=400, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    log = made.folder / "update.log"
    return done.returncode, done.stdout + done.stderr + (log.read_text()[-3000:] if log.exists() else "")


def tag(made):
    return [line for line in (made.folder / ".env").read_text().splitlines() if line.startswith("MAILSTEAD_TAG=")]


def image_of(made):
    return made.running()["mailstead"]["Image"].rpartition(":")[2]


def test_to_a_version_that_works_and_back_from_those_that_do_not(engine, image, versions, tmp_path):
    with stack(engine, image, tmp_path / "updated", [PLACE]) as made:
        made.up()
        made.prepare("mailstead")
        made.send("before")

        code, told = update(engine, made, "1.1.0")
        assert (code, tag(made), image_of(made)) == (0, ["MAILSTEAD_TAG=1.1.0"], "1.1.0"), told
        made.send("with-1.1")
        assert made.subjects() == ["before", "with-1.1"]

        code, told = update(engine, made, "1.3.0")
        assert (code, tag(made), image_of(made)) == (1, ["MAILSTEAD_TAG=1.1.0"], "1.1.0"), told
        assert "cannot take over a copy" in told
        made.send("after-1.3")

        code, told = update(engine, made, "1.2.0", "--limit", "20")
        assert (code, tag(made), image_of(made)) == (1, ["MAILSTEAD_TAG=1.1.0"], "1.1.0"), told
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


def test_what_is_not_there_is_told(engine, tmp_path):
    class Bare:
        folder = tmp_path

    assert "there is no compose.yaml" in update(engine, Bare, "1.1.0")[1]
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert "there is no .env" in update(engine, Bare, "1.1.0")[1]
    (tmp_path / ".env").write_text("A=b\n")
    assert "does not pin the version" in update(engine, Bare, "1.1.0")[1]
