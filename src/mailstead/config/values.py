"""From what stands in a file or variable to the typed value of a setting, and back to text."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

from mailstead.config.schema import Entry
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret

_SIZES: Final = {
    "": 1, "b": 1,
    "k": 1024, "kib": 1024, "kb": 1000,
    "m": 1024**2, "mib": 1024**2, "mb": 1000**2,
    "g": 1024**3, "gib": 1024**3, "gb": 1000**3,
    "t": 1024**4, "tib": 1024**4, "tb": 1000**4,
}  # fmt: skip
_DURATIONS: Final = {
    "ms": 0.001, "": 1.0, "s": 1.0, "sec": 1.0,
    "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0,
}  # fmt: skip
_MEASURE: Final = re.compile(r"\s*(-?\d[\d_]*(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_BOOLEANS: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def value_of(entry: Entry, raw: object, origin: str) -> Any:
    """Give the typed value of `raw`: a TOML value, or the text of an environment variable.

    Errors: BadSettings, with a sentence that names setting, origin and what is expected.
    """
    value = _converted(entry, raw)
    if value is None:
        # A secret's wrong value could be the secret in the wrong shape: it is never repeated.
        shown = "" if entry.is_secret else f", not {_quoted(raw)}"
        raise BadSettings(f"{entry.key} must be {entry.expected}{shown} ({origin})")
    return value


def text_of(value: object) -> str:
    """Write a value for people; a secret shows only whether it is set."""
    if isinstance(value, Secret):
        return "(hidden)" if value else "(not set)"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _converted(entry: Entry, raw: object) -> Any:
    """Give the value, or None where `raw` cannot be one."""
    kind = entry.kind
    if kind is bool:
        return raw if isinstance(raw, bool) else _BOOLEANS.get(raw.strip().lower()) if isinstance(raw, str) else None
    if kind in {int, float}:
        return _number(entry, raw)
    if kind in {str, Path, Secret}:
        if not isinstance(raw, str) or (entry.choices and raw not in entry.choices) or (kind is Path and not raw):
            return None
        return kind(raw)
    # ``tuple[str, ...]``: an array in TOML; in the environment (and, to be kind, in TOML) a text with commas.
    items = [item.strip() for item in raw.split(",")] if isinstance(raw, str) else raw
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return None
    listed = tuple(item for item in items if item)
    return None if entry.choices and not set(listed) <= set(entry.choices) else listed


def _number(entry: Entry, raw: object) -> int | float | None:
    """Read a number, with a unit where the setting's name has one."""
    if isinstance(raw, bool):
        return None
    number: float
    if isinstance(raw, int | float):
        number = raw
    elif isinstance(raw, str) and (match := _MEASURE.fullmatch(raw)):
        units = _SIZES if entry.is_size else _DURATIONS if entry.is_duration else {"": 1}
        factor = units.get(match[2].lower())
        if factor is None:
            return None
        digits = match[1].replace("_", "")
        number = (float(digits) if "." in digits else int(digits)) * factor
    else:
        return None
    if not math.isfinite(number) or number < (0 if entry.minimum is None else entry.minimum):
        return None
    if entry.kind is float:
        return float(number)
    return int(number) if number == int(number) else None


def _quoted(raw: object) -> str:
    """Write what was found as TOML would, in a bounded length."""
    text = f'"{raw}"' if isinstance(raw, str) else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if len(text) <= 60 else text[:57] + "…"


def octets_of(text: str) -> int | None:
    """Read a size such as ``5 GiB``; None where it is none."""
    match = _MEASURE.fullmatch(text)
    factor = _SIZES.get(match[2].lower()) if match else None
    if match is None or factor is None:
        return None
    octets = float(match[1].replace("_", "")) * factor
    return int(octets) if octets >= 0 else None
