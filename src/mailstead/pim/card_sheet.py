"""Contacts as people fill them in: what a page shows of somebody, and what a vCard becomes when it is changed there.

What the sheet does not speak of stays, and so does each property whose value stays, with its parameters and its group:
what another client has written beside a number is not lost because a name was corrected.

Spec: RFC 6350 §6; RFC 2426 §3.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp, b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date
from typing import Final, TypeVar

from mailstead.model.errors import BadObject
from mailstead.pim.card_form import SILENT_TYPES, TYPE_CHARACTERS_MAX, Labelled, PostalAddress, label_of, postal_of
from mailstead.pim.component import Component, Property, escaped, split_unescaped, unescaped, write
from mailstead.pim.vcard import CONDITION, Card, card, full_name

LABEL: Final = "X-ABLABEL"
OF_A_GROUP: Final = frozenset({LABEL, "X-ABADR"})
"""Apple's, beside a property of the same group; alone they say nothing."""
_APPLES: Final = re.compile(r"_\$!<(.*)>!\$_", re.DOTALL)
_OMITS_YEAR: Final = "X-APPLE-OMIT-YEAR"
_NO_YEAR: Final = "1604"
"""How 3.0 writes a day without its year, with `_OMITS_YEAR`; it is a leap year."""
# date of RFC 6350 §4.3.1, and the extended format of RFC 2426 §3.1.5; what comes behind is a time
_DAY: Final = re.compile(r"(\d{4}|-)-?(\d{2})-?(\d{2})(?:T.*)?", re.ASCII | re.DOTALL)
_SHEET_DAY: Final = re.compile(r"(\d{4}|-)-(\d{2})-(\d{2})", re.ASCII)

EntryT = TypeVar("EntryT", Labelled, PostalAddress)


@dataclass(frozen=True, slots=True)
class PersonName:
    """The parts of a name, in the order of N. Spec: RFC 6350 §6.2.2."""

    family: str = ""
    given: str = ""
    additional: str = ""
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class CardSheet:
    """What is said of somebody.

    Of the lists each entry stands for the property at its place; an empty one takes it away, further ones are new.
    """

    full_name: str = ""
    name: PersonName = PersonName()
    nickname: str = ""
    organisation: str = ""
    department: str = ""
    title: str = ""
    emails: Sequence[Labelled] = ()
    phones: Sequence[Labelled] = ()
    addresses: Sequence[PostalAddress] = ()
    urls: Sequence[Labelled] = ()
    birthday: str = ""
    """``YYYY-MM-DD``, ``--MM-DD`` without its year; any other text as it stands in the vCard."""
    note: str = ""
    groups: Sequence[str] = ()
    """CATEGORIES. Spec: RFC 6350 §6.7.1."""


def sheet(found: Card) -> CardSheet:
    """Give what a contact says."""
    return _read(found.component)


def composed(uid: str, wanted: CardSheet) -> bytes:
    """Give a new contact. Errors: BadObject, without a name or UID, or for what nobody could read again."""
    return _filled(Component("VCARD", [Property("VERSION", "3.0"), Property("UID", escaped(uid))]), wanted)


def changed(octets: bytes, wanted: CardSheet) -> bytes:
    """Give a contact that says what is wanted. Errors: BadObject, as `composed`."""
    return _filled(card(octets).component.copy(), wanted)


def named(wanted: CardSheet, before: CardSheet) -> CardSheet:
    """Give a sheet whose name and its parts fit each other, whichever of them was filled in or changed.

    Who says no name is called as the organisation, the nickname, or the first address; nothing of these: no name.
    """
    name = " ".join(wanted.full_name.split())
    parts = wanted.name
    if not name:
        ordered = (parts.prefix, parts.given, parts.additional, parts.family, parts.suffix)
        name = " ".join(each.strip() for each in ordered if each.strip())
        addresses = (each.value.strip() for each in wanted.emails)
        name = name or wanted.organisation.strip() or wanted.nickname.strip() or next(filter(None, addresses), "")
    elif parts == before.name and name != before.full_name:
        # The last word is the family's, as far as anybody can tell.
        given, _, family = name.rpartition(" ")
        parts = PersonName(family, given) if given else PersonName(given=family)
    elif parts != before.name and name == before.full_name:
        ordered = (parts.prefix, parts.given, parts.additional, parts.family, parts.suffix)
        name = " ".join(each.strip() for each in ordered if each.strip()) or name
    return replace(wanted, full_name=name, name=parts)


def day_of(birthday: str) -> tuple[int | None, int, int] | None:
    """Give year (None: not said), month and day of a birthday of a sheet; None: it is another text."""
    read = _SHEET_DAY.fullmatch(birthday)
    return None if read is None else (None if read[1] == "-" else int(read[1]), int(read[2]), int(read[3]))


def photo(found: Card) -> bytes | None:
    """Give the picture that is in a contact; None: there is none, or it lies elsewhere. Spec: RFC 6350 §6.2.4."""
    prop = found.component.first("PHOTO")
    if prop is None:
        return None
    if (prop.parameter("ENCODING") or "").upper() in {"B", "BASE64"}:
        return _decoded(prop.value)
    kind, _, data = unescaped(prop.value).partition(",")
    return _decoded(data) if re.fullmatch(r"(?i)data:[^,]*;base64", kind) else None


def with_photo(octets: bytes, image: bytes | None, media_type: str = "image/jpeg") -> bytes:
    """Give a contact with a picture in place of the one that it has; None: without. Errors: BadObject."""
    component = card(octets).component.copy()
    made = []
    if image is not None:
        data = b2a_base64(image, newline=False).decode("ascii")
        if component.value("VERSION").strip() == "3.0":
            subtype = media_type.removeprefix("image/").upper()
            made = [Property("PHOTO", data, (("ENCODING", ("b",)), ("TYPE", (subtype,))))]
        else:
            made = [Property("PHOTO", f"data:{media_type};base64,{data}")]
    _replace(component, "PHOTO", made)
    return _checked(component)


def members(found: Card) -> tuple[str, ...]:
    """Give the UIDs of whom a group stands for. Spec: RFC 6350 §6.6.5; Apple's own property says it in 3.0."""
    props = [*found.component.all("MEMBER"), *found.component.all("X-ADDRESSBOOKSERVER-MEMBER")]
    return tuple(re.sub(r"(?i)^urn:uuid:", "", each.value.strip()) for each in props)


# reading


def _read(component: Component) -> CardSheet:
    parts = [_list_text(each) for each in split_unescaped(component.value("N"), ";")]
    organisation = [unescaped(each).strip() for each in split_unescaped(component.value("ORG"), ";")]
    labels = _labels(component)
    return CardSheet(
        full_name(component),
        PersonName(*([*parts, "", "", "", "", ""])[:5]),
        _list_text(component.value("NICKNAME")),
        organisation[0],
        organisation[1] if len(organisation) > 1 else "",
        _text(component, "TITLE"),
        [_entry(each, labels) for each in _said(component, "EMAIL")],
        [_entry(each, labels) for each in _said(component, "TEL")],
        [_postal(each, labels) for each in _said(component, "ADR")],
        [_entry(each, labels) for each in _said(component, "URL")],
        _birthday(component.first("BDAY")),
        _text(component, "NOTE"),
        list(dict.fromkeys(text for each in component.all("CATEGORIES") for text in _list(each.value))),
    )


def _text(component: Component, name: str) -> str:
    prop = component.first(name)
    return "" if prop is None else unescaped(plain(prop)).strip()


def plain(prop: Property) -> str:
    """Give a value, which quirk_quoted_printable may have written."""
    if (prop.parameter("ENCODING") or "").upper() == "QUOTED-PRINTABLE":
        return a2b_qp(prop.value.encode()).decode(errors="replace")
    return prop.value


def _list(value: str) -> list[str]:
    return [text for each in split_unescaped(value, ",") if (text := unescaped(each).strip())]


def _list_text(value: str) -> str:
    return ", ".join(_list(value))


def _said(component: Component, name: str) -> list[Property]:
    """Give the properties of a name that say something: to these the entries of a sheet belong."""
    return [each for each in component.all(name) if each.value.strip("; \t")]


def _labels(component: Component) -> dict[str, str]:
    """Give what Apple's clients call each group of properties."""
    return {
        each.group.lower(): _APPLES.sub(r"\1", unescaped(each.value)).strip()
        for each in component.all(LABEL)
        if each.group
    }


def _entry(prop: Property, labels: dict[str, str]) -> Labelled:
    found = label_of(prop)
    return found if found.label else replace(found, label=labels.get(prop.group.lower(), ""))


def _postal(prop: Property, labels: dict[str, str]) -> PostalAddress:
    found = postal_of(prop)
    return found if found.label else replace(found, label=labels.get(prop.group.lower(), ""))


def _birthday(prop: Property | None) -> str:
    if prop is None:
        return ""
    read = _DAY.fullmatch(prop.value.strip())
    if read is None:
        return unescaped(prop.value).strip()
    year = "-" if prop.parameter(_OMITS_YEAR) == read[1] else read[1]
    return f"{year}-{read[2]}-{read[3]}"


def _decoded(text: str) -> bytes | None:
    try:
        return a2b_base64("".join(text.split())) or None
    except (Error, ValueError):
        return None


# writing


def _filled(component: Component, wanted: CardSheet) -> bytes:
    before, is_old = _read(component), component.value("VERSION").strip() == "3.0"
    if not wanted.full_name.strip():
        raise BadObject("A contact has a name", condition=CONDITION)
    for name, was, said in (
        ("FN", before.full_name, wanted.full_name),
        ("NICKNAME", before.nickname, wanted.nickname),
        ("TITLE", before.title, wanted.title),
        ("NOTE", before.note, wanted.note),
    ):
        if was != said.strip() or (name == "FN" and component.first(name) is None):
            _set(component, name, _list_value(said.split(",")) if name == "NICKNAME" else escaped(said.strip()))
    if before.name != wanted.name or (is_old and component.first("N") is None):  # which 3.0 demands
        _set(component, "N", ";".join(escaped(each.strip()) for each in astuple(wanted.name)), is_kept=True)
    if (before.organisation, before.department) != (wanted.organisation.strip(), wanted.department.strip()):
        further = split_unescaped(component.value("ORG"), ";")[2:]
        parts = [escaped(wanted.organisation.strip()), escaped(wanted.department.strip()), *further]
        _set(component, "ORG", ";".join(parts).rstrip(";"))
    if before.birthday != wanted.birthday:
        _replace(component, "BDAY", [_day(wanted.birthday, is_old=is_old)] if wanted.birthday else [])
    if list(before.groups) != list(wanted.groups):
        value = _list_value(wanted.groups)
        _replace(component, "CATEGORIES", [Property("CATEGORIES", value)] if value else [])
    _set_list(component, "EMAIL", before.emails, wanted.emails, _of_entry)
    _set_list(component, "TEL", before.phones, wanted.phones, _of_entry)
    _set_list(component, "URL", before.urls, wanted.urls, _of_entry)
    _set_list(component, "ADR", before.addresses, wanted.addresses, _of_postal)
    forget_lonely_labels(component)
    return _checked(component)


def _replace(component: Component, name: str, properties: Sequence[Property]) -> None:
    """Put properties of a name where those were that are there, else at the end."""
    there = component.properties
    at = next((number for number, each in enumerate(there) if each.name == name), len(there))
    component.properties[:] = [
        *(each for each in there[:at]),
        *properties,
        *(each for each in there[at:] if each.name != name),
    ]


def _set(component: Component, name: str, value: str, *, is_kept: bool = False) -> None:
    """Give the first property of a name another value; an empty one takes it away, unless it is kept."""
    there = list(component.all(name))
    kept = there[1:]
    if value or is_kept:
        language = () if not there else tuple(each for each in there[0].parameters if each[0] in {"LANGUAGE", "PREF"})
        kept = [Property(name, value, language, there[0].group if there else ""), *kept]
    _replace(component, name, kept)


def _set_list(
    component: Component,
    name: str,
    before: Sequence[EntryT],
    wanted: Sequence[EntryT],
    made: Callable[[str, Property | None, EntryT, EntryT | None], Property | None],
) -> None:
    if list(before) == list(wanted):
        return
    there = _said(component, name)
    found: list[Property] = []
    for number, entry in enumerate(wanted):
        was = before[number] if number < len(before) else None
        if was == entry:
            found.append(there[number])
            continue
        prop = made(name, there[number] if was is not None else None, entry, was)
        if prop is not None:
            found.append(prop)
        if was is not None and was.label != entry.label and there[number].group:
            _forget_label(component, there[number].group)
    _replace(component, name, found)


def _of_entry(name: str, prop: Property | None, entry: Labelled, was: Labelled | None) -> Property | None:
    value = entry.value.strip()
    if not value:
        return None
    if prop is None or was is None:
        return Property(name, _written(name, value), _types((), entry.label))
    parameters = [each for each in prop.parameters if each[0] not in {"VALUE", "ENCODING", "CHARSET"}]
    if was.value == entry.value:
        return Property(name, prop.value, _types(prop.parameters, entry.label), prop.group)
    if was.label != entry.label:
        parameters = list(_types(parameters, entry.label))
    return Property(name, _written(name, value), tuple(parameters), prop.group)


def _of_postal(name: str, prop: Property | None, entry: PostalAddress, was: PostalAddress | None) -> Property | None:
    said = (entry.street, entry.city, entry.region, entry.postal_code, entry.country)
    if not "".join(said).strip():
        return None
    value = ";".join(escaped(each.strip()) for each in ("", "", *said))
    if prop is None or was is None:
        return Property(name, value, _types((), entry.label))
    if replace(was, label=entry.label) == entry:
        return Property(name, prop.value, _types(prop.parameters, entry.label), prop.group)
    # What a label to be printed says is not true any more. Spec: RFC 6350 §6.3.1 (LABEL).
    parameters = [each for each in prop.parameters if each[0] not in {"LABEL", "GEO", "TZ", "ENCODING", "CHARSET"}]
    if was.label != entry.label:
        parameters = list(_types(parameters, entry.label))
    return Property(name, value, tuple(parameters), prop.group)


def _written(name: str, value: str) -> str:
    # A URI is no text: nothing in it is escaped. Spec: RFC 6350 §6.7.8.
    return " ".join(value.split()) if name == "URL" else escaped(value)


def _types(parameters: Iterable[tuple[str, tuple[str, ...]]], label: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give parameters with another type; those that say nothing of whose it is stay."""
    label = label.strip()
    if len(label) > TYPE_CHARACTERS_MAX:
        raise BadObject(f"A type has at most {TYPE_CHARACTERS_MAX} characters", condition=CONDITION)
    kept, silent = [], []
    for name, values in parameters:
        if name == "TYPE":
            silent += [one for each in values for one in each.split(",") if one.strip().lower() in SILENT_TYPES]
        else:
            kept.append((name, values))
    types = (*silent, *((label,) if label else ()))
    return (*kept, ("TYPE", types)) if types else tuple(kept)


def _list_value(texts: Iterable[str]) -> str:
    return ",".join(escaped(text) for each in texts if (text := each.strip()))


def _day(birthday: str, *, is_old: bool) -> Property:
    found = day_of(birthday)
    try:
        year, month, day = found or (0, 0, 0)
        date(int(_NO_YEAR) if year is None else year, month, day)
    except ValueError:
        raise BadObject("That is no day", condition=CONDITION) from None
    if not is_old:
        return Property("BDAY", f"{'--' if year is None else f'{year:04}'}{month:02}{day:02}")
    if year is None:
        return Property("BDAY", f"{_NO_YEAR}-{month:02}-{day:02}", ((_OMITS_YEAR, (_NO_YEAR,)),))
    return Property("BDAY", f"{year:04}-{month:02}-{day:02}")


def _forget_label(component: Component, group: str) -> None:
    component.properties[:] = [
        each for each in component.properties if each.name != LABEL or each.group.lower() != group.lower()
    ]


def forget_lonely_labels(component: Component) -> None:
    """Take away Apple's labels of groups in which nothing else is."""
    groups = {each.group.lower() for each in component.properties if each.name not in OF_A_GROUP}
    component.properties[:] = [
        each for each in component.properties if each.name not in OF_A_GROUP or each.group.lower() in groups
    ]


def _checked(component: Component) -> bytes:
    """Give the text, read once more: what nobody could read is not kept."""
    octets = write(component)
    card(octets)
    return octets
