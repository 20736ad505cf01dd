"""What the pages of contacts need. Made by `wiring.site_contacts`."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.card_index import CardIndex
from mailstead.usecases.card_sheets import CardSheets
from mailstead.usecases.completions import Completions
from mailstead.usecases.sharings import Sharings


@dataclass(frozen=True, slots=True)
class ContactHouse:
    """Use cases by name."""

    completions: Completions
    index: CardIndex
    sharings: Sharings
    sheets: CardSheets
