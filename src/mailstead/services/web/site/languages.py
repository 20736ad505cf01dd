"""Words of the pages in the languages there are, from gettext's catalogues.

English stands in the templates; ``tools/generate.py`` collects it, and a test holds each language of `LANGUAGES` to all
of it.
"""

from __future__ import annotations

import gettext
from functools import cache
from importlib.resources import as_file, files
from typing import Final

SOURCE: Final = "en"
NAMES: Final = {"en": "English", "ko": "한국어", "ru": "Русский", "fr": "Français", "es": "Español"}
"""Of each language in itself."""
LANGUAGES: Final = tuple(NAMES)
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})
DOMAIN: Final = "mailstead"


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Give the catalogue of a language; one that gives everything back as it is, for English and unknown ones."""
    if language == SOURCE or language not in NAMES:
        return gettext.NullTranslations()
    with (
        as_file(files("mailstead.services.web") / "languages" / language / f"{DOMAIN}.mo") as file,
        file.open("rb") as f,
    ):
        return gettext.GNUTranslations(f)


def direction(language: str) -> str:
    """Give the direction of writing, as HTML's ``dir`` has it."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
