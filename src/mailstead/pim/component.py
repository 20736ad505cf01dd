"""Content lines and components: what iCalendar and vCard have in common.

Values stay as they stand in the text (escaped); `pim.values` reads them. What is parsed and written again has the same
properties in the same order; only folding is made anew. What clients get back is what they sent, not what we write.

Spec: RFC 5545 §3.1, §3.4; RFC 6350 §3.2, §3.3; RFC 6868 (values of parameters).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mailstead.model.errors import BadObject

LINES_MAX: Final = 200_000
DEPTH_MAX: Final = 8
"""VCALENDAR, VEVENT, VALARM, and what vendors nest."""
FOLD_OCTETS: Final = 75

Parameters = tuple[tuple[str, tuple[str, ...]], ...]
"""Upper-case names with their values, decoded (RFC 6868), without quotes."""

# contentline = [group "."] name *(";" param ) ":" value
# param       = param-name "=" param-value *("," param-value); vCard 2.1 and 3.0 also know a bare value
# param-value = paramtext / DQUOTE *QSAFE-CHAR DQUOTE
_LINE: Final = re.compile(
    r"(?:(?P<group>[A-Za-z0-9-]+)\.)?(?P<name>[A-Za-z0-9-]+)"
    r'(?P<parameters>(?:;[^";:]*(?:"[^"]*"[^";:]*)*)*):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER: Final = re.compile(r';([^=";:,]*)(=?)((?:[^";]*(?:"[^"]*")?)*)')
_VALUE: Final = re.compile(r'"([^"]*)"|([^,]+)')
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_FOLD: Final = re.compile(rb"\r?\n[ \t]")
_CARET: Final = re.compile(r"\^(['n^])")
_CARET_TEXTS: Final = {"'": '"', "n": "\n", "^": "^"}


@dataclass(slots=True)
class Property:
    """One content line."""

    name: str
    """Upper case."""
    value: str
    """As it stands in the text, unfolded, still escaped."""
    parameters: Parameters = ()
    group: str = ""
    """Of vCard; as written."""

    def parameter(self, name: str) -> str | None:
        """Give the first value of a parameter."""
        return next((values[0] for known, values in self.parameters if known == name and values), None)

    def parameter_values(self, name: str) -> list[str]:
        """Give all values of a parameter, which may stand there several times."""
        return [value for known, values in self.parameters if known == name for value in values]

    def with_parameter(self, name: str, value: str | None) -> Property:
        """Give the same with another value of a parameter; None: without it."""
        kept = tuple(each for each in self.parameters if each[0] != name)
        added = () if value is None else ((name, (value,)),)
        return Property(self.name, self.value, (*kept, *added), self.group)


@dataclass(slots=True)
class Component:
    """``BEGIN:name`` … ``END:name``."""

    name: str
    """Upper case."""
    properties: list[Property] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)

    def first(self, name: str) -> Property | None:
        """Give the first property of a name."""
        return next((each for each in self.properties if each.name == name), None)

    def all(self, name: str) -> Iterator[Property]:
        """Yield all properties of a name."""
        return (each for each in self.properties if each.name == name)

    def value(self, name: str) -> str:
        """Give the raw value of the first property of a name; empty: there is none."""
        found = self.first(name)
        return found.value if found is not None else ""

    def children(self, name: str) -> Iterator[Component]:
        """Yield all components of a name that lie directly in this one."""
        return (each for each in self.components if each.name == name)

    def copy(self) -> Component:
        """Give another one whose lists can be changed without changing these."""
        properties = [Property(each.name, each.value, each.parameters, each.group) for each in self.properties]
        return Component(self.name, properties, [each.copy() for each in self.components])


def parse(octets: bytes, condition: str = "valid-calendar-data") -> list[Component]:
    """Give all outermost components of a text, in order.

    Spec: RFC 5545 §3.1: lines end with CRLF, a bare LF is taken as well. Names are folded to upper case.
    Errors: BadObject with `condition` and a text that names the line: not UTF-8, control characters (attack row 85), no
    content line, BEGIN and END that do not fit, nothing at all.
    """
    found: list[Component] = []
    open_components: list[Component] = []
    for number, line in enumerate(_lines(octets, condition), 1):
        if not line:
            continue
        read = _LINE.fullmatch(line)
        if read is None:
            raise BadObject(f"Line {number} is no content line", condition=condition)
        name = read["name"].upper()
        if name == "BEGIN":
            if len(open_components) >= DEPTH_MAX:
                raise BadObject(f"Line {number}: components are nested too deeply", condition=condition)
            component = Component(read["value"].strip().upper())
            (open_components[-1].components if open_components else found).append(component)
            open_components.append(component)
        elif name == "END":
            if not open_components or open_components.pop().name != read["value"].strip().upper():
                raise BadObject(f"Line {number}: END without its BEGIN", condition=condition)
        elif not open_components:
            raise BadObject(f"Line {number} stands outside of any component", condition=condition)
        else:
            parameters = read["parameters"]
            open_components[-1].properties.append(
                Property(name, read["value"], _parameters(parameters) if parameters else (), read["group"] or "")
            )
    if open_components:
        raise BadObject(f"END:{open_components[-1].name} is missing", condition=condition)
    if not found:
        raise BadObject("There is nothing in it", condition=condition)
    return found


def write(component: Component) -> bytes:
    """Give the text of a component, folded, with CRLF. Spec: RFC 5545 §3.1."""
    lines: list[bytes] = []
    _write(component, lines)
    lines.append(b"")
    return b"\r\n".join(lines)


def escaped(text: str) -> str:
    """Give a text as a value of type TEXT. Spec: RFC 5545 §3.3.11; RFC 6350 §3.4."""
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return _LINE_END.sub(r"\\n", text)


_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def unescaped(value: str) -> str:
    """Give the text that a value of type TEXT stands for. Spec: RFC 5545 §3.3.11."""
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def split_unescaped(value: str, separator: str) -> list[str]:
    r"""Give the parts of a value between separators that are not escaped; the parts stay escaped."""
    if "\\" not in value:
        return value.split(separator)
    parts, start, position = [], 0, 0
    while position < len(value):
        if value[position] == "\\":
            position += 1
        elif value[position] == separator:
            parts.append(value[start:position])
            start = position + 1
        position += 1
    return [*parts, value[start:]]


def _lines(octets: bytes, condition: str) -> list[str]:
    # Unfolded before decoding: a fold may stand within a character.
    unfolded = _FOLD.sub(b"", octets.removeprefix(b"\xef\xbb\xbf"))
    try:
        text = unfolded.decode("utf-8")
    except UnicodeDecodeError:
        raise BadObject("The object is not in UTF-8", condition=condition) from None
    text = text.replace("\r\n", "\n")
    bad = _CONTROL.search(text)
    if bad is not None:
        number = text.count("\n", 0, bad.start()) + 1
        raise BadObject(f"Line {number} has a control character", condition=condition)
    if text.count("\n") > LINES_MAX:
        raise BadObject(f"The object has more than {LINES_MAX} lines", condition=condition)
    return text.split("\n")


def _parameters(text: str) -> Parameters:
    found: list[tuple[str, tuple[str, ...]]] = []
    for name, equals, values in _PARAMETER.findall(text):
        if equals:
            parts = tuple(_decoded(quoted or plain) for quoted, plain in _VALUE.findall(values))
            found.append((name.upper(), parts or ("",)))
        elif name:
            found.append(("TYPE", (name,)))  # vCard 2.1: TEL;HOME
    return tuple(found)


def _decoded(value: str) -> str:
    return _CARET.sub(lambda found: _CARET_TEXTS[found[1]], value) if "^" in value else value


def _encoded(value: str) -> str:
    """Spec: RFC 6868 §3.1."""
    encoded = _LINE_END.sub("^n", value.replace("^", "^^")).replace('"', "^'")
    return f'"{encoded}"' if any(character in encoded for character in ",;:") else encoded


def _written(values: tuple[str, ...]) -> str:
    # An empty value among others would be lost without quotes.
    nothing = '""' if len(values) > 1 else ""
    return ",".join(_encoded(each) or nothing for each in values)


def _write(component: Component, lines: list[bytes]) -> None:
    lines.append(b"BEGIN:" + component.name.encode())
    for each in component.properties:
        text = f"{each.group}.{each.name}" if each.group else each.name
        for name, values in each.parameters:
            text += f";{name}={_written(values)}"
        # A line end in a value would begin a line of its own (attack row 85).
        value = _LINE_END.sub(r"\\n", each.value)
        _fold(_CONTROL.sub("", f"{text}:{value}").encode(), lines)
    for child in component.components:
        _write(child, lines)
    lines.append(b"END:" + component.name.encode())


def _fold(line: bytes, lines: list[bytes]) -> None:
    start, room = 0, FOLD_OCTETS
    while len(line) - start > room:
        stop = start + room
        while line[stop] & 0xC0 == 0x80:  # not within a character
            stop -= 1
        lines.append((b" " if start else b"") + line[start:stop])
        start, room = stop, FOLD_OCTETS - 1
    lines.append((b" " if start else b"") + line[start:])
