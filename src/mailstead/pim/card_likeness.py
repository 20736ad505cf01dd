"""Which contacts may be the same person: those that share a mail address, a telephone number, or a name.

A number that many share is that of a house, not of a person: it makes nobody the same. It takes time as there are
contacts, however they are alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailstead.pim.card_form import Labelled
from mailstead.pim.card_sheet import CardSheet

TOGETHER_MAX: Final = 8
"""So many contacts at most are one person; a sign that more of them share is none."""
REASONS: Final = ("email", "phone", "name")
_DIGITS_MIN: Final = 5
"""Shorter numbers are extensions, which every house has."""
_WORD: Final = re.compile(r"\w+")
_MARK: Final = re.compile("[\u0300-\u036f]")
_LETTER: Final = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Likeness:
    """Contacts that may be the same, by their places, and why."""

    places: tuple[int, ...]
    reasons: tuple[str, ...]
    """Of `REASONS`, in that order."""


def likenesses(sheets: Sequence[CardSheet]) -> list[Likeness]:
    """Give those that may be the same, in the order in which the first of each stands; nobody is in two of them."""
    parents, counts = list(range(len(sheets))), [1] * len(sheets)
    met: list[tuple[int, str]] = []

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for reason in REASONS:
        places: dict[str, list[int]] = defaultdict(list)
        for place, sheet in enumerate(sheets):
            for sign in _signs(sheet, reason):
                places[sign].append(place)
        for together in places.values():
            if not 1 < len(together) <= TOGETHER_MAX:
                continue
            for place in together[1:]:
                one, other = root(together[0]), root(place)
                if one != other and counts[one] + counts[other] > TOGETHER_MAX:
                    continue
                if one != other:
                    one, other = min(one, other), max(one, other)
                    parents[other] = one
                    counts[one] += counts[other]
                met.append((one, reason))
    reasons: dict[int, set[str]] = defaultdict(set)
    for place, reason in met:
        reasons[root(place)].add(reason)
    members: dict[int, list[int]] = defaultdict(list)
    for place in range(len(sheets)):
        if root(place) in reasons:
            members[root(place)].append(place)
    return [
        Likeness(tuple(found), tuple(each for each in REASONS if each in reasons[first]))
        for first, found in sorted(members.items())
    ]


def folded_name(name: str) -> str:
    """Give by what names are the same: without case, accents, marks and the order of the words."""
    plain = _MARK.sub("", unicodedata.normalize("NFKD", name)).casefold()
    return " ".join(sorted(_WORD.findall(plain)))


def folded_phone(number: str) -> str:
    """Give by what telephone numbers are the same; one that is no number: itself without case."""
    text = re.sub(r"(?i)^tel:", "", number.strip())
    if _LETTER.search(text):
        return text.casefold()
    digits = re.sub(r"\D", "", text.replace("(0)", ""))
    if text.startswith("+"):
        return "+" + digits
    return "+" + digits[2:] if digits.startswith("00") else digits or text


def folded_email(address: str) -> str:
    """Give by what mail addresses are the same: without case, which no house of today tells apart."""
    return re.sub(r"(?i)^mailto:", "", address.strip()).casefold()


def _signs(sheet: CardSheet, reason: str) -> set[str]:
    if reason == "email":
        return {folded_email(each.value) for each in sheet.emails if each.value.strip()}
    if reason == "phone":
        return {number for each in sheet.phones if (number := _number(each))}
    return {name} if (name := folded_name(sheet.full_name)) else set()


def _number(entry: Labelled) -> str:
    number = folded_phone(entry.value)
    return number if sum(each.isdecimal() for each in number) >= _DIGITS_MIN else ""
