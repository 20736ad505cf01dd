"""XML of requests: read with limits, and never anything that is not in the body itself.

A document type, and with it every entity of its own, is refused (attack row 78): nothing unfolds, nothing is fetched.

Spec: RFC 4918 §17, §20.6; XML 1.0; Namespaces in XML 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from mailstead.proto.dav.names import split

DEPTH_MAX: Final = 32
ELEMENTS_MAX: Final = 300_000
"""A multiget of 100,000 hrefs fits."""
ATTRIBUTES_MAX: Final = 100
"""Of one element."""
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
LANGUAGE: Final = f"{{{XML_NAMESPACE}}}lang"
_SEPARATOR: Final = "\n"
"""Between namespace and name; neither can have it."""
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Spec: XML 1.0 §2.2 (Char)."""


class BadRequest(Exception):
    """A request cannot be understood; the text says why."""

    def __init__(self, text: str, status: int = 400, condition: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.condition = condition
        """Name of the precondition, in Clark's notation; empty: there is none."""


@dataclass(slots=True)
class Element:
    """An element with what is in it."""

    name: str
    """Clark's notation."""
    attributes: dict[str, str] = field(default_factory=dict)
    """By Clark names."""
    children: list[Element] = field(default_factory=list)
    text: str = ""
    """All text directly in it, joined."""
    tail: str = ""
    """What stands behind it, in its parent."""
    head: str = ""
    """What stands before its first child."""

    def child(self, name: str) -> Element | None:
        """Give the first child of a name."""
        return next((each for each in self.children if each.name == name), None)

    def all(self, name: str) -> Iterator[Element]:
        """Yield the children of a name."""
        return (each for each in self.children if each.name == name)

    def child_text(self, name: str) -> str:
        """Give the text of the first child of a name, without spaces around it; empty: there is none."""
        found = self.child(name)
        return found.text.strip() if found is not None else ""


def parse(octets: bytes) -> Element:
    """Read a body. Errors: BadRequest."""
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    parser.ProcessingInstructionHandler = builder.refuse_instruction
    try:
        parser.Parse(octets, True)
    except expat.ExpatError as error:
        raise BadRequest(f"The body is not well-formed XML: {expat.ErrorString(error.code)}") from None
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        raise BadRequest(f"The body cannot be read: {error}") from None
    assert builder.root is not None  # a body without an element is not well-formed
    return builder.root


def written(element: Element, language: str = "") -> str:
    """Give an element as XML that stands by itself, with every namespace it needs. Spec: RFC 4918 §4.3."""
    prefixes: dict[str, str] = {}
    _gather(element, prefixes)
    declared = "".join(f' xmlns:{prefix}="{escaped_attribute(namespace)}"' for namespace, prefix in prefixes.items())
    if language and LANGUAGE not in element.attributes:
        declared += f' xml:lang="{escaped_attribute(language)}"'
    pieces: list[str] = []
    _write(element, prefixes, declared, pieces)
    return "".join(pieces)


def escaped(text: str) -> str:
    """Give a text for XML. CR would become LF on the other side, if it stood there as it is.

    What cannot stand in XML at all becomes U+FFFD: one such character in an object would make the whole answer
    unreadable, for all objects in it.
    """
    if _NOT_IN_XML.search(text):
        text = _NOT_IN_XML.sub("\ufffd", text)
    if "&" in text:
        text = text.replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escaped_attribute(value: str) -> str:
    """Give a text for a value between double quotes."""
    return escaped(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


class _Builder:
    """Builds the tree as the parser goes.

    Text is gathered in pieces and joined once: text that grows with each of many children would take time by the square
    of its length (attack row 78).
    """

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._pieces: list[str] = []
        """Text since the last tag."""
        self._count = 0

    def start(self, name: str, attributes: list[str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_MAX:
            raise BadRequest("The body has too many elements", 413)
        if len(self._open) >= DEPTH_MAX:
            raise BadRequest("The body is nested too deeply")
        if len(attributes) > 2 * ATTRIBUTES_MAX:
            raise BadRequest("An element has too many attributes")
        element = Element(_clark(name))
        for at in range(0, len(attributes), 2):
            element.attributes[_clark(attributes[at])] = attributes[at + 1]
        if self._open:
            self._place_text()
            self._open[-1].children.append(element)
        elif self.root is None:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._place_text()
        element = self._open.pop()
        tails = [each.tail for each in element.children]
        element.text = "".join((element.head, *tails)) if tails else element.head

    def characters(self, text: str) -> None:
        self._pieces.append(text)

    def _place_text(self) -> None:
        """Put what was gathered before the next tag where it stood."""
        if not self._pieces:
            return
        text, parent = "".join(self._pieces), self._open[-1]
        self._pieces.clear()
        if parent.children:
            parent.children[-1].tail = text
        else:
            parent.head = text

    def refuse_doctype(self, *_: object) -> None:
        raise BadRequest("A body with a document type is not read")

    def refuse_instruction(self, *_: object) -> None:
        raise BadRequest("A body with processing instructions is not read")


def _clark(name: str) -> str:
    namespace, separator, local = name.rpartition(_SEPARATOR)
    return f"{{{namespace}}}{local}" if separator else local


def _gather(element: Element, prefixes: dict[str, str]) -> None:
    for name in (element.name, *element.attributes):
        namespace = split(name)[0]
        if namespace and namespace != XML_NAMESPACE and namespace not in prefixes:
            prefixes[namespace] = f"x{len(prefixes)}"
    for child in element.children:
        _gather(child, prefixes)


def _write(element: Element, prefixes: dict[str, str], declared: str, pieces: list[str]) -> None:
    name = _prefixed(element.name, prefixes)
    attributes = "".join(
        f' {_prefixed(each, prefixes)}="{escaped_attribute(value)}"' for each, value in element.attributes.items()
    )
    if not element.children and not element.text:
        pieces.append(f"<{name}{declared}{attributes}/>")
        return
    pieces.append(f"<{name}{declared}{attributes}>{escaped(element.head if element.children else element.text)}")
    for child in element.children:
        _write(child, prefixes, "", pieces)
        pieces.append(escaped(child.tail))
    pieces.append(f"</{name}>")


def _prefixed(name: str, prefixes: dict[str, str]) -> str:
    namespace, local = split(name)
    if namespace == XML_NAMESPACE:
        return f"xml:{local}"
    return f"{prefixes[namespace]}:{local}" if namespace else local
