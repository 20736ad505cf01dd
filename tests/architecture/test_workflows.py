"""Workflows keep the house's rules; what reads them as GitHub would is `make check` and tests/system/test_release.py."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(file):
    """A workflow as a mapping. YAML 1.1 takes its key `on` for a truth."""
    workflow = yaml.safe_load(file.read_text())
    return workflow | {"on": workflow.pop(True)}


def jobs():
    return [(file.name, name, job) for file in FILES for name, job in read(file)["jobs"].items()]


def steps():
    return [(file, name, step) for file, name, job in jobs() for step in job.get("steps", [])]


def test_there_are_workflows_for_changes_and_for_releases():
    on = {file.name: set(read(file)["on"]) for file in FILES}
    assert on == {"ci.yml": {"pull_request", "push", "workflow_call"}, "release.yml": {"release"}}


def test_actions_are_pinned_by_commit_and_say_the_version():
    uses = [line.strip() for file in FILES for line in file.read_text().splitlines() if "uses:" in line]
    of_others = [line for line in uses if "uses: ./" not in line]
    assert len(of_others) >= 7
    for line in of_others:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_an_action_is_the_same_everywhere_and_has_its_origin_in_the_page():
    pins = {}
    page = (ROOT / "docs" / "release.md").read_text()
    for _, _, step in steps():
        if "uses" in step:
            action, _, commit = step["uses"].partition("@")
            assert pins.setdefault(action, commit) == commit
            assert f"| {action} | " in page, f"{action}: docs/release.md does not say where its commit comes from"
            assert commit[:7] in page, f"{action}: docs/release.md names another commit"


def test_nothing_is_allowed_that_is_not_said():
    for file in FILES:
        assert read(file)["permissions"] == {}, file.name
        assert "group" in read(file)["concurrency"], file.name
    for file, name, job in jobs():
        assert job["permissions"]["contents"] == "read", (file, name)
        assert "uses" in job or job["timeout-minutes"] <= 120, (file, name)
    writing = [(name, key) for _, name, job in jobs() for key, value in job["permissions"].items() if value == "write"]
    assert writing == [("image", "packages"), ("image", "id-token")]


def test_credentials_do_not_stay_in_the_checkout():
    checkouts = [step for _, _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len([job for _, _, job in jobs() if "steps" in job])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_run_step_is_one_call_of_a_script_that_is_there():
    calls = [step["run"] for _, _, step in steps() if "run" in step]
    assert calls
    for call in calls:
        assert "\n" not in call
        assert "${{" not in call, "expressions go through env, or what they hold would be run"
        assert (ROOT / call.split()[-1]).is_file(), call


def test_the_registry_is_a_variable_of_the_repository():
    for file in FILES:
        assert not re.search(r"\b(ghcr|docker|quay)\.io\b", file.read_text()), file.name


@pytest.fixture
def released(tmp_path):
    """A checkout that is ready to be released as 1.2.0."""
    (tmp_path / "src" / "mailstead").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "changes").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "src" / "mailstead" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0\n\nNew.\n")
    shutil.copy(ROOT / "tools" / "check_release.py", tmp_path / "tools")
    return tmp_path


def check(folder, tag="v1.2.0", registry="registry.example"):
    return subprocess.run(
        [sys.executable, str(folder / "tools" / "check_release.py")],
        env={"TAG": tag, "REGISTRY": registry},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("tag", ["v1.2.0", "1.2.0"])
def test_a_release_whose_tag_is_the_version_is_fine(released, tag):
    done = check(released, tag)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_release_that_is_not_ready_is_refused_with_what_to_do(released):
    (released / "changes" / "7.fixed.md").write_text("Something works.\n")
    (released / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.01\n")
    (released / "src" / "mailstead" / "__init__.py").write_text('__version__ = "1.1.0"\n')
    done = check(released, "v1.3.0; reboot", "")
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["release"] * 5
    for words in (
        "tag the commit v1.2.0",
        "__init__.py does not say 1.2.0",
        "no section 1.2.0",
        "7.fixed.md",
        "REGISTRY",
    ):
        assert words in done.stderr


def test_what_is_signed_is_the_digest(tmp_path):
    """With a cosign that only tells how it was called; the real one cannot be tried here."""
    cosign = tmp_path / "cosign"
    cosign.write_text('#!/bin/sh\necho "$@"\n')
    cosign.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "tools" / "sign_image.sh")],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "TAGS": "r.example:5000/o/n:1.2.0\nr.example:5000/o/n:latest",
            "DIGEST": "sha256:ab",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout == "sign --yes --recursive r.example:5000/o/n@sha256:ab\n"


@pytest.mark.parametrize("missing", ["TAGS", "DIGEST"])
def test_nothing_is_signed_without_name_and_digest(missing):
    env = {"PATH": "/usr/bin:/bin", "TAGS": "r.example/o/n:1.2.0", "DIGEST": "sha256:ab"} | {missing: ""}
    done = subprocess.run(["sh", str(ROOT / "tools" / "sign_image.sh")], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert missing in done.stderr
