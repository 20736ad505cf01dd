"""Updates of the program, on the versions of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from mailstead.config.load import file_of, load
from mailstead.model.errors import BadSettings
from mailstead.usecases.updates import Updates
from mailstead.wiring.systemd import SETTINGS_FILE
from mailstead.wiring.update_wishes import WishFile
from mailstead.wiring.versions import VersionFolders


def make_updates(home: Path, settings_file: Path | None = None, source: Path | None = None) -> Updates:
    """Give what updates the versions in `home`; `source`: a wheel or a folder of wheels. Errors: BadSettings."""
    file = (file_of(settings_file, os.environ) or SETTINGS_FILE).absolute()
    settings = load(file, {}).settings  # as the service reads them, not as this shell would have them
    if not settings.backup.target:
        raise BadSettings("backup.target is not set, and without a backup there is no way back")
    return Updates(VersionFolders(home, file, settings.server.data_dir, source))


def make_wish_taker(home: Path, settings_file: Path | None = None) -> WishFile:
    """Give where root takes the wish of the page. Errors: BadSettings."""
    file = (file_of(settings_file, os.environ) or SETTINGS_FILE).absolute()
    data_dir = load(file, {}).settings.server.data_dir
    return WishFile(data_dir, VersionFolders(home, file, data_dir).say)
