"""Addresses of pictures in a message: what stands in their place, and what was left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailstead.mime.showing.css import SAFE_ADDRESS
from mailstead.mime.showing.web_addresses import cleaned, remote_address, scheme_of

Rewrite = Callable[[str], str | None]
"""Takes an address, gives what to load instead; None: nothing."""
ADDRESSES_CHARACTERS_MAX: Final = 24_000_000
"""Of all addresses of pictures together; one enclosed picture may be named again and again."""


class ImageAddresses:
    """Gives addresses of images a new place, and counts."""

    def __init__(self, remote: Rewrite | None, embedded: Rewrite | None) -> None:
        self._remote = remote
        self._embedded = embedded
        self._answers: dict[str, str] = {}
        self.blocked: set[str] = set()
        self.trackers: set[str] = set()
        self.loaded: set[str] = set()
        self.is_cut = False
        self._room = ADDRESSES_CHARACTERS_MAX

    def image(self, address: str) -> str:
        """Give what may be loaded instead of an address, or an empty text."""
        address = cleaned(address)
        answer = self._answers.get(address)
        if answer is None:
            answer = self._answers[address] = self._image(address)
        if len(answer) > self._room:
            self.is_cut = True
            return ""
        self._room -= len(answer)
        return answer

    def _image(self, address: str) -> str:
        if not address or scheme_of(address) not in {"", "cid", "http", "https"}:
            return ""
        given = self._embedded(address) if self._embedded else None
        if given is None:
            remote = remote_address(address)
            if not remote:
                return ""
            given = self._remote(remote) if self._remote else None
            (self.loaded if given else self.blocked).add(remote)
        return given if given and SAFE_ADDRESS.fullmatch(given) else ""
