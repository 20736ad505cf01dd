"""How this program is installed, and what the machine remembers of its updates; read only, as the service's user."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from mailstead import __version__
from mailstead.ports.versions import Underway
from mailstead.usecases.update_state import Kind, UpdateState
from mailstead.wiring.house import House
from mailstead.wiring.systemd import JOURNAL_NAME, Place, this_place

JOURNAL_OCTETS_MAX: Final = 256 * 1024
_IN_A_CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
_WHEEL: Final = re.compile(r"mailstead-([^-]+)-py3-none-any\.whl")
_CHANGELOG: Final = "CHANGELOG.md"


class ThisInstallation:
    """Implements `usecases.update_state.Installed`."""

    def __init__(self, place: Place | None = None) -> None:
        self._home = (place or this_place()).home

    def kind(self) -> Kind:
        """See `Installed.kind`."""
        if self._home is not None:
            return Kind.VERSIONS
        if (Path(sys.prefix) / "pipx_metadata.json").exists():
            return Kind.PIPX
        return Kind.CONTAINER if any(each.exists() for each in _IN_A_CONTAINER) else Kind.OTHER

    def journal(self) -> Sequence[str] | None:
        """See `Installed.journal`."""
        if self._home is None:
            return None
        try:
            with (self._home / "update.log").open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - JOURNAL_OCTETS_MAX))
                return file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError:
            return None

    def underway(self) -> Underway | None:
        """See `Installed.underway`."""
        try:
            noted = json.loads(self._text(JOURNAL_NAME))
            return Underway(str(noted["old"]), str(noted["new"]), str(noted["snapshot"]))
        except (ValueError, KeyError, TypeError):
            return None

    def failed(self) -> str:
        """See `Installed.failed`."""
        return self._text("update.failed").strip()

    def seen(self) -> Sequence[str]:
        """See `Installed.seen`."""
        if self._home is None:
            return []
        try:
            wheels = [_WHEEL.fullmatch(each.name) for each in (self._home / "fetched").glob("*.whl")]
            return [
                *(each.name for each in (self._home / "versions").iterdir() if each.is_dir()),
                *(found[1] for found in wheels if found),
            ]
        except OSError:
            return []

    def changelog(self) -> str:
        """See `Installed.changelog`."""
        package = resources.files("mailstead")
        beside = Path(str(package)).parents[1]
        for file in (package / _CHANGELOG, beside / _CHANGELOG):  # of a wheel; of a checkout
            try:
                return file.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
        return ""

    def _text(self, name: str) -> str:
        if self._home is None:
            return ""
        try:
            return (self._home / name).read_text("utf-8", "replace")
        except OSError:
            return ""


def make_update_state(house: House) -> UpdateState:
    """Give who knows of versions."""
    return UpdateState(ThisInstallation(), house.storage.memory, house.clock, __version__)
