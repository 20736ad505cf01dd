"""Say whether all pins of constraints/run.txt are there as wheels for the platforms of the image; installs nothing.

A pin without a wheel would be compiled while the image is built, which has no compiler. Needs the package index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints" / "run.txt"
MACHINES = ("x86_64", "aarch64")
GLIBC_OLDEST, GLIBC_OF_BASE = 17, 36
"""glibc 2.36 is that of bookworm, the image's base; a wheel for an older one runs there as well."""


def python_of_image(dockerfile: Path = ROOT / "Dockerfile") -> str:
    return re.findall(r"(?m)^FROM python:(\d+\.\d+)", dockerfile.read_text())[-1]


def missing_wheels(machine: str, pins: Path = PINS) -> str:
    """Give what pip complains about; empty if all is there."""
    platforms = [f"manylinux2014_{machine}"]
    platforms += [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_OLDEST, GLIBC_OF_BASE + 1)]
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--target", nowhere, "--quiet",
             "--disable-pip-version-check", "--python-version", python_of_image(), "--implementation", "cp",
             "--only-binary=:all:", "--require-hashes", "--no-deps", "-r", str(pins),
             *(word for platform in platforms for word in ("--platform", platform))],
            capture_output=True, text=True,
        )  # fmt: skip
    return done.stderr.strip() if done.returncode else ""


def main() -> int:
    failed = False
    for machine in MACHINES:
        missing = missing_wheels(machine)
        failed = failed or bool(missing)
        print(f"wheels for {machine}: {missing or 'all there'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
