"""Settings as lines of a `.env`, as Docker Compose reads it: read, and written with everything else left as it is."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mailstead.config.schema import entries
from mailstead.config.values import value_of
from mailstead.model.errors import BadSettings

_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.,:/@%+=*\[\]-]*")
"""What Compose takes as it is, without quotes."""


def read_env_file(file: Path) -> dict[str, str]:
    """Give the variables of a file; none if it is not there. Errors: BadSettings."""
    try:
        text = file.read_text("utf-8") if file.exists() else ""
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file} is not UTF-8") from None
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            found[match[1]] = _unquoted(match[2])
    return found


def change_env_file(file: Path, values: Mapping[str, str], origin: str) -> None:
    """Write settings (``section.name`` → text) into a file, made for its owner alone if it is not there.

    A line that sets the variable is replaced, else one that has it commented out, else the line comes last.

    Errors: BadSettings, also for a value that cannot be.
    """
    by_key = {entry.key: entry for entry in entries()}
    variables = {}
    for key, text in values.items():
        value_of(by_key[key], text, origin)
        variables[by_key[key].variable] = _quoted(by_key[key].variable, text)
    try:
        is_there = file.exists()
        lines = file.read_text("utf-8").splitlines() if is_there else []
        for variable, text in variables.items():
            _put(lines, variable, f"{variable}={text}")
        mode = stat.S_IMODE(file.stat().st_mode) if is_there else 0o600
        owner = (file.stat().st_uid, file.stat().st_gid) if is_there else None
        new = file.with_name(f".{file.name}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write("\n".join(lines) + "\n")
            opened.flush()
            os.fsync(handle)
        if owner and os.geteuid() == 0:
            os.chown(new, *owner)
        new.chmod(mode)
        try:
            new.replace(file)
        except OSError:  # a file that is mounted by itself can be written, and not replaced
            file.write_bytes(new.read_bytes())
            new.unlink()
    except OSError as error:
        raise BadSettings(f"{file} cannot be written: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file} is not UTF-8") from None


def _put(lines: list[str], variable: str, line: str) -> None:
    setting = [at for at, each in enumerate(lines) if (match := _LINE.fullmatch(each)) and match[1] == variable]
    if setting:
        lines[setting[-1]] = line  # of several, the last one counts
        return
    for at, each in enumerate(lines):
        if each.startswith(f"#{variable}="):
            lines[at] = line
            return
    lines.append(line)


def _quoted(variable: str, text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    if "'" in text or "\n" in text:
        raise BadSettings(f"{variable} cannot be written to a .env: it has a single quote or a line end in it")
    return f"'{text}'"


def _unquoted(text: str) -> str:
    """Give a value as Compose understands it; in double quotes nothing of ours ever stands."""
    quoted = re.fullmatch(r"'([^']*)'(\s+#.*)?|\"([^\"]*)\"(\s+#.*)?", text)
    if quoted:
        return quoted[1] or quoted[3] or ""
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip()
