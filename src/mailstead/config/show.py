"""What holds now: each setting with its value and where that comes from, secrets hidden."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mailstead.config.load import Loaded
from mailstead.config.schema import entries
from mailstead.config.values import text_of
from mailstead.model.secret import Secret


class Effective(NamedTuple):
    """One setting as it holds now."""

    key: str
    value: object
    """As JSON would have it; a secret is only said to be set or not."""
    text: str
    origin: str


def effective(loaded: Loaded) -> list[Effective]:
    """Give all settings in the order of the schema."""
    shown: list[Effective] = []
    for entry in entries():
        value = getattr(getattr(loaded.settings, entry.section), entry.name)
        text = text_of(value)
        plain = text if isinstance(value, Secret | Path) else list(value) if isinstance(value, tuple) else value
        shown.append(Effective(entry.key, plain, text, loaded.origins[entry.key]))
    return shown
