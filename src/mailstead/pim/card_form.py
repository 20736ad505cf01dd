"""Contacts as forms: what programs say of somebody as a vCard, and what a vCard says to them.

A contact that is changed keeps all that the form does not speak of, and of what it speaks of the properties whose value
stays: what another client has written beside a number is not lost because a name was corrected.

Spec: RFC 2426 (3.0, which every client reads); RFC 6350; reference forwardemail 4.3, 4.10 (Contact).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, Property, escaped, split_unescaped, unescaped, write
from mailstead.pim.vcard import CONDITION, Card, card, full_name

TYPE_CHARACTERS_MAX: Final = 60
SILENT_TYPES: Final = frozenset({"internet", "pref", "voice"})
"""Say nothing of whose it is."""
_KIND: Final = "X-ADDRESSBOOKSERVER-KIND"
"""As Apple's clients write groups in 3.0. Spec: RFC 6350 §6.1.4 has KIND."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An e-mail address or a telephone number, and what it is for."""

    value: str
    label: str = ""
    """``home``, ``work``, ``cell`` …; empty: not said."""


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """Spec: RFC 6350 §6.3.1 (ADR)."""

    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class CardForm:
    """What is said of somebody; None: nothing."""

    full_name: str | None = None
    emails: Sequence[Labelled] | None = None
    phones: Sequence[Labelled] | None = None
    addresses: Sequence[PostalAddress] | None = None
    is_group: bool | None = None
    uid: str = ""
    """Of a new contact."""


@dataclass(frozen=True, slots=True)
class CardView:
    """What is told of somebody."""

    uid: str
    full_name: str
    emails: tuple[Labelled, ...]
    phones: tuple[Labelled, ...]
    addresses: tuple[PostalAddress, ...]
    is_group: bool


def composed(form: CardForm) -> bytes:
    """Give a new contact. Errors: BadObject, without a name or a UID, or with controls in them."""
    component = Component("VCARD", [Property("VERSION", "3.0"), Property("UID", escaped(form.uid))])
    if not (form.full_name or "").strip():
        raise BadObject("A contact has a name: full_name", condition=CONDITION)
    _fill(component, form, is_old_version=True)
    return _checked(component)


def changed(octets: bytes, form: CardForm) -> bytes:
    """Give a contact with what a form says of it. Errors: BadObject."""
    before = card(octets)
    component = before.component.copy()
    if form.full_name is not None and not form.full_name.strip():
        raise BadObject("A contact has a name: full_name", condition=CONDITION)
    _fill(component, form, is_old_version=before.version == "3.0")
    return _checked(component)


def view(octets: bytes) -> CardView:
    """Give what a contact tells. Errors: BadObject."""
    found: Card = card(octets)
    component = found.component
    return CardView(
        found.uid,
        full_name(component),
        _labelled(component.all("EMAIL")),
        _labelled(component.all("TEL")),
        tuple(postal_of(each) for each in component.all("ADR")),
        found.is_group,
    )


def _fill(component: Component, form: CardForm, *, is_old_version: bool) -> None:
    if form.full_name is not None:
        name = form.full_name.strip()
        if name != full_name(component) or component.first("N") is None:
            _replace(component, "N", [Property("N", _structured(name))])
        _replace(component, "FN", [Property("FN", escaped(name))])
    if form.emails is not None:
        _replace(component, "EMAIL", _properties(component, "EMAIL", form.emails))
    if form.phones is not None:
        _replace(component, "TEL", _properties(component, "TEL", form.phones))
    if form.addresses is not None:
        kept = {postal_of(each): each for each in component.all("ADR")}
        _replace(component, "ADR", [kept.get(each) or _of_postal(each) for each in form.addresses])
    if form.is_group is not None:
        for name in ("KIND", _KIND):
            _replace(component, name, [])
        if form.is_group:
            component.properties.append(Property(_KIND if is_old_version else "KIND", "group"))


def _replace(component: Component, name: str, properties: Sequence[Property]) -> None:
    """Put properties of a name where those were that are there, else at the end."""
    at = next((number for number, each in enumerate(component.properties) if each.name == name), None)
    rest = [each for each in component.properties if each.name != name]
    place = len(rest) if at is None else at
    component.properties[:] = [*rest[:place], *properties, *rest[place:]]


def _properties(component: Component, name: str, wanted: Sequence[Labelled]) -> list[Property]:
    kept = {label_of(each): each for each in component.all(name)}
    return [kept.get(each) or _of_label(name, each) for each in wanted]


def _of_label(name: str, entry: Labelled) -> Property:
    value = entry.value.strip()
    if not value:
        raise BadObject("An address or number is empty", condition=CONDITION)
    return Property(name, escaped(value), _types(entry.label))


def _of_postal(entry: PostalAddress) -> Property:
    parts = ("", "", entry.street, entry.city, entry.region, entry.postal_code, entry.country)
    return Property("ADR", ";".join(escaped(each.strip()) for each in parts), _types(entry.label))


def _types(label: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    label = label.strip()
    if not label:
        return ()
    if len(label) > TYPE_CHARACTERS_MAX:
        raise BadObject(f"A type has at most {TYPE_CHARACTERS_MAX} characters", condition=CONDITION)
    return (("TYPE", (label,)),)


def _labelled(properties: Iterable[Property]) -> tuple[Labelled, ...]:
    return tuple(each for each in map(label_of, properties) if each.value)


def label_of(prop: Property) -> Labelled:
    """Give an e-mail address or a telephone number, and what it is for."""
    value = unescaped(prop.value).strip()
    # RFC 6350 §6.4.1: in 4.0 a number may be a URI.
    if prop.name == "TEL" and value[:4].lower() == "tel:":
        value = value[4:]
    return Labelled(value, _type_of(prop))


def _type_of(prop: Property) -> str:
    types = [each for value in prop.parameter_values("TYPE") for each in value.split(",")]
    return next((each.strip().lower() for each in types if each.strip().lower() not in SILENT_TYPES), "")


def postal_of(prop: Property) -> PostalAddress:
    """Give what ADR says; what stands before the street is told with it. Spec: RFC 6350 §6.3.1."""
    parts = [unescaped(each).strip() for each in split_unescaped(prop.value, ";")]
    parts += [""] * (7 - len(parts))
    street = " ".join(filter(None, (parts[0], parts[1], parts[2])))
    return PostalAddress(street, parts[3], parts[4], parts[5], parts[6], _type_of(prop))


def _structured(name: str) -> str:
    """Give N for a name as people write it: the last word is the family's, as far as anybody can tell."""
    given, _, family = name.rpartition(" ")
    if not given:
        given, family = family, ""
    return f"{escaped(family)};{escaped(given)};;;"


def _checked(component: Component) -> bytes:
    """Give the text, read once more: what nobody could read is not kept."""
    octets = write(component)
    card(octets)
    return octets
