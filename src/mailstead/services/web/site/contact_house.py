"""What the pages of contacts need. Made by `wiring.site_contacts`."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.usecases.card_groups import CardGroups
from mailstead.usecases.card_index import CardIndex
from mailstead.usecases.card_merging import CardMerging
from mailstead.usecases.card_sheets import CardSheets
from mailstead.usecases.completions import Completions
from mailstead.usecases.sharings import Sharings


@dataclass(frozen=True, slots=True)
class ContactHouse:
    """Use cases by name."""

    completions: Completions
    groups: CardGroups
    index: CardIndex
    merging: CardMerging
    sharings: Sharings
    sheets: CardSheets
