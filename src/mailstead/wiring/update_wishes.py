"""The wish for an update as a file of the data folder: left by the service, taken by root."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from mailstead import __version__
from mailstead.model.errors import BadSettings, Conflict
from mailstead.ports.versions import MachineFailed
from mailstead.usecases.update_wishes import WISH_OCTETS_MAX, UpdateWishes
from mailstead.wiring.house import House
from mailstead.wiring.systemd import UNITS, WANTED_PATH, WISH_NAME

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""No link is followed, and a pipe keeps nobody waiting."""


class WishFile:
    """Implements `usecases.update_wishes.WishPlace` and, as root, `WishTaker`."""

    def __init__(self, data_dir: Path, say: Callable[[str], None] = lambda _: None, units: Path = UNITS) -> None:
        self._folder = data_dir
        self._say = say
        self._units = units

    def is_watched(self) -> bool:
        """See `WishPlace.is_watched`."""
        try:
            unit = (self._units / WANTED_PATH).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        return f"PathExists={self._folder / WISH_NAME}" in unit.splitlines()

    def read(self) -> bytes | None:
        """See `WishPlace.read`."""
        with _Folder(self._folder) as folder:
            return _read(folder)

    def put(self, content: bytes) -> None:
        """See `WishPlace.put`."""
        number, name = tempfile.mkstemp(dir=self._folder, prefix=f".{WISH_NAME}-")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(name, self._folder / WISH_NAME)  # unlike a rename, it replaces none that waits
        except FileExistsError:
            raise Conflict("An update is wished for already") from None
        finally:
            Path(name).unlink()
        with _Folder(self._folder) as folder:
            os.fsync(folder)

    def take_back(self) -> None:
        """See `WishPlace.take_back`."""
        with suppress(FileNotFoundError):
            (self._folder / WISH_NAME).unlink()

    def take(self) -> bytes | None:
        """See `WishTaker.take`."""
        with _Folder(self._folder) as folder:
            try:
                content = _read(folder)
            finally:
                try:
                    os.unlink(WISH_NAME, dir_fd=folder)
                    os.fsync(folder)
                except FileNotFoundError:
                    pass
                except OSError as error:
                    raise MachineFailed(f"{WISH_NAME} cannot be removed: {error.strerror}") from None
        return content

    def say(self, text: str) -> None:
        """See `WishTaker.say`."""
        self._say(text)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> int:
        self._number = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._number

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


def _read(folder: int) -> bytes | None:
    try:
        number = os.open(WISH_NAME, _READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError:
        raise BadSettings("the wish is no plain file") from None
    with os.fdopen(number, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise BadSettings("the wish is no plain file")
        content = file.read(WISH_OCTETS_MAX + 1) or b""
    if len(content) > WISH_OCTETS_MAX:
        raise BadSettings("the wish is too large")
    return content


def make_update_wishes(house: House) -> UpdateWishes:
    """Give who leaves wishes."""
    return UpdateWishes(WishFile(house.settings.server.data_dir), house.audit, house.clock, __version__)
