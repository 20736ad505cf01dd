"""Names of XML elements in Clark's notation: ``{namespace}name``.

Spec: RFC 4918 §14, §15; RFC 4791 §9; RFC 6352 §10; RFC 6638 §10.
"""

from __future__ import annotations

from typing import Final

DAV: Final = "DAV:"
CALDAV: Final = "urn:ietf:params:xml:ns:caldav"
CARDDAV: Final = "urn:ietf:params:xml:ns:carddav"
CALENDARSERVER: Final = "http://calendarserver.org/ns/"
"""Apple's, of its calendar server and its clients."""
APPLE_ICAL: Final = "http://apple.com/ns/ical/"
PUSH: Final = "https://bitfire.at/webdav-push"

PREFIXES: Final = {
    DAV: "D",
    CALDAV: "C",
    CARDDAV: "A",
    CALENDARSERVER: "S",
    APPLE_ICAL: "I",
    PUSH: "P",
}
"""Declared once, at the root of an answer."""


def dav(name: str) -> str:
    """Give a name of WebDAV."""
    return f"{{DAV:}}{name}"


def caldav(name: str) -> str:
    """Give a name of CalDAV."""
    return f"{{{CALDAV}}}{name}"


def carddav(name: str) -> str:
    """Give a name of CardDAV."""
    return f"{{{CARDDAV}}}{name}"


def calendarserver(name: str) -> str:
    """Give a name of Apple's calendar server."""
    return f"{{{CALENDARSERVER}}}{name}"


def apple(name: str) -> str:
    """Give a name of Apple's clients."""
    return f"{{{APPLE_ICAL}}}{name}"


def push(name: str) -> str:
    """Give a name of WebDAV-Push."""
    return f"{{{PUSH}}}{name}"


def split(name: str) -> tuple[str, str]:
    """Give namespace and local name."""
    if not name.startswith("{"):
        return "", name
    namespace, _, local = name[1:].rpartition("}")
    return namespace, local
