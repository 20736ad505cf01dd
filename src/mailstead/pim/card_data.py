"""Contacts as a client wants them: whole, in part, or in the other version of vCard.

Spec: RFC 6352 §10.4; RFC 6350 and RFC 2426, what is different between them.
"""

from __future__ import annotations

import re
from typing import Final

from mailstead.pim.component import Component, Property, escaped, write
from mailstead.pim.filters import AddressData
from mailstead.pim.vcard import Card, full_name

_BINARY: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
_DATA_URL: Final = re.compile(r"data:([a-z]+)/([a-z0-9.+-]+);base64,(.*)", re.IGNORECASE | re.DOTALL)
_PREFIXES: Final = {"PHOTO": "image", "LOGO": "image", "SOUND": "audio", "KEY": "application"}
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(T.*)?")
_COMPACT_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(T.*)?")
_GEO_3: Final = re.compile(r"(-?[\d.]+);(-?[\d.]+)", re.ASCII)
_GEO_4: Final = re.compile(r"geo:(-?[\d.]+),(-?[\d.]+)", re.ASCII | re.IGNORECASE)
_ONLY_4: Final = {"KIND": "X-ADDRESSBOOKSERVER-KIND", "MEMBER": "X-ADDRESSBOOKSERVER-MEMBER"}
_ONLY_3: Final = {apple: name for name, apple in _ONLY_4.items()}
_OMITS_YEAR: Final = "X-APPLE-OMIT-YEAR"
"""Apple's way to leave a year out in 3.0: it names the year that says nothing."""
_NO_YEAR: Final = "1604"
_DAY: Final = re.compile(r"--(\d{2})-?(\d{2})", re.ASCII)
_DATES: Final = frozenset({"BDAY", "ANNIVERSARY", "X-ANNIVERSARY"})


def render(card: Card, octets: bytes, wanted: AddressData) -> bytes:
    """Give a contact in the form that is wanted; as it was put, where nothing special is."""
    is_other = bool(wanted.version) and wanted.version != card.version
    if wanted.props is None and not is_other:
        return octets
    component = card.component
    if is_other:
        component = in_version(card, wanted.version)
    if wanted.props is not None:
        component = _chosen(component, wanted)
    return write(component)


def in_version(card: Card, version: str) -> Component:
    """Give what a contact says in a version of vCard, ``3.0`` or ``4.0``; to be read, where it has that one."""
    if card.version == version:
        return card.component
    return _as_4(card.component) if version == "4.0" else _as_3(card.component)


def _chosen(component: Component, wanted: AddressData) -> Component:
    """Give the properties that are wanted, and always VERSION, which says how to read them. Spec: RFC 6352 §10.4.2."""
    named = {each.name: each.no_value for each in wanted.props or ()}
    named.setdefault("VERSION", False)
    kept = []
    for each in component.properties:
        full = f"{each.group}.{each.name}".upper() if each.group else each.name
        name = full if full in named else each.name
        if name in named:
            kept.append(Property(each.name, "", each.parameters, each.group) if named[name] else each)
    return Component(component.name, kept)


def _as_4(component: Component) -> Component:
    kept = []
    for each in component.properties:
        name, value = _ONLY_3.get(each.name, each.name), each.value
        parameters: list[tuple[str, tuple[str, ...]]] = []
        encoding = (each.parameter("ENCODING") or "").upper()
        if name == "VERSION":
            value = "4.0"
        elif name in _BINARY and encoding in {"B", "BASE64"}:
            subtype = (each.parameter("TYPE") or "octet-stream").lower()
            media_type = subtype if "/" in subtype else f"{_PREFIXES[name]}/{subtype}"
            value = f"data:{media_type};base64,{''.join(value.split())}"
        elif name in _DATES and (read := _DATE.fullmatch(value.strip())):
            year = "--" if each.parameter(_OMITS_YEAR) == read[1] else read[1]
            value = f"{year}{read[2]}{read[3]}{(read[4] or '').replace(':', '')}"
        elif name == "GEO" and (place := _GEO_3.fullmatch(value.strip())):
            value = f"geo:{place[1]},{place[2]}"
        for parameter, values in each.parameters:
            if parameter in {"ENCODING", "CHARSET", _OMITS_YEAR}:
                continue
            if name in _BINARY and parameter in {"TYPE", "VALUE"} and encoding:
                continue
            if name in _BINARY and parameter == "TYPE":
                parameters.append(("MEDIATYPE", (f"{_PREFIXES[name]}/{values[0].lower()}",)))
            elif parameter == "TYPE":
                lower = [one.lower() for all_of in values for one in all_of.split(",")]
                if "pref" in lower:
                    parameters.append(("PREF", ("1",)))
                left = tuple(one for one in lower if one not in {"pref", "internet"})
                if left:
                    parameters.append(("TYPE", left))
            else:
                parameters.append((parameter, values))
        kept.append(Property(name, value, tuple(parameters), each.group))
    if component.first("FN") is None:  # which 4.0 demands
        kept.append(Property("FN", escaped(full_name(component))))
    return Component(component.name, kept)


def _as_3(component: Component) -> Component:
    kept = []
    for each in component.properties:
        name, value = _ONLY_4.get(each.name, each.name), each.value
        parameters: list[tuple[str, tuple[str, ...]]] = []
        data = _DATA_URL.fullmatch(value) if name in _BINARY else None
        if name == "VERSION":
            value = "3.0"
        elif data is not None:
            value = data[3]
            parameters += [("ENCODING", ("b",)), ("TYPE", (data[2].upper(),))]
        elif name in _DATES and (read := _COMPACT_DATE.fullmatch(value.strip())):
            value = f"{read[1]}-{read[2]}-{read[3]}{read[4] or ''}"
        elif name in _DATES and (read := _DAY.fullmatch(value.strip())):
            value = f"{_NO_YEAR}-{read[1]}-{read[2]}"
            parameters.append((_OMITS_YEAR, (_NO_YEAR,)))
        elif name == "GEO" and (place := _GEO_4.match(value.strip())):
            value = f"{place[1]};{place[2]}"
        elif name == "TEL" and value.lower().startswith("tel:"):
            value = value[4:]
        for parameter, values in each.parameters:
            if parameter == "PREF":
                if values == ("1",):
                    parameters.append(("TYPE", ("PREF",)))
            elif parameter == "TYPE":
                parameters.append(("TYPE", tuple(one.upper() for all_of in values for one in all_of.split(","))))
            elif name == "TEL" and parameter == "VALUE":
                continue  # text is all that 3.0 knows
            elif name in _BINARY and parameter == "MEDIATYPE" and data is None:
                parameters += [("VALUE", ("uri",)), ("TYPE", (values[0].rpartition("/")[2].upper(),))]
            elif parameter not in {"ALTID", "PID", "MEDIATYPE", "SORT-AS"}:
                parameters.append((parameter, values))
        kept.append(Property(name, value, tuple(parameters), each.group))
    if component.first("N") is None:  # which 3.0 demands
        kept.append(Property("N", ";;;;"))
    return Component(component.name, kept)
