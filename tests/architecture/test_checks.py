"""What `make check` looks at is all that there is of its kind."""

import fnmatch
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = re.findall(r"(?m)^\t(.+)$", (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0])


def tracked():
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def patterns(tool):
    """What a line of the target hands over, as patterns of paths."""
    return [word for line in CHECK if f"/{tool} " in line for word in line.split()[1:] if not word.startswith("-")]


def is_shell(path):
    file = ROOT / path
    return file.is_file() and re.match(rb"#!/(usr/bin/env )?(bin/)?(ba|da)?sh\b", file.read_bytes()[:30]) is not None


def test_every_shell_script_is_checked():
    scripts = [path for path in tracked() if is_shell(path)]
    assert len(scripts) >= 5
    given = patterns("shellcheck")
    assert [path for path in scripts if not any(fnmatch.fnmatch(path, pattern) for pattern in given)] == []


def test_every_dockerfile_and_every_workflow_is_checked():
    dockerfiles = [path for path in tracked() if re.search(r"(^|/)Dockerfile", path)]
    assert dockerfiles == patterns("hadolint")
    workflows = [path for path in tracked() if path.startswith(".github/workflows/")]
    assert workflows
    assert all(fnmatch.fnmatch(path, ".github/workflows/*.yml") for path in workflows)
    assert ".github/workflows/*.yml" in patterns("check-jsonschema")
    assert patterns("zizmor") == [".github"]


def test_checks_need_nothing_but_the_virtual_environment():
    """A bare Debian has python3, venv and make; all else comes by pip, pinned."""
    assert len(CHECK) >= 11
    assert [line for line in CHECK if not line.startswith("$(BIN)/")] == []
