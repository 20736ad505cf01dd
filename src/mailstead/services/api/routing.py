"""Which endpoint a path is: literal segments before names in braces, segment by segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from mailstead.services.api.endpoints import Endpoint

SEGMENTS_MAX: Final = 16


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    pattern: _Node | None = None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


class Routes:
    """All endpoints, by path and method."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """Errors: ValueError, for a path and method, or a name, that is there twice."""
        self._root = _Node()
        self._prefixes: set[str] = set()
        names: set[str] = set()
        for endpoint in endpoints:
            segments = _segments(endpoint.path)
            self._prefixes.add(segments[0])
            node = self._root
            for segment in segments:
                if segment.startswith("{"):
                    node.pattern = node.pattern or _Node()
                    node = node.pattern
                else:
                    node = node.literals.setdefault(segment, _Node())
            if endpoint.method in node.endpoints or endpoint.name in names:
                raise ValueError(f"{endpoint.method} {endpoint.path} ({endpoint.name}) is there twice")
            names.add(endpoint.name)
            node.endpoints[endpoint.method] = endpoint

    def is_ours(self, path: str) -> bool:
        """Whether a path begins as one of ours does."""
        return path.lstrip("/").partition("/")[0] in self._prefixes

    def find(self, raw_path: str) -> tuple[dict[str, Endpoint], tuple[str, ...]]:
        """Give the endpoints of a path by method, and its segments; nothing, where there are none.

        `raw_path`: with its percent signs, as a slash within a segment is written with one. A segment that is no text
        is empty: it names nothing, but the endpoint is known.
        """
        segments = tuple(_decoded(segment) for segment in _segments(raw_path))
        if len(segments) > SEGMENTS_MAX:
            return {}, ()
        return _found(self._root, segments), segments


def values_of(endpoint: Endpoint, segments: tuple[str, ...]) -> dict[str, str]:
    """Give the values of the names in an endpoint's path."""
    names = _segments(endpoint.path)
    return {name[1:-1]: value for name, value in zip(names, segments, strict=True) if name.startswith("{")}


def _found(node: _Node, segments: tuple[str, ...]) -> dict[str, Endpoint]:
    if not segments:
        return node.endpoints
    below = node.literals.get(segments[0])
    found = _found(node.pattern, segments[1:]) if node.pattern is not None else {}
    # Of a name that is also a word of ours, the methods that the word has not are the name's.
    return found if below is None else {**found, **_found(below, segments[1:])}


def _segments(path: str) -> list[str]:
    """A slash at the end makes no difference."""
    return path.removeprefix("/").removesuffix("/").split("/")


def _decoded(segment: str) -> str:
    try:
        text = unquote_to_bytes(segment).decode()
    except ValueError:
        return ""
    return text if text.isprintable() else ""
