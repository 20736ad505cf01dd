"""The one loader of settings: defaults, TOML file, a relay's configuration, environment; what comes later counts.

``MAILSTEAD_<SECTION>_<NAME>`` sets each value; a secret may also be given as ``…_FILE``, the path of a file that holds
it. Whatever is not understood is an error that names the nearest thing that would be.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mailstead.config.schema import ENVIRONMENT_PREFIX, Entry, entries, sections
from mailstead.config.settings import Settings
from mailstead.config.values import value_of
from mailstead.model.errors import BadSettings

CONFIG_VARIABLE: Final = "MAILSTEAD_CONFIG"
SECRET_FILE_OCTETS_MAX: Final = 65536
LAST_HOUR: Final = 23
HASH_WORK_MIN_MIB: Final = 35
"""What OWASP's settings for argon2id have in common."""
_DEFAULT_ORIGIN: Final = "default"
_BY_FILE: Final = "_FILE"

# Kubernetes sets these for each service of a namespace, so services named mailstead or mailstead-imap speak our prefix.
_QUIRK_KUBERNETES_LINKS: Final = re.compile(
    r"MAILSTEAD(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)"
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Effective settings, and where each comes from."""

    settings: Settings
    origins: dict[str, str]
    """``section.name`` → ``default``, ``file PATH`` or ``environment VARIABLE``."""


Further = Mapping[str, tuple[str, str]]
"""Settings that somebody else has read: ``section.name`` → text and origin."""


def file_of(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Give the settings file: `path`, else ``MAILSTEAD_CONFIG``, else none."""
    return Path(environ[CONFIG_VARIABLE]) if path is None and environ.get(CONFIG_VARIABLE) else path


def load(path: Path | None, environ: Mapping[str, str], further: Further | None = None) -> Loaded:
    """Give the settings of the file (`file_of`), `further` ones above it, and the environment above these.

    Errors: BadSettings, with the sentence that helps.
    """
    settings, origins = _gathered(Settings, file_of(path, environ), environ, further or {})
    _checked_together(settings)
    return Loaded(settings, origins)


def _gathered(
    schema: type, path: Path | None, environ: Mapping[str, str], further: Further
) -> tuple[Any, dict[str, str]]:
    """Fill a schema from file and environment; gives it with the origins."""
    by_key = {entry.key: entry for entry in entries(schema)}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(by_key, _DEFAULT_ORIGIN)
    if path is not None:
        origin = f"file {path}"
        for key, raw in _file_values(schema, path).items():
            values[key] = value_of(by_key[key], raw, origin)
            origins[key] = origin
    for key, (text, origin) in further.items():
        values[key] = value_of(by_key[key], text, origin)
        origins[key] = origin
    for entry, raw, variable in _environment_values(schema, environ):
        origin = f"environment {variable}"
        values[entry.key] = value_of(entry, raw, origin)
        origins[entry.key] = origin
    filled = {
        section: section_type(
            **{
                entry.name: values[entry.key]
                for entry in by_key.values()
                if entry.section == section and entry.key in values
            }
        )
        for section, section_type in sections(schema).items()
    }
    return schema(**filled), origins


def _file_values(schema: type, path: Path) -> dict[str, object]:
    """Read the TOML file as ``section.name`` → raw value, refusing every name that is not in the schema."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"The settings file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"The settings file {path} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"The settings file {path} is not valid TOML: {error}") from None
    names = {
        section: [entry.name for entry in entries(schema) if entry.section == section] for section in sections(schema)
    }
    values: dict[str, object] = {}
    for section, table in tables.items():
        if section not in names:
            raise BadSettings(f"Unknown section [{section}] in {path}{_nearest(section, names)}")
        if not isinstance(table, dict):
            raise BadSettings(f"{section} in {path} is a section: write [{section}] and its settings below")
        for name, raw in table.items():
            if name not in names[section]:
                candidates = [*names[section], *(entry.key for entry in entries(schema))]
                raise BadSettings(f"Unknown setting {section}.{name} in {path}{_nearest(name, candidates)}")
            values[f"{section}.{name}"] = raw
    return values


def _environment_values(schema: type, environ: Mapping[str, str]) -> Iterable[tuple[Entry, str, str]]:
    """Yield each setting that the environment sets, with its raw text and the variable's name."""
    by_variable = {entry.variable: entry for entry in entries(schema)}
    secret_files = {
        entry.variable + _BY_FILE: entry
        for entry in by_variable.values()
        # Where the section has its own `…_file` setting, that one takes the variable.
        if entry.is_secret and entry.variable + _BY_FILE not in by_variable
    }
    known_prefixes = tuple(f"{ENVIRONMENT_PREFIX}{section}_".upper() for section in sections(schema))
    for variable in sorted(environ):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable in by_variable:
            yield by_variable[variable], environ[variable], variable
        elif variable in secret_files:
            if secret_files[variable].variable in environ:
                raise BadSettings(f"Set either {secret_files[variable].variable} or {variable}, not both")
            yield secret_files[variable], _secret_text(Path(environ[variable]), variable), variable
        elif not _QUIRK_KUBERNETES_LINKS.fullmatch(variable):
            # Other programs may use the prefix too (a test suite, a deployment); only what looks like ours is refused.
            candidates = [*by_variable, *secret_files, CONFIG_VARIABLE]
            if variable.startswith(known_prefixes) or difflib.get_close_matches(variable, candidates, 1, 0.85):
                raise BadSettings(f"Unknown environment variable {variable}{_nearest(variable, candidates)}")


def _secret_text(path: Path, variable: str) -> str:
    """Read a secret from its file; the line end that editors add is not part of it."""
    try:
        with path.open("rb") as file:
            octets = file.read(SECRET_FILE_OCTETS_MAX + 1)
        if len(octets) > SECRET_FILE_OCTETS_MAX:
            raise BadSettings(f"The file {path} named by {variable} is too large for a secret")
        return octets.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise BadSettings(f"The file {path} named by {variable} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"The file {path} named by {variable} is not UTF-8") from None


def _checked_together(settings: Settings) -> None:
    """Refuse settings that are well-formed one by one and wrong together."""
    if bool(settings.tls.certificate_file) != bool(settings.tls.key_file):
        raise BadSettings("tls.certificate_file and tls.key_file belong together: set both or none")
    if settings.backup.hour > LAST_HOUR:
        raise BadSettings(f"backup.hour is an hour of the day, 0 to {LAST_HOUR}")
    limits = settings.limits
    if limits.password_hash_memory_mib * limits.password_hash_iterations < HASH_WORK_MIN_MIB:
        raise BadSettings(
            "limits.password_hash_memory_mib times limits.password_hash_iterations is at least "
            f"{HASH_WORK_MIN_MIB}: cheaper hashes are guessed too quickly"
        )
    if settings.store.master_key and settings.store.master_key_file:
        raise BadSettings("Set either store.master_key or store.master_key_file, not both")


def _nearest(name: str, candidates: Iterable[str]) -> str:
    """Give ``; did you mean …?`` where something is near enough."""
    near = difflib.get_close_matches(name, list(candidates), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""
