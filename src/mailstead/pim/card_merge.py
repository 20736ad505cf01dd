"""Several contacts made one: of what somebody has once one is kept, of what he may have often all is, without doubles.

The first of them stays: its UID, its version of vCard, its lines as they stand. What nobody here knows is kept of all.

Spec: RFC 6350 §6 (how often each property may stand), §3.3 (groups), §7.2 (PID); RFC 2426 §3.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from mailstead.pim.card_data import in_version
from mailstead.pim.card_differences import PARTS, folded, name_parts
from mailstead.pim.card_likeness import folded_email, folded_phone
from mailstead.pim.card_sheet import LABEL, OF_A_GROUP, forget_lonely_labels, plain
from mailstead.pim.component import Component, Property, escaped, split_unescaped, unescaped, write
from mailstead.pim.vcard import Card, card, full_name

_SILENT: Final = ("KIND", "CLASS", "MAILER", "X-ABSHOWAS")
"""Also once; of these nobody is asked: the first that is there stays."""
_OF_THE_FIRST: Final = frozenset({"VERSION", "UID", "REV", "PRODID", "CLIENTPIDMAP"})
"""True of one object alone."""
_LISTS: Final = ("CATEGORIES", "NICKNAME")
_UNITED: Final = frozenset({"EMAIL", "TEL", "ADR", "URL", "IMPP"})
_PART_OF: Final = {name: part for part, names in PARTS.items() for name in names} | {each: each for each in _SILENT}
_NOT_TAKEN_OVER: Final = frozenset({"VALUE", "ENCODING", "CHARSET", "ALTID", "PID", "PREF"})
"""Say how one value is written, or where it stands among its own."""


def merged(cards: Sequence[Card], choices: Mapping[str, int]) -> bytes:
    """Give one contact for several, of which the first stays; a choice is of a part, and the place of a contact.

    Where nothing is chosen, or one that says nothing, the first that says something is taken.
    Errors: BadObject, for what nobody could read again.
    """
    components = [cards[0].component.copy()]
    groups = {each.group.lower() for each in components[0].properties if each.group}
    for number, each in enumerate(cards[1:], 1):
        components.append(_fitting(in_version(each, cards[0].version), number, groups))
    sources = {part: _source(cards, part, choices.get(part)) for part in PARTS}
    sources |= {each: _first_with(components, (each,)) for each in _SILENT}
    union = _Union(components[0])
    for number, component in enumerate(components):
        labels = _labels(component)
        union.nest(component.components)
        for prop in component.properties:
            part = _PART_OF.get(prop.name)
            if part is not None:
                if sources[part] == number:
                    union.keep(prop)
            elif number == 0:
                union.keep(prop, labels)
            elif prop.name not in _OF_THE_FIRST:
                union.add(prop, labels)
    result = union.component()
    octets = write(result)
    card(octets)
    return octets


class _Union:
    """What several contacts say together; each property is looked up, not searched, however many they are."""

    def __init__(self, first: Component) -> None:
        self._properties: list[Property] = []
        self._found: dict[tuple[str, object], Property] = {}
        """By name and by what two are the same."""
        self._firsts: dict[str, Property] = {}
        """Of each name."""
        self._own_names = {each.name for each in first.properties}
        self._components: dict[bytes, Component] = {}
        self._there: dict[str, set[str]] = {name: set() for name in (*_LISTS, "NOTE")}
        self._further: dict[str, list[str]] = {name: [] for name in (*_LISTS, "NOTE")}
        """What comes to the first property of a name: texts of a list, notes."""

    def keep(self, prop: Property, labels: Mapping[str, str] | None = None) -> None:
        """Take a property as it is."""
        self._properties.append(prop)
        self._firsts.setdefault(prop.name, prop)
        self._found.setdefault((prop.name, _key(prop, labels or {})), prop)
        if prop.name in self._there:
            self._there[prop.name].update(_pieces(prop))

    def add(self, prop: Property, labels: Mapping[str, str]) -> None:
        """Take a property of another contact, unless it says nothing new."""
        if prop.name in self._there:
            self._add_text(prop, labels)
            return
        if prop.name in OF_A_GROUP:
            self.keep(prop)  # beside what may be new; else it goes in the end
            return
        double = self._found.get((prop.name, _key(prop, labels)))
        if prop.name not in _UNITED:
            if double is None:
                self.keep(prop, labels)
        elif prop.value.strip("; \t"):
            if double is not None:
                _take_over(double, prop)
            else:
                self.keep(_not_preferred(prop) if prop.name in self._own_names else prop, labels)

    def nest(self, components: Sequence[Component]) -> None:
        """Take what lies within a contact."""
        for each in components:
            self._components.setdefault(write(each), each)

    def component(self) -> Component:
        """Give all of it."""
        for name, further in self._further.items():
            if not further:
                continue
            prop = self._firsts[name]
            if name == "NOTE":
                value = escaped("\n".join(filter(None, (unescaped(plain(prop)).strip(), *further))))
            else:
                value = ",".join(escaped(each) for each in (*_texts(prop), *further))
            prop.value = value
            prop.parameters = tuple(each for each in prop.parameters if each[0] not in {"ENCODING", "CHARSET"})
        made = Component("VCARD", self._properties, list(self._components.values()))
        forget_lonely_labels(made)
        return made

    def _add_text(self, prop: Property, labels: Mapping[str, str]) -> None:
        """Add to a list the texts that it has not, a note if one of its lines is not there."""
        there, pieces = self._there[prop.name], _pieces(prop)
        if there.issuperset(pieces):
            return
        if prop.name not in self._firsts:
            self.keep(prop, labels)
            return
        if prop.name == "NOTE":
            self._further[prop.name].append(unescaped(plain(prop)).strip())
        else:
            for text in _texts(prop):
                if text.casefold() not in there:
                    there.add(text.casefold())
                    self._further[prop.name].append(text)
        there.update(pieces)


def _source(cards: Sequence[Card], part: str, chosen: int | None) -> int:
    there = [number for number, each in enumerate(cards) if _has(each.component, PARTS[part])]
    if chosen is not None and chosen in there:
        return chosen
    if part == "name":
        # One who says the same name, but also which word of it is the family's, says more.
        name = folded(full_name(cards[0].component))
        for number in there:
            if name_parts(cards[number]) and folded(full_name(cards[number].component)) == name:
                return number
    return there[0] if there else 0


def _first_with(components: Sequence[Component], names: Sequence[str]) -> int:
    return next((number for number, each in enumerate(components) if _has(each, names)), 0)


def _has(component: Component, names: Sequence[str]) -> bool:
    return any(each.name in names and each.value.strip("; \t") for each in component.properties)


def _fitting(component: Component, number: int, groups: set[str]) -> Component:
    """Give another contact's properties so that they can stand beside those of the first: groups, ALTID, PID."""
    made, names, free = component.copy(), dict[str, str](), (f"item{count}" for count in itertools.count(1))
    for prop in made.properties:
        if prop.group:
            key = prop.group.lower()
            if key not in names:
                names[key] = prop.group if key not in groups else next(each for each in free if each not in groups)
                groups.add(names[key].lower())
            prop.group = names[key]
        prop.parameters = tuple(
            (name, tuple(f"{value}m{number}" for value in values) if name == "ALTID" else values)
            for name, values in prop.parameters
            if name != "PID"
        )
    return made


def _labels(component: Component) -> dict[str, str]:
    """Give what Apple's programs call each group of properties."""
    return {each.group.lower(): each.value for each in component.all(LABEL) if each.group}


def _key(prop: Property, labels: Mapping[str, str]) -> object:
    """Give by what two properties of a name are the same."""
    text = unescaped(plain(prop)).strip()
    match prop.name:
        case "EMAIL":
            return folded_email(text)
        case "TEL":
            return folded_phone(text)
        case "ADR":
            parts = [" ".join(unescaped(each).split()).casefold() for each in split_unescaped(plain(prop), ";")]
            return tuple([*parts, *[""] * 7][: max(7, len(parts))])
        case "URL":
            return text.rstrip("/")
        case "IMPP":
            return text.casefold()
        case _:
            # What nobody here knows: value, parameters, and what Apple's programs call it.
            return prop.value, tuple(sorted(prop.parameters)), labels.get(prop.group.lower(), "") if prop.group else ""


def _pieces(prop: Property) -> set[str]:
    """Give by what it is told whether a list or a note says something new: its texts, its lines."""
    if prop.name == "NOTE":
        return {line for each in unescaped(plain(prop)).splitlines() if (line := each.strip())}
    return {each.casefold() for each in _texts(prop)}


def _take_over(double: Property, prop: Property) -> None:
    """Let a property that is there say what the same one of another contact says besides: what it is for."""
    known = {name for name, _ in double.parameters}
    further = tuple(each for each in _not_preferred(prop).parameters if each[0] not in known | _NOT_TAKEN_OVER)
    if prop.group and not double.group and "TYPE" not in known:
        double.group = prop.group  # with what Apple's programs call it
    double.parameters = (*double.parameters, *further)


def _not_preferred(prop: Property) -> Property:
    """Give a property without its preference: that of the contact that stays is the one."""
    made: list[tuple[str, tuple[str, ...]]] = []
    for name, values in prop.parameters:
        left = values
        if name == "TYPE":
            split = [one for each in values for one in each.split(",")]
            left = tuple(each for each in split if each.strip().lower() != "pref")
        if name != "PREF" and left:
            made.append((name, left))
    return Property(prop.name, prop.value, tuple(made), prop.group)


def _texts(prop: Property) -> list[str]:
    return [text for each in split_unescaped(plain(prop), ",") if (text := unescaped(each).strip())]
