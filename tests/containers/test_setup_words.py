"""What `self-hosting/setup.sh` says to Docker, and what it keeps to itself: with a Docker that only writes down what it is told."""

import os
import pty
import subprocess
from contextlib import suppress

import pytest

from containers.engine import ROOT

SCRIPT = ROOT / "self-hosting" / "setup.sh"
SECRET = "a $ign of the bucket"
DOCKER = """\
#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    "version -f"*) echo "${ENGINE:-26.1.5+dfsg1}" ;;
    "compose version"*) echo "${PLUGIN:-2.26.1-4}" ;;
    "image inspect -f {{index"*) echo 1.2.3 ;;
    *"ls -A"*) exit 1 ;;
    *"backup key") echo AAAA-BBBB ;;
    *"restore --key-stdin") cat >>"$STDIN" ;;
    *"up -d"*) [ -z "${FAILS:-}" ] || { echo "port 25 is taken"; exit 1; } ;;
esac
"""


@pytest.fixture
def environment(tmp_path):
    """Give an environment in which `docker` is the stand-in, and the log lies in a folder of the test."""
    if os.geteuid() != 0:
        pytest.skip("setup.sh runs as root alone")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    (tmp_path / "calls").write_text("")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAILSTEAD_"))}
    return {
        **inherited,
        # Without the machine's sbin, where ufw and nft would be.
        "PATH": ":".join([str(tmp_path / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        "CALLS": str(tmp_path / "calls"),
        "STDIN": str(tmp_path / "stdin"),
        "MAILSTEAD_SETUP_LOG": str(tmp_path / "log"),
    }


@pytest.fixture
def setup(environment, tmp_path):
    """Run setup.sh with the stand-in of Docker; gives exit code, what was said, and what Docker was told."""

    def run(*words, stdin="", **further):
        calls = tmp_path / "calls"
        calls.write_text("")
        done = subprocess.run(
            # Without a terminal, whoever runs the tests.
            ["setsid", "--wait", "sh", str(SCRIPT), "--folder", str(tmp_path / "house"), *words],
            env={**environment, **further},
            input=stdin, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()

    return run


def at_a_terminal(environment, line, typed):
    """Run a line of shell at a terminal where `typed` is typed; gives exit code and what the terminal showed."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "sh", "-c", line], env=environment, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    os.write(ours, typed.encode())
    shown = b""
    with suppress(OSError):  # which is how a terminal says that nobody is there any more
        while octets := os.read(ours, 4096):
            shown += octets
    os.close(ours)
    return process.wait(60), shown.decode()


def test_the_guide_gets_its_options_in_both_stages(setup, tmp_path):
    ini = tmp_path / "cloudflare.ini"
    ini.write_text("dns_cloudflare_api_token = t\n")
    words = ("-d", "example.test", "--wait-dns", "--email", "me@elsewhere.test")
    code, said, calls = setup("--yes", "--image", "x/y", "--cloudflare-ini", str(ini), *words)
    assert code == 0, said
    (configure,) = (line for line in calls if "--stage configure" in line)
    (finish,) = (line for line in calls if "--stage finish" in line)
    for line in (configure, finish):
        assert "--domain example.test --wait-dns --email me@elsewhere.test --yes" in line
    assert f"-v {ini}:/cloudflare.ini:ro" in configure
    assert configure.endswith("--cloudflare-ini /cloudflare.ini")
    assert "cloudflare" not in finish
    assert calls[-2].startswith("compose up -d --wait")


def test_a_version_is_pinned_and_settings_stay_as_they_are(setup, tmp_path):
    house = tmp_path / "house"
    assert setup("--yes", "--domain", "example.test", "--image", "x/y")[0] == 0
    env = house / ".env"
    assert env.stat().st_mode & 0o777 == 0o600
    assert {"MAILSTEAD_IMAGE=x/y", "MAILSTEAD_TAG=1.2.3"} <= set(env.read_text().splitlines())
    with env.open("a") as file:
        file.write("MAILSTEAD_SERVER_HOSTNAME=mine.example.test\n")
    (house / "compose.override.yaml").write_text("services: {}\n")
    before = env.read_bytes()
    assert setup("--yes", "--domain", "example.test")[0] == 0
    assert env.read_bytes() == before
    assert (house / "compose.override.yaml").read_text() == "services: {}\n"
    code, said, calls = setup("--yes", "--domain", "example.test", "--version", "2.0")
    assert code == 1
    assert "another version is for self-hosting/update.sh 2.0" in said
    assert not any("--stage" in line for line in calls)


def test_attack_110_secrets_are_neither_on_command_lines_nor_in_the_log(setup, tmp_path):
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": SECRET}
    assert setup("--yes", "--domain", "example.test", "--image", "x/y", **keys)[0] == 0
    with (tmp_path / "house" / ".env").open("a") as file:
        file.write("MAILSTEAD_BACKUP_TARGET=s3://kept/mailstead\n")  # as the guide does
    code, said, calls = setup("--action", "backups", "--bucket", "kept", "--yes", **keys)
    assert code == 0, said
    assert "AAAA-BBBB" in said
    (guided,) = (line for line in calls if "--action backups" in line)
    assert "-e AWS_SECRET_ACCESS_KEY " in guided
    assert guided.endswith("--yes --bucket kept")
    code, said, restored = setup("--action", "restore", "--yes", "--bucket", "kept", stdin="KEY-KEY\n", **keys)
    assert code == 0, said
    assert (tmp_path / "stdin").read_text() == "KEY-KEY\n"
    log = (tmp_path / "log").read_text()
    for secret in (SECRET, "KEY-KEY", "AAAA-BBBB"):
        assert secret not in log
        assert not any(secret in line for line in [*calls, *restored])
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_step_that_fails_ends_it_and_the_log_is_shown(setup):
    code, said, calls = setup("--yes", "--domain", "example.test", "--image", "x/y", FAILS="yes")
    assert code == 1
    assert "FAILED: Starting" in said
    assert "port 25 is taken" in said
    assert not any("--stage finish" in line for line in calls)


@pytest.mark.parametrize(("what", "version"), [("ENGINE", "20.10.24"), ("PLUGIN", "2.20.0")])
def test_a_docker_that_is_too_old_is_told(setup, tmp_path, what, version):
    code, said, _ = setup("--yes", "--domain", "example.test", "--image", "x/y", **{what: version})
    assert code == 1
    assert f"{version} is too old" in said
    assert not (tmp_path / "house").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--action", "dance"], "none of initial-setup"),
        (["--bucket"], "--bucket needs a value"),
        (["--action", "backups", "--yes"], "nothing is set up in"),
        (["--yes", "--from", "/nowhere.tar.gz"], "FAILED: Unpacking /nowhere.tar.gz"),
        (["--action", "uninstall"], "nothing is set up in"),
    ],
)
def test_what_cannot_be_is_told(setup, words, said):
    code, told, _ = setup(*words)
    assert code != 0
    assert said in told


def test_questions_reach_the_terminal_although_the_script_comes_through_a_pipe(setup, environment, tmp_path):
    assert setup("--yes", "--domain", "example.test", "--image", "x/y")[0] == 0
    house = tmp_path / "house"
    (tmp_path / "calls").write_text("")
    line = f"cat {SCRIPT} | sh -s -- --folder {house}"
    code, shown = at_a_terminal(environment, line, "6\nn\n")
    assert code == 1
    assert "FAILED: not confirmed; nothing was changed" in shown
    assert (tmp_path / "calls").read_text() == ""
    code, shown = at_a_terminal(environment, line, "6\ny\nn\n")
    assert code == 0, shown
    assert (tmp_path / "calls").read_text() == "compose down --remove-orphans -t 60\n"
    assert (house / ".env").exists()
    code, shown = at_a_terminal(environment, line, "6\ny\ny\n")
    assert code == 0, shown
    assert "--volumes" in (tmp_path / "calls").read_text()
    assert not house.exists()


def test_help_names_every_action(setup):
    code, told, _ = setup("--help")
    assert code == 0
    for word in (
        "initial-setup",
        "backups",
        "auto-update",
        "renew",
        "restore",
        "uninstall",
        "--cloudflare-ini",
        "--purge",
    ):
        assert word in told
