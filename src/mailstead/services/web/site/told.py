"""Says in the reader's language what was built below the pages in English, also where values were put into it.

The catalogues have such sentences with names in braces, ``There is no account {address} on this server``. A text that
is none of them as it stands is held against their patterns; what stands at the names goes into the translation as it
is, or said in the language, too, where it is a sentence of its own. `tools/sentences.py` collects them.
"""

from __future__ import annotations

import re
from functools import cached_property
from gettext import NullTranslations
from typing import Final

TEXT_CHARACTERS_MAX: Final = 1000
"""What is longer is no sentence of ours."""
LETTERS_MIN: Final = 8
"""Of a pattern outside its names: one of fewer would fit anything."""
DEPTH_MAX: Final = 2
"""How deep a sentence may stand in another."""
_NAME: Final = re.compile(r"\{(\w+)\}")


class Told:
    """The filter ``told`` of one language."""

    def __init__(self, words: NullTranslations) -> None:
        self._words = words

    def __call__(self, text: str) -> str:
        """Give a text in the language; as it is, where the catalogue does not have it."""
        return self._said(text, 0)

    def _said(self, text: str, depth: int) -> str:
        if not text:  # that is the name of the catalogue's head
            return ""
        said = self._words.gettext(text)
        if said != text or depth > DEPTH_MAX or len(text) > TEXT_CHARACTERS_MAX:
            return said
        for pattern, sentence in self._patterns:
            if (found := pattern.fullmatch(text)) is not None:
                values = {name: self._said(value, depth + 1) for name, value in found.groupdict().items()}
                return self._words.gettext(sentence).format_map(values)
        return text

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """Those of the catalogue's sentences with names in braces; that with most letters of its own first."""
        catalogue: dict[object, object] = getattr(self._words, "_catalog", {})  # the standard library has no other way
        sentences = [each for each in catalogue if isinstance(each, str) and _NAME.search(each)]
        sentences.sort(key=_own_letters, reverse=True)
        return [(_pattern(each), each) for each in sentences if _own_letters(each) >= LETTERS_MIN]


def _own_letters(sentence: str) -> int:
    return sum(letter.isalpha() for letter in _NAME.sub("", sentence))


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = _NAME.split(sentence)  # text, name, text, name, …, text
    return re.compile(
        "".join(re.escape(part) if at % 2 == 0 else f"(?P<{part}>.+?)" for at, part in enumerate(parts)), re.DOTALL
    )
