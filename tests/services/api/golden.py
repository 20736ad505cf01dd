"""Objects of the API as they are written down in tests/golden/api."""

import json
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "api"


def same_as_golden(name, shown, *others):
    """Compare an object with the file of that name, its order included; `others` are fields that differ at each run."""
    kept = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert list(shown) == list(kept)
    left_out = dict.fromkeys(others)
    assert {**shown, **left_out} == {**kept, **left_out}
