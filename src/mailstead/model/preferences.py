"""How somebody wants the web to be. Plain values; what may stand in them is checked by `check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

UNDO_S_MAX: Final = 30
SIGNATURE_CHARACTERS_MAX: Final = 10_000
NAME_CHARACTERS_MAX: Final = 200
IDENTITIES_MAX: Final = 200
IMAGE_SENDERS_MAX: Final = 1000


class Theme(StrEnum):
    """Light and dark."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Density(StrEnum):
    """How much room a line of a list takes."""

    COMFORTABLE = "comfortable"
    COMPACT = "compact"


class WeekStart(StrEnum):
    """Which day a week begins with."""

    LANGUAGE = "language"
    """As the calendars of the language have it."""
    MONDAY = "monday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


@dataclass(frozen=True, slots=True)
class IdentityText:
    """What goes with one address of the owner when he writes."""

    display_name: str = ""
    """Empty: none."""
    signature: str | None = None
    """None: the signature for all addresses."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """All of one owner."""

    language: str = ""
    """As ``en`` or ``pt-BR``; empty: what the browser asks for."""
    theme: Theme = Theme.SYSTEM
    time_zone: str = ""
    """Name of the IANA database; empty: the browser's."""
    density: Density = Density.COMFORTABLE
    undo_s: int = 10
    """How long a message that was sent can be taken back, 0 to `UNDO_S_MAX`."""
    display_name: str = ""
    """For all addresses that have none of their own."""
    signature: str = ""
    """Plain text, for all addresses that have none of their own."""
    default_identity: str = ""
    """The address that new messages are written from; empty: the account's own."""
    identities: Mapping[str, IdentityText] = field(default_factory=dict)
    """By address, in lower case."""
    image_senders: tuple[str, ...] = ()
    """Addresses (or ``@domain``) in lower case whose remote images are shown unasked."""
    has_shortcuts: bool = True
    """Whether single keys act on the pages of mail. Spec: WCAG 2.2 §2.1.4."""
    week_start: WeekStart = WeekStart.LANGUAGE
    writes_formatted: bool = False
    """Whether a new message begins as formatted text."""
