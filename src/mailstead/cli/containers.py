"""What a relay's container is told by variables, taken as the relay's own image takes it.

Spec: reference chatmail, section 2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mailstead.model.errors import BadSettings
from mailstead.policy.chatmail_ini import Relay, read_environment

if TYPE_CHECKING:
    from mailstead.config.load import Further

INI_VARIABLE: Final = "INI_FILE"
INI_OCTETS_MAX: Final = 1024 * 1024


def relay_of(environ: Mapping[str, str]) -> Relay | None:
    """Give the relay that ``MAIL_DOMAIN`` and its like describe, or the file of ``INI_FILE``; None: there is none.

    Errors: BadSettings.
    """
    file = environ.get(INI_VARIABLE, "")
    # The relay's image makes the file from the variables; here none is needed.
    is_there = bool(file) and (Path(file).exists() or not environ.get("MAIL_DOMAIN"))
    return read_environment(environ, ini_text(Path(file)) if is_there else "")


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
