"""Strings of a script: encoded characters undone when it is checked, variables filled in when it runs.

Spec: RFC 5228 §2.4.2.4 (encoded-character), RFC 5229 §3 (variables).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from mailstead.sieve.errors import RunProblem

if TYPE_CHECKING:
    from mailstead.sieve.run import Run

VARIABLE_CHARACTERS_MAX: Final = 8192
"""Longer values are cut. Spec: RFC 5229 §3 (at least 4000)."""
VARIABLES_MAX: Final = 256
"""Spec: RFC 5229 §3 (at least 128)."""
TEXT_CHARACTERS_MAX: Final = 1 << 16
"""Of a string with its variables filled in."""
MATCHED_MAX: Final = 99
"""Numbered match variables: ``${0}`` to ``${99}``. Spec: RFC 5229 §3.2 (at least 9)."""

# RFC 5228 §2.4.2.4:
#   encoded-arb-octets = "${hex:" hex-pair-seq "}"         hex-pair-seq = *blank hex-pair *(1*blank hex-pair) *blank
#   encoded-unicode-char = "${unicode:" unicode-hex-seq "}"  unicode-hex = 1*HEXDIG
_ENCODED: Final = re.compile(
    r"\$\{(?:hex:([ \t\r\n]*[0-9a-f]{1,2}(?:[ \t\r\n]+[0-9a-f]{1,2})*[ \t\r\n]*)"
    r"|unicode:([ \t\r\n]*[0-9a-f]+(?:[ \t\r\n]+[0-9a-f]+)*[ \t\r\n]*))\}",
    re.IGNORECASE,
)
# RFC 5229 §3:
#   variable-ref = "${" [namespace] variable-name "}"      variable-name = num-variable / identifier
#   namespace = identifier "." *sub-namespace              num-variable = 1*DIGIT
_REFERENCE: Final = re.compile(
    r"\$\{(?:([0-9]+)|((?:[a-z_][a-z0-9_]*\.)+(?:[a-z_][a-z0-9_]*|[0-9]+))|([a-z_][a-z0-9_]*))\}",
    re.IGNORECASE | re.ASCII,
)


class Template:
    """A string with variables in it."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[str | Reference]) -> None:
        self.pieces = tuple(pieces)

    def filled(self, run: Run) -> str:
        """Fill in the variables of a run.

        Errors: RunProblem, when that gets too long.
        """
        run.budget.spend(len(self.pieces))
        texts: list[str] = []
        size = 0
        for piece in self.pieces:
            text = piece if isinstance(piece, str) else piece.value(run)
            size += len(text)
            if size > TEXT_CHARACTERS_MAX:
                raise RunProblem(f"A string with its variables has more than {TEXT_CHARACTERS_MAX} characters")
            texts.append(text)
        run.budget.spend(size >> 8)
        return "".join(texts)


class Reference:
    """One ``${name}``; of a numbered match variable the name is its number."""

    __slots__ = ("is_global", "name", "number")

    def __init__(self, name: str, *, is_global: bool = False) -> None:
        self.name = name
        self.number = int(name) if name.isdigit() else -1
        self.is_global = is_global

    def value(self, run: Run) -> str:
        """What it stands for; empty for what was never set."""
        if self.number >= 0:
            return run.matched[self.number] if self.number < len(run.matched) else ""
        return run.global_variables.get(self.name, "") if self.is_global else run.variable(self.name)


Words = str | Template
"""A string as the checker hands it on."""


def filled(words: Words, run: Run) -> str:
    """Give a string with its variables filled in."""
    return words if isinstance(words, str) else words.filled(run)


def all_filled(many: Sequence[Words], run: Run) -> list[str]:
    """Give strings with their variables filled in."""
    run.budget.spend(1 + (len(many) >> 1))
    return [words if isinstance(words, str) else words.filled(run) for words in many]


def constants(many: Iterable[Words]) -> list[str] | None:
    """Give the strings if none of them has a variable in it."""
    texts = [words for words in many if isinstance(words, str)]
    return texts if all(isinstance(words, str) for words in many) else None


class BadWords(ValueError):
    """A string says something that cannot be; the text says what."""


def decoded(text: str) -> str:
    """Undo encoded characters, once: what comes of that is not looked at again.

    Spec: RFC 5228 §2.4.2.4.
    Errors: BadWords.
    """
    return _ENCODED.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    if found[1] is None:
        return _of_unicode(found[2])
    try:
        return bytes(int(pair, 16) for pair in found[1].split()).decode()
    except UnicodeDecodeError:
        raise BadWords(f"The octets of {found[0][:60]} are not UTF-8") from None


def _of_unicode(numbers: str) -> str:
    characters: list[str] = []
    for digits in numbers.split():
        number = int(digits, 16) if len(digits.lstrip("0")) <= 6 else 1 << 30
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise BadWords(f"There is no character with the number {digits[:20]}")
        characters.append(chr(number))
    return "".join(characters)


def template(text: str, *, has_globals: bool) -> Words:
    """Find the variables in a string; what only looks like one is left as it is.

    Spec: RFC 5229 §3; RFC 6609 §3.4.4 (namespace global).
    Errors: BadWords, for an unknown namespace or a number that is too large.
    """
    if "${" not in text:
        return text
    pieces: list[str | Reference] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        if found.start() > end:
            pieces.append(text[end : found.start()])
        end = found.end()
        number, spaced, name = found.groups()
        if number is not None:
            pieces.append(_numbered(number))
        elif name is not None:
            pieces.append(Reference(name.lower()))
        else:
            pieces.append(_spaced(spaced.lower(), has_globals=has_globals))
    if not pieces:
        return text
    if end < len(text):
        pieces.append(text[end:])
    return Template(pieces)


def _numbered(digits: str) -> Reference:
    stripped = digits.lstrip("0") or "0"
    if len(stripped) > 2:
        raise BadWords(f"Match variables are numbered up to {MATCHED_MAX}")
    return Reference(stripped)


def _spaced(name: str, *, has_globals: bool) -> Reference:
    namespace, _, rest = name.partition(".")
    if namespace != "global" or "." in rest or rest[0].isdigit():
        raise BadWords(f'There are no variables "{name[:60]}"; only those of "global" have a dot in their names')
    if not has_globals:
        raise BadWords(f'For "{name[:60]}" write "include" in the list of require')
    return Reference(rest, is_global=True)
