"""What is known of this process and its settings, for a bundle that somebody gives to whoever helps."""

from __future__ import annotations

import os
import platform
import socket
import sys

import apsw

from mailstead import __version__
from mailstead.config.schema import entries
from mailstead.config.settings import Settings
from mailstead.config.values import text_of
from mailstead.model.secret import Secret
from mailstead.usecases.recent_log import LogTerms


def log_terms(settings: Settings) -> LogTerms:
    """Give it."""
    services = ", ".join(settings.server.services)
    return LogTerms(
        process=f"{os.getpid()} @ {socket.gethostname()}",
        about={
            "Mailstead": __version__,
            "Python": sys.version.split()[0],
            "system": platform.platform(),
            "SQLite": apsw.sqlite_lib_version(),
            "services of this process": services,
            "workers": str(settings.server.workers),
            "processors": str(os.cpu_count() or 0),
        },
        settings=lambda: settings_text(settings),
        secrets=lambda: secrets_of(settings),
    )


def settings_text(settings: Settings) -> str:
    """Give all settings, a line each, secrets hidden."""
    found = ((entry.key, getattr(getattr(settings, entry.section), entry.name)) for entry in entries())
    return "".join(f"{key} = {text_of(value)}\n" for key, value in found)


def secrets_of(settings: Settings) -> list[str]:
    """Give what must be nowhere."""
    values = (getattr(getattr(settings, entry.section), entry.name) for entry in entries())
    return [value.reveal() for value in values if isinstance(value, Secret) and value]
