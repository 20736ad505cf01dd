"""Where the master key is, by the settings."""

from __future__ import annotations

from pathlib import Path

from mailstead.config.settings import Settings
from mailstead.storage.embedded.keys import default_master_key_file


def master_key_file(settings: Settings) -> Path | None:
    """Give the file that holds the master key; None where a setting holds it."""
    store = settings.store
    if store.master_key:
        return None
    return Path(store.master_key_file) if store.master_key_file else default_master_key_file(settings.server.data_dir)


def master_key_place(settings: Settings) -> str:
    """Say where the master key is, for people."""
    store = settings.store
    if store.master_key:
        return "given by the setting store.master_key"
    return store.master_key_file or str(default_master_key_file(settings.server.data_dir))
