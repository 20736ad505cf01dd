"""What a container is told: its services by its command, and by variables, as a relay's own image takes them.

Spec: reference chatmail, section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from mailstead.model.errors import BadSettings
from mailstead.policy.chatmail_ini import Relay, read_environment

if TYPE_CHECKING:
    from mailstead.config.load import Further, Loaded

INI_VARIABLE: Final = "INI_FILE"
CONTAINER_VARIABLES: Final = (
    "MAIL_DOMAIN", "INI_FILE", "FORCE_REINIT_INI_FILE", "ACME_EMAIL", "USE_FOREIGN_CERT_MANAGER", "PATH_TO_SSL",
    "ENABLE_CERTS_MONITORING", "CERTS_MONITORING_TIMEOUT", "CHANGE_KERNEL_SETTINGS", "RECREATE_VENV",
    "DEBUG_COMMANDS_ENABLED", "IS_DEVELOPMENT_INSTANCE", "FS_INOTIFY_MAX_USER_INSTANCES_AND_WATCHERS",
)  # fmt: skip
"""Beside these, each key of a chatmail.ini in upper case is one."""
INI_OCTETS_MAX: Final = 1024 * 1024

_FIRST_PROCESS: Final = Path("/proc/1/cmdline")
_OPTIONS_WITH_VALUE: Final = frozenset({"--config", "--workers", "--state"})


def load_here(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the settings as they hold for a command on this machine, or in this container. Errors: BadSettings."""
    from mailstead.config.load import load
    from mailstead.wiring.services import with_services

    loaded = load(path, environ, further_settings(environ))
    services = services_of_container()
    if not services:
        return loaded
    origins = {**loaded.origins, "server.services": "command of the container"}
    if origins["server.offered_services"] == "default":
        origins["server.offered_services"] = loaded.origins["server.services"]
    return replace(loaded, settings=with_services(loaded.settings, services), origins=origins)


def services_of_container() -> tuple[str, ...]:
    """Give the services that this container was started for by words (``serve web``); empty: it was not.

    Commands run beside the server: a health check of the container, the doctor.
    """
    with suppress(OSError, UnicodeDecodeError):
        return services_asked(_FIRST_PROCESS.read_bytes().decode().split("\0"))
    return ()


def services_asked(words: Sequence[str]) -> tuple[str, ...]:
    """Give the services in a command line of `mailstead serve`, whatever stands before it; of others none."""
    from mailstead.wiring.services import named_services

    rest = iter(words)
    if not any(PurePosixPath(word).name == "mailstead" for word in rest):
        return ()
    found: list[str] = []
    is_serve = False
    for word in rest:
        if word in _OPTIONS_WITH_VALUE:
            next(rest, "")
        elif word == "--demo":
            return ()
        elif word == "--services":
            found.append(next(rest, ""))
        elif word.startswith("--services="):
            found.append(word.partition("=")[2])
        elif word == "serve" and not is_serve:
            is_serve = True
        elif not is_serve and not word.startswith("-"):
            return ()
        elif not word.startswith("-"):
            found.append(word)
    return named_services(found) if is_serve else ()


def relay_of(environ: Mapping[str, str]) -> Relay | None:
    """Give the relay that ``MAIL_DOMAIN`` and its like describe, or the file of ``INI_FILE``; None: there is none.

    Errors: BadSettings.
    """
    file = environ.get(INI_VARIABLE, "")
    # The relay's image makes the file from the variables; here none is needed.
    is_there = bool(file) and (Path(file).exists() or not environ.get("MAIL_DOMAIN"))
    return read_environment(environ, ini_text(Path(file)) if is_there else "")


def told_by_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Give what comes of the variables of a relay's container that are set, by their names. Errors: BadSettings."""
    relay = relay_of(environ)
    present = [name for name in CONTAINER_VARIABLES if environ.get(name)]
    if relay is None:
        return dict.fromkeys(present, "of no effect without MAIL_DOMAIN or INI_FILE")
    fates = {fate.key.upper(): fate.text for fate in relay.fates}
    return {name: fates[name] for name in present}


def ini_text(file: Path) -> str:
    """Read a `chatmail.ini`. Errors: BadSettings."""
    try:
        with file.open("rb") as opened:
            octets = opened.read(INI_OCTETS_MAX + 1)
        if len(octets) > INI_OCTETS_MAX:
            raise BadSettings(f"{file} is too large for a chatmail.ini")
        return octets.decode("utf-8-sig")
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}; give the path of a chatmail.ini") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{file} is not UTF-8; give the path of a chatmail.ini") from None


def further_settings(environ: Mapping[str, str]) -> Further:
    """Give the server's settings that follow from the relay's, each with its origin. Errors: BadSettings."""
    relay = relay_of(environ)
    if relay is None:
        return {}
    return {
        name: (text, f"environment {key}" if key in environ else f"file {environ[INI_VARIABLE]}")
        for fate in relay.fates
        for key in (fate.key.upper(),)
        for name, text in fate.settings.items()
    }
