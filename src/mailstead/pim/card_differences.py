"""Several contacts side by side: what somebody has once, and of which they say different things.

Spec: RFC 6350 §6 (how often each property may stand).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mailstead.pim.card_sheet import photo, plain, sheet
from mailstead.pim.component import split_unescaped, unescaped
from mailstead.pim.vcard import Card, full_name

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": (
        "FN", "N", "SORT-STRING", "X-PHONETIC-FIRST-NAME", "X-PHONETIC-MIDDLE-NAME", "X-PHONETIC-LAST-NAME",
    ),
    "organisation": ("ORG", "X-PHONETIC-ORG"),
    "title": ("TITLE",),
    "role": ("ROLE",),
    "birthday": ("BDAY",),
    "anniversary": ("ANNIVERSARY", "X-ANNIVERSARY"),
    "gender": ("GENDER",),
    "photo": ("PHOTO",),
    "logo": ("LOGO",),
}  # fmt: skip
"""What one is chosen of, and the properties that go together."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that somebody has once, and of which the contacts say different things."""

    part: str
    """Of `PARTS`."""
    texts: tuple[str, ...]
    """What each of them says, as people read it; empty: nothing. Of pictures: something, if there is one."""


def differences(cards: Sequence[Card]) -> list[Difference]:
    """Give what is to be chosen."""
    found = []
    for part in PARTS:
        said = [_said(each, part) for each in cards]
        texts = tuple(text for text, _ in said)
        if len({sign for _, sign in said if sign}) > 1:
            found.append(Difference(part, texts))
        elif part == "name" and len({parts for each in cards if (parts := name_parts(each))}) > 1:
            # They are called the same, but not by the same words of it.
            told = (" · ".join(filter(None, name_parts(each))) for each in cards)
            texts = tuple(f"{text} ({parts})" if parts else text for text, parts in zip(texts, told, strict=True))
            found.append(Difference(part, texts))
    return found


def _said(found: Card, part: str) -> tuple[str, str]:
    """Give what a contact says of a part: as people read it, and by what two of them are the same."""
    component = found.component
    if part == "name":
        return full_name(component), folded(full_name(component))
    props = (component.first(name) for name in PARTS[part])
    prop = next((each for each in props if each is not None and each.value.strip("; \t")), None)
    if prop is None:
        return "", ""
    if part in {"photo", "logo"}:
        octets = photo(found) if part == "photo" else None
        return part, prop.value.strip() if octets is None else sha256(octets).hexdigest()
    if part == "birthday":
        day = sheet(found).birthday
        return day, day
    text = " · ".join(each for one in split_unescaped(plain(prop), ";") if (each := unescaped(one).strip()))
    return text, folded(text)


def folded(text: str) -> str:
    """Give a text without case, and without how its words are apart."""
    return " ".join(text.casefold().split())


def name_parts(found: Card) -> tuple[str, ...]:
    """Give what N says, without empty parts at its end; nothing, where there are only such."""
    parts = [unescaped(each).strip() for each in split_unescaped(found.component.value("N"), ";")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
