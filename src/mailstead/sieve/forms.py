"""The form of a command or a test: which arguments it takes, which extension brings it, and what makes it runnable.

The vocabulary of the language is a table of these (`commands`); the checker knows no command by name.

Spec: RFC 5228 §2.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailstead.sieve.call import Call
    from mailstead.sieve.run import Run

Step = Callable[["Run"], None]
"""A command made runnable."""
Check = Callable[["Run"], bool]
"""A test made runnable."""


class Takes(Enum):
    """The type of an argument."""

    NUMBER = "a number"
    TEXT = "a string"
    TEXTS = "a string or a list of strings"


class Tests(Enum):
    """How many tests stand inside."""

    NONE = "no test"
    ONE = "one test"
    LIST = "tests in parentheses"


@dataclass(frozen=True, slots=True)
class TagForm:
    """A tag, and the argument behind it."""

    name: str
    group: str = ""
    """Of the tags of one group at most one may stand; empty: it is alone in its group."""
    takes: Takes | None = None
    needs: str = ""
    """An extension that brings it, beside the one of its command."""
    after: str = ""
    """A tag that must stand too."""


@dataclass(frozen=True, slots=True)
class Form:
    """A command or a test."""

    name: str
    takes: tuple[Takes, ...] = ()
    """Positional arguments."""
    tags: tuple[TagForm, ...] = ()
    needs: tuple[str, ...] = ()
    """Extensions any of which brings it; empty: it is part of the base."""
    optional_count: int = 0
    """How many of the first positional arguments may be left out."""
    trailing_count: int = 0
    """The same of the last ones."""
    tests: Tests = Tests.NONE
    takes_block: bool = False


@dataclass(frozen=True, slots=True)
class CommandForm(Form):
    """A command."""

    build: Callable[[Call], Step] = lambda _: _nothing


@dataclass(frozen=True, slots=True)
class TestForm(Form):
    """A test."""

    build: Callable[[Call], Check] = lambda _: _never


def _nothing(_: Run) -> None:
    """Do nothing."""


def _never(_: Run) -> bool:
    """Hold never."""
    return False


def _always(_: Run) -> bool:
    """Hold always."""
    return True


NOTHING: Final[Step] = _nothing
NEVER: Final[Check] = _never
ALWAYS: Final[Check] = _always


COMPARATOR: Final = TagForm("comparator", takes=Takes.TEXT)
MATCH_TAGS: Final = (
    TagForm("is", "match"),
    TagForm("contains", "match"),
    TagForm("matches", "match"),
    TagForm("count", "match", Takes.TEXT, "relational"),
    TagForm("value", "match", Takes.TEXT, "relational"),
    TagForm("regex", "match", needs="regex"),
    COMPARATOR,
)
"""Spec: RFC 5228 §2.7; RFC 5231; draft-ietf-sieve-regex."""
ADDRESS_PART_TAGS: Final = (
    TagForm("all", "part"),
    TagForm("localpart", "part"),
    TagForm("domain", "part"),
    TagForm("user", "part", needs="subaddress"),
    TagForm("detail", "part", needs="subaddress"),
)
"""Spec: RFC 5228 §2.7.4; RFC 5233 §4."""
INDEX_TAGS: Final = (
    TagForm("index", takes=Takes.NUMBER, needs="index"),
    TagForm("last", needs="index", after="index"),
)
"""Spec: RFC 5260 §6."""
MIME_TAGS: Final = (TagForm("mime", needs="mime"), TagForm("anychild", needs="mime", after="mime"))
"""Spec: RFC 5703 §4."""
FLAGS_TAG: Final = TagForm("flags", takes=Takes.TEXTS, needs="imap4flags")
"""Spec: RFC 5232 §5."""
CREATE_TAG: Final = TagForm("create", needs="mailbox")
"""Spec: RFC 5490 §3.2."""
SPECIAL_USE_TAG: Final = TagForm("specialuse", takes=Takes.TEXT, needs="special-use")
"""Spec: RFC 8579 §4."""
COPY_TAG: Final = TagForm("copy", needs="copy")
"""Spec: RFC 3894 §3."""
FCC_TAGS: Final = (
    TagForm("fcc", takes=Takes.TEXT, needs="fcc"),
    replace(FLAGS_TAG, after="fcc"),
    replace(CREATE_TAG, after="fcc"),
    replace(SPECIAL_USE_TAG, after="fcc"),
)
"""Spec: RFC 8580 §3."""


class Vocabulary:
    """All that scripts may be written with."""

    def __init__(self, commands: Iterable[CommandForm], tests: Iterable[TestForm], extensions: Iterable[str]) -> None:
        self.commands: Mapping[str, CommandForm] = {form.name: form for form in commands}
        self.tests: Mapping[str, TestForm] = {form.name: form for form in tests}
        self.extensions = tuple(extensions)
        """In the order in which they are told."""
