"""A text that does not print itself."""

from typing import Final


class Secret:
    """A password or key in text form; `repr` and `str` never show it, `reveal()` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def reveal(self) -> str:
        """Give the text itself, for the one place that must compare or hash it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._text)
