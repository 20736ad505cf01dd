"""Files of the operator's that take the place of ours, one by one: pages, layout, style sheet, script.

They lie in the ``www`` of the house's custom folder, or in the www folder of one domain, which counts first. Such a
folder is data: nothing outside it is read, whatever links lie in it. Spec: reference chatmail, section 2 (``custom/``).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from mailstead.model.directory import MIB, Domain

PAGES: Final = ("index", "info", "privacy")
LANGUAGE_NAMES: Final = {"en": "English", "ru": "Русский", "fr": "Français", "es": "Español", "ko": "한국어"}
LAYOUT: Final = "layout.html"
OWN_FILES: Final = ("relay.css", "relay.js")
"""What is served as it is."""
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Of files that are served as they are; others are not."""
TEMPLATES: Final = frozenset({LAYOUT, "page-layout.html"})
"""No pages, though they end like ones; a relay's source folder has the second."""
FILE_OCTETS_MAX: Final = 8 * MIB
LISTED_MAX: Final = 1000
_SOURCE: Final = "src/"
"""Where a relay keeps what is rendered; the same names are taken without it."""


class CustomFile(NamedTuple):
    """A file in the custom folder, and what it does."""

    path: str
    """Below the folder."""
    replaces: str
    """What of ours it replaces, or where it is served; empty: nothing comes of it."""
    advice: str = ""
    """Why nothing comes of it, and what to do."""


def www_folders(domain: Domain, custom_folder: str) -> tuple[Path, ...]:
    """Give where files of the operator's for a domain may lie, what counts first first."""
    house = [Path(custom_folder) / "www"] if custom_folder else []
    return (*([Path(domain.terms.www_folder)] if domain.terms.www_folder else []), *house)


def page_paths(language: str, page: str) -> tuple[str, ...]:
    """Give the names that replace a page, what counts first first."""
    return (f"{language}/{page}.md", f"{_SOURCE}{page}.md", f"{page}.md")


def layout_paths() -> tuple[str, ...]:
    """Give the names that replace the layout."""
    return (f"{_SOURCE}{LAYOUT}", LAYOUT)


def asset_paths(path: str) -> tuple[str, ...]:
    """Give where a file may lie that is served as it is."""
    return (path, f"{_SOURCE}{path}")


def custom_file(folders: Iterable[Path], paths: Sequence[str]) -> Path | None:
    """Give the first of these files that lies in one of the folders, and really does."""
    for folder in folders:
        root = folder.resolve()
        for path in paths:
            if any(part in {"", ".", ".."} or part.startswith(".") for part in path.split("/")):
                continue
            file = (root / path).resolve()
            if file.is_relative_to(root) and file.is_file() and file.stat().st_size <= FILE_OCTETS_MAX:
                return file
    return None


def custom_files(folder: str) -> list[CustomFile]:
    """Give what lies in the custom folder of the house, and what comes of each file."""
    root = Path(folder)
    return [_judged(root, path) for path in _found(root)] if folder else []


def _found(root: Path) -> Iterator[str]:
    found = 0
    for at, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and found < LISTED_MAX:
                found += 1
                yield (Path(at) / name).relative_to(root).as_posix()


def _judged(root: Path, path: str) -> CustomFile:
    rest = path.removeprefix("www/")
    if rest == path:
        return CustomFile(path, "", f"only files below www/ are looked for{_nearest(path)}")
    if custom_file([root / "www"], [rest]) is None:
        return CustomFile(path, "", "it leads out of the folder, or is too large, and is not read")
    replaced = _replaced(rest)
    if replaced:
        return CustomFile(path, replaced)
    shown = rest.removeprefix(_SOURCE)
    if PurePosixPath(rest).suffix.lower() in MEDIA_TYPES and shown not in TEMPLATES:
        return CustomFile(path, f"nothing; it is served as /{shown}")
    return CustomFile(path, "", f"there is nothing of that name{_nearest(path)}")


def _replaced(path: str) -> str:
    for page in PAGES:
        for language, name in LANGUAGE_NAMES.items():
            if path == f"{language}/{page}.md":
                return f"the page {page} in {name}"
        if path in page_paths("", page)[1:]:
            return f"the page {page} in all languages"
    if path in layout_paths():
        return "the layout of all pages"
    for own in OWN_FILES:
        if path in asset_paths(own):
            return f"our {own}"
    return ""


def _nearest(path: str) -> str:
    known = [f"{language}/{page}.md" for language in LANGUAGE_NAMES for page in PAGES]
    known += [f"{_SOURCE}{name}" for name in (*(f"{page}.md" for page in PAGES), LAYOUT)]
    known += OWN_FILES
    # Without a folder's name, which weighs as much as the file's, the source folder is meant.
    near = difflib.get_close_matches(path, [f"www/{name}" for name in known], 1, 0.5) or difflib.get_close_matches(
        f"www/{_SOURCE}{PurePosixPath(path).name}", [f"www/{name}" for name in known], 1, 0.5
    )
    return f"; did you mean {near[0]}?" if near else ""
