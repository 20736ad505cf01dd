"""What clients ask of collections: filters, and which part of an object they want. Read from XML by `proto.dav`.

Spec: RFC 4791 §9.6 to §9.9; RFC 6352 §8.6, §10.4, §10.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TimeRange:
    """[start, end) in UTC; None: without limit on that side. Spec: RFC 4791 §9.9."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Spec: RFC 4791 §9.7.5; RFC 6352 §10.5.4."""

    text: str
    collation: str = "i;ascii-casemap"
    """Or ``i;octet``, ``i;unicode-casemap``."""
    match_type: str = "contains"
    """Or ``equals``, ``starts-with``, ``ends-with``."""
    negates: bool = False


@dataclass(frozen=True, slots=True)
class ParamFilter:
    """Spec: RFC 4791 §9.7.3; RFC 6352 §10.5.2."""

    name: str
    """Upper case."""
    is_not_defined: bool = False
    text_match: TextMatch | None = None


@dataclass(frozen=True, slots=True)
class PropFilter:
    """Spec: RFC 4791 §9.7.2; RFC 6352 §10.5.1."""

    name: str
    """Upper case; of a vCard perhaps with its group: ``GROUP.NAME``."""
    is_not_defined: bool = False
    time_range: TimeRange | None = None
    text_matches: tuple[TextMatch, ...] = ()
    params: tuple[ParamFilter, ...] = ()
    is_any: bool = False
    """One of its conditions is enough (``test="anyof"``); calendars ask for all."""


@dataclass(frozen=True, slots=True)
class CompFilter:
    """Spec: RFC 4791 §9.7.1."""

    name: str
    """Upper case."""
    is_not_defined: bool = False
    time_range: TimeRange | None = None
    props: tuple[PropFilter, ...] = ()
    comps: tuple[CompFilter, ...] = ()
    is_any: bool = False


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Spec: RFC 6352 §10.5."""

    props: tuple[PropFilter, ...] = ()
    is_any: bool = True


@dataclass(frozen=True, slots=True)
class PropChoice:
    """A property that is wanted, perhaps without its value. Spec: RFC 4791 §9.6.4."""

    name: str
    no_value: bool = False


@dataclass(frozen=True, slots=True)
class CompChoice:
    """Which parts of a component are wanted; None: all. Spec: RFC 4791 §9.6.1."""

    name: str
    props: tuple[PropChoice, ...] | None = None
    comps: tuple[CompChoice, ...] | None = None


@dataclass(frozen=True, slots=True)
class CalendarData:
    """How calendar objects are wanted; as it stands: as they were put. Spec: RFC 4791 §9.6."""

    choice: CompChoice | None = None
    expand: TimeRange | None = None
    limit_recurrence_set: TimeRange | None = None
    limit_freebusy_set: TimeRange | None = None
    media_type: str = "text/calendar"
    version: str = "2.0"

    @property
    def is_whole(self) -> bool:
        """Whether objects are wanted as they were put."""
        return not (self.choice or self.expand or self.limit_recurrence_set or self.limit_freebusy_set)


@dataclass(frozen=True, slots=True)
class AddressData:
    """How contacts are wanted. Spec: RFC 6352 §10.4."""

    props: tuple[PropChoice, ...] | None = None
    media_type: str = "text/vcard"
    version: str = ""
    """Empty: as it was put."""
