"""Objects as they were reviewed, in `tests/golden/api`."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "golden" / "api"
DIFFERENT = {"id", "created_at", "updated_at"}
"""What differs in each run, where it is anything at all."""


def masked(value):
    """Give an object without what differs in each run."""
    if isinstance(value, dict):
        return {key: f"<{key}>" if key in DIFFERENT and inner else masked(inner) for key, inner in value.items()}
    return [masked(each) for each in value] if isinstance(value, list) else value


def check_golden(name, value):
    """Compare with what was reviewed; a new one is written, and fails once."""
    path = FOLDER / f"{name}.json"
    text = json.dumps(masked(value), indent=2, ensure_ascii=False) + "\n"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path} was written; look at it")
    assert text == path.read_text()
