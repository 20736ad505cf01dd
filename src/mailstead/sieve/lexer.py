"""From text to tokens.

Spec: RFC 5228 §8.1. Line ends may be bare line feeds too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import Enum
from typing import Final, NamedTuple

from mailstead.model.filtering import SCRIPT_OCTETS_MAX
from mailstead.sieve.errors import Problem, SieveError
from mailstead.sieve.tree import Place

NUMBER_MAX: Final = (1 << 63) - 1
"""Spec: RFC 5228 §2.4.1 (at least 2^31 - 1)."""
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Kind(Enum):
    """What a token is."""

    IDENTIFIER = "a name"
    TAG = "a tag"
    NUMBER = "a number"
    TEXT = "a string"
    MARK = "a mark"
    COMMENT = "a comment"
    END = "the end of the script"


class Token(NamedTuple):
    """One token; the value of a TEXT is without its quoting, of a COMMENT its lines, of names in lower case."""

    kind: Kind
    value: str
    place: Place
    number: int = 0


# RFC 5228 §8.1:
#   identifier = (ALPHA / "_") *(ALPHA / DIGIT / "_")      tag = ":" identifier
#   number = 1*DIGIT [ QUANTIFIER ]                        QUANTIFIER = "K" / "M" / "G"
#   quoted-string = DQUOTE quoted-text DQUOTE              quoted-text = *(quoted-safe / quoted-special / quoted-other)
#   multi-line = "text:" *(SP / HTAB) (hash-comment / CRLF) *(multiline-literal / multiline-dotstart) "." CRLF
#   hash-comment = "#" *octet-not-crlf CRLF                bracket-comment = "/*" *not-star 1*STAR … "/"
_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | \#(?P<hash>[^\n]*)
    | /\*(?P<bracket>.*?)\*/
    | (?P<multiline>text:)[ \t]*(?:\#[^\n]*)?\r?\n
    | (?P<identifier>[a-z_][a-z0-9_]*)
    | :(?P<tag>[a-z_][a-z0-9_]*)
    | (?P<number>[0-9]++)(?P<factor>[kmg]?)(?![a-z0-9_])
    | "(?P<quoted>[^"\\]*+(?:\\.[^"\\]*+)*+)"
    | (?P<mark>[{}()\[\],;])
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL | re.ASCII,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_MULTILINE_END: Final = re.compile(r"^\.\r?$", re.MULTILINE)
_FORBIDDEN: Final = re.compile("\0|\r(?!\n)")
_LINE: Final = re.compile(r"\r?\n")


def text_of(octets: bytes) -> str:
    """Decode a script.

    Spec: RFC 5228 §2.1 (UTF-8).
    Errors: SieveError.
    """
    if len(octets) > SCRIPT_OCTETS_MAX:
        raise SieveError([Problem(1, 1, f"The script has more than {SCRIPT_OCTETS_MAX // 1024} KiB; make it shorter")])
    try:
        text = octets.decode()
    except UnicodeDecodeError as error:
        before = octets[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise SieveError([Problem(line, column, "Not UTF-8; save the script in that encoding")]) from None
    return text.removeprefix("\ufeff")


class Lexer:
    """One pass over a script; what cannot be read is told in `problems`, and passed over where that can be done."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []
        self.is_cut = False
        """Whether something has no end, so that what follows it was not read."""
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        """Say where an offset is."""
        line = bisect_right(self._line_starts, offset)
        return Place(line, offset - self._line_starts[line - 1] + 1)

    def tokens(self) -> list[Token]:
        """Give all tokens, END as the last one."""
        tokens: list[Token] = []
        text, position, end = self.text, 0, len(self.text)
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            self._wrong(forbidden.start(), "A NUL or a bare carriage return; remove that character")
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                position = self._pass_over(position)
                continue
            start, position = position, found.end()
            kind = found.lastgroup
            if kind == "space":
                continue
            if kind == "multiline":
                position = self._multiline(tokens, start, position)
            else:
                tokens.append(self._token(found, self.place(start)))
        tokens.append(Token(Kind.END, "", self.place(end)))
        return tokens

    def _token(self, found: re.Match[str], place: Place) -> Token:
        kind = found.lastgroup
        if kind == "identifier":
            return Token(Kind.IDENTIFIER, found["identifier"].lower(), place)
        if kind == "tag":
            return Token(Kind.TAG, found["tag"].lower(), place)
        if kind == "mark":
            return Token(Kind.MARK, found["mark"], place)
        if kind == "quoted":
            quoted = found["quoted"]
            return Token(Kind.TEXT, _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted, place)
        if kind == "hash":
            return Token(Kind.COMMENT, found["hash"].removesuffix("\r").removeprefix(" "), place)
        if kind == "bracket":
            lines = (line.strip() for line in _LINE.split(found["bracket"]))
            return Token(Kind.COMMENT, "\n".join(lines).strip("\n"), place)
        digits = found["number"]
        number = int(digits) * _FACTORS[found["factor"].lower()] if len(digits) < 20 else NUMBER_MAX + 1
        if number > NUMBER_MAX:
            self.problems.append(Problem(*place, "That number is too large"))
            number = NUMBER_MAX
        return Token(Kind.NUMBER, found[0], place, number)

    def _multiline(self, tokens: list[Token], start: int, position: int) -> int:
        """Read the lines behind ``text:`` up to the one with a single dot; line ends become CRLF."""
        found = _MULTILINE_END.search(self.text, position)
        if found is None:
            self._wrong(start, 'The text that begins here has no end; close it with a line that holds only "."')
            self.is_cut = True
            return len(self.text)
        lines = _LINE.split(self.text[position : found.start()])[:-1]
        value = "".join(f"{line.removeprefix('.') if line.startswith('..') else line}\r\n" for line in lines)
        tokens.append(Token(Kind.TEXT, value, self.place(start)))
        return found.end()

    def _pass_over(self, position: int) -> int:
        """Tell what cannot be read, and say where reading may go on."""
        text = self.text
        character = text[position]
        if character == '"':
            self._wrong(position, 'The string that begins here has no end; close it with "')
            self.is_cut = True
            return len(text)
        if text.startswith("/*", position):
            self._wrong(position, "The comment that begins here has no end; close it with */")
            self.is_cut = True
            return len(text)
        if character.isdigit() and character.isascii():
            self._wrong(position, "A number may be followed by K, M or G only")
            found = re.compile(r"[0-9a-zA-Z_]+").match(text, position)
            return found.end() if found else position + 1
        if _FORBIDDEN.match(character) is None:
            shown = character if character.isprintable() else f"U+{ord(character):04X}"
            self._wrong(position, f"The character {shown} cannot stand here; strings are put in double quotes")
        # A run of them is one mistake.
        position += 1
        while position < len(text) and not text[position].isascii():
            position += 1
        return position

    def _wrong(self, offset: int, what: str) -> None:
        self.problems.append(Problem(*self.place(offset), what))
