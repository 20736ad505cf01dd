"""Answers: multistatus in pieces, errors with their conditions, values of properties.

What is said of thousands of resources is put together as text, piece by piece, without a tree; each value is escaped
exactly once (reference 8.8, #573).

Spec: RFC 4918 §13, §14, §16; RFC 6578 §6.4; RFC 6638 §10.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from mailstead.proto.dav.names import PREFIXES, split
from mailstead.proto.dav.xml import XML_NAMESPACE, escaped, escaped_attribute

_DECLARED: Final = "".join(f' xmlns:{prefix}="{namespace}"' for namespace, prefix in PREFIXES.items())
_START: Final = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus{_DECLARED}>'
_END: Final = "</D:multistatus>"
CONTENT_TYPE: Final = "application/xml; charset=utf-8"

Values = Mapping[str, str]
"""Properties: Clark name to the whole element, as the functions below write it."""


def start() -> str:
    """Begin a multistatus."""
    return _START


def end(sync_token: str = "", description: str = "") -> str:
    """End a multistatus. Spec: RFC 6578 §6.4."""
    told = f"<D:responsedescription>{escaped(description)}</D:responsedescription>" if description else ""
    return (f"<D:sync-token>{escaped(sync_token)}</D:sync-token>" if sync_token else "") + told + _END


def response(href: str, found: Values, missing: Mapping[int, Iterable[str]] | None = None) -> str:
    """Give the properties of one resource; `missing` has names of others by status.

    Spec: RFC 4918 §14.24. At least one propstat stands in each response.
    """
    pieces = ["<D:response><D:href>", escaped(href), "</D:href>"]
    others = {status: list(names) for status, names in (missing or {}).items()}
    if found or not any(others.values()):
        pieces += [
            "<D:propstat><D:prop>",
            *found.values(),
            "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>",
        ]
    for status, names in others.items():
        if names:
            empty = "".join(element(name) for name in names)
            pieces += ["<D:propstat><D:prop>", empty, f"</D:prop>{status_line(status)}</D:propstat>"]
    pieces.append("</D:response>")
    return "".join(pieces)


def bare_response(href: str, status: int, condition: str = "", description: str = "") -> str:
    """Give the status of one resource. Spec: RFC 4918 §14.24."""
    told = f"<D:error>{element(condition)}</D:error>" if condition else ""
    text = f"<D:responsedescription>{escaped(description)}</D:responsedescription>" if description else ""
    return f"<D:response><D:href>{escaped(href)}</D:href>{status_line(status)}{told}{text}</D:response>"


def propstat_response(href: str, parts: Iterable[tuple[int, Iterable[str], str]]) -> str:
    """Give what became of properties: status, names, condition of each group. Spec: RFC 4918 §9.2.1."""
    pieces = [f"<D:response><D:href>{escaped(href)}</D:href>"]
    for status, names, condition in parts:
        empty = "".join(element(name) for name in names)
        told = f"<D:error>{element(condition)}</D:error>" if condition else ""
        pieces.append(f"<D:propstat><D:prop>{empty}</D:prop>{status_line(status)}{told}</D:propstat>")
    pieces.append("</D:response>")
    return "".join(pieces)


def status_line(status: int) -> str:
    """Spec: RFC 4918 §14.28."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"<D:status>HTTP/1.1 {status} {phrase}</D:status>"


def error(condition: str, content: str = "", description: str = "") -> str:
    """Give a body that names a precondition. Spec: RFC 4918 §14.5, §16."""
    told = f"<D:responsedescription>{escaped(description)}</D:responsedescription>" if description else ""
    inner = element(condition, content) if condition else ""
    return f'<?xml version="1.0" encoding="utf-8"?>\n<D:error{_DECLARED}>{inner}{told}</D:error>'


def document(name: str, content: str) -> str:
    """Give a whole document with another root."""
    tag = _tag(name)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{tag}{_DECLARED}>{content}</{tag}>'


# values


def element(name: str, content: str = "", attributes: str = "") -> str:
    """Give an element around what is XML already; `attributes` begin with a space."""
    namespace, local = split(name)
    prefix = "xml" if namespace == XML_NAMESPACE else PREFIXES.get(namespace)
    if prefix is None:
        declared = f' xmlns="{escaped_attribute(namespace)}"'
        opened = f"{local}{declared}{attributes}"
        return f"<{opened}>{content}</{local}>" if content else f"<{opened}/>"
    return (
        f"<{prefix}:{local}{attributes}>{content}</{prefix}:{local}>" if content else f"<{prefix}:{local}{attributes}/>"
    )


def text(name: str, value: str, language: str = "") -> str:
    """Give an element with a text in it."""
    return element(name, escaped(value), f' xml:lang="{escaped_attribute(language)}"' if language else "")


def hrefs(name: str, values: Iterable[str]) -> str:
    """Give an element with hrefs in it."""
    return element(name, "".join(href(each) for each in values))


def href(value: str) -> str:
    """Spec: RFC 4918 §14.7."""
    return f"<D:href>{escaped(value)}</D:href>"


def _tag(name: str) -> str:
    namespace, local = split(name)
    return f"{PREFIXES[namespace]}:{local}"
