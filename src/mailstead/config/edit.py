"""Settings written into a settings file, whose comments and order stay."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from mailstead.config.schema import entries
from mailstead.config.values import text_of, value_of
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret


def change_file(file: Path, values: Mapping[str, str], origin: str) -> None:
    """Write settings into a file, at once or not at all; it is made if it is not there. Errors: BadSettings."""
    try:
        is_there = file.exists()
        changed = with_settings(file.read_text("utf-8") if is_there else "", values, origin)
        new = file.with_name(f".{file.name}.new")
        mode = stat.S_IMODE(file.stat().st_mode) if is_there else 0o640
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(changed)
            opened.flush()
            os.fsync(handle)
        new.chmod(mode)
        new.replace(file)
    except OSError as error:
        raise BadSettings(f"The settings file {file} cannot be written: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"The settings file {file} is not UTF-8") from None


def said_in(file: Path) -> set[str]:
    """Give the settings (``section.name``) that a file says; none if it is not there. Errors: BadSettings."""
    try:
        document = tomlkit.parse(file.read_text("utf-8")) if file.exists() else {}
    except OSError as error:
        raise BadSettings(f"The settings file {file} cannot be read: {error.strerror}") from None
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise BadSettings(f"The settings file {file} is not valid TOML: {error}") from None
    return {f"{section}.{name}" for section, table in document.items() if isinstance(table, dict) for name in table}


def with_settings(text: str, values: Mapping[str, str], origin: str, *, hides_secrets: bool = False) -> str:
    """Give the text of a settings file with these values in it: ``section.name`` → text.

    `hides_secrets`: where people are only shown what would be written.

    Errors: BadSettings, for a file that is no TOML and a value that cannot be.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise BadSettings(f"The settings file is not valid TOML: {error}") from None
    by_key = {entry.key: entry for entry in entries()}
    for key, raw in values.items():
        entry = by_key[key]
        value = value_of(entry, raw, origin)
        if entry.section not in document:
            document.add(entry.section, tomlkit.table())
        section = document[entry.section]
        if not isinstance(section, tomlkit.items.Table):
            raise BadSettings(f"{entry.section} in the settings file is a section: write [{entry.section}]")
        if isinstance(value, Secret):
            value = text_of(value) if hides_secrets else value.reveal()
        section[entry.name] = str(value) if isinstance(value, Path) else value
    return tomlkit.dumps(document)
