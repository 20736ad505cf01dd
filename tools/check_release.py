"""Refuse a release whose tag is not the version of the package, or that has nowhere to go. Called by release.yml."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def findings(tag: str, registry: str, root: Path = ROOT) -> list[str]:
    """Say what stands against releasing; nothing if all is well."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    found = []
    if tag not in {version, f"v{version}"}:
        found.append(f"the tag is {tag!r} and the version in pyproject.toml is {version}: tag the commit v{version}")
    if f'__version__ = "{version}"' not in (root / "src" / "mailstead" / "__init__.py").read_text():
        found.append(f"src/mailstead/__init__.py does not say {version}")
    if not re.search(rf"(?m)^## {re.escape(version)}(?![\w.])", (root / "CHANGELOG.md").read_text()):
        found.append(f"CHANGELOG.md has no section {version}: fold the notes of changes/ into it")
    if left := sorted(note.name for note in (root / "changes").glob("*.md")):
        found.append(f"changes/ still has notes that no version has: {', '.join(left)}")
    if not registry:
        found.append("the variable REGISTRY of the repository is not set: see docs/release.md")
    return found


def main() -> int:
    found = findings(os.environ.get("TAG", ""), os.environ.get("REGISTRY", ""))
    for each in found:
        print(f"release: {each}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
