"""Styles, scripts and pictures of the pages. Their addresses hold a hash of what is in them, so browsers keep them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

PATH: Final = "/assets/"
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
_HASH_CHARACTERS: Final = 12


@cache
def _all() -> dict[str, bytes]:
    """Give all files by name. Each script stands alone: an import would not know the other one's hash."""
    folder = files("mailstead.services.web") / "assets"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}


def url_of(name: str) -> str:
    """Give the address of a file. Errors: KeyError, for what is none."""
    return f"{PATH}{_hash(_all()[name])}/{name}"


def asset(hash_text: str, name: str) -> tuple[bytes, str] | None:
    """Give a file and its media type, if it is the one that is meant; None if it is not, or is another by now."""
    octets = _all().get(name)
    if octets is None or _hash(octets) != hash_text:
        return None
    return octets, _TYPES[name.rpartition(".")[2]]


@cache
def _hash(octets: bytes) -> str:
    return urlsafe_b64encode(sha256(octets).digest()).decode()[:_HASH_CHARACTERS]
